import { currentUser } from '../services/auth.ts'
import { postForm, textArea, textField } from './form.ts'
import type { Html } from './html.ts'
import { html } from './html.ts'
import { layout } from './layout.ts'

export function contactPage (): Html {
  const user = currentUser()
  return layout({
    title: 'Contact',
    content: html`
      <h1>Write to us</h1>
      !${postForm('/contact', html`
        !${textField({ name: 'name', label: 'Your name', autocomplete: 'name', fallback: user?.name })}
        !${textField({ name: 'email', label: 'Your e-mail address', type: 'email', autocomplete: 'email', fallback: user?.email })}
        !${textArea({ name: 'text', label: 'Your letter' })}
        <button class="primary">Send</button>
      `, 'card')}
    `,
    backstage: html`
      <p>Send it with a mistake in it. The answer is a redirect, and yet the form comes back with what you entered and a word
      on what was wrong: <code>reply.withErrors(…).withInput().back()</code>, and <code>session().old('email')</code> in the form.
      Reload the page and they are gone.</p>
    `
  })
}
