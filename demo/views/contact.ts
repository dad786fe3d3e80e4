import { currentUser } from '../services/auth.ts'
import { enteredBefore } from '../services/forms.ts'
import { type SentLetter, sentLetters } from '../services/letters.ts'
import { fileField, postForm, textArea, textField } from './form.ts'
import { moment } from './format.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

export function contactPage (): Html {
  const user = currentUser()
  const letters = sentLetters()
  return layout({
    title: 'Contact',
    content: html`
      <h1>Write to us</h1>
      <div class="columns">
        !${postForm('/contact', html`
          !${textField({ name: 'name', label: 'Your name', autocomplete: 'name', fallback: user?.name })}
          !${textField({ name: 'email', label: 'Your e-mail address', type: 'email', autocomplete: 'email', fallback: user?.email })}
          !${textArea({ name: 'text', label: 'Your letter' })}
          !${fileField({ name: 'picture', label: 'A picture, if you like', accept: 'image/*', hint: pictureHint() })}
          <button class="primary">Send</button>
        `, { className: 'card', encoding: 'multipart/form-data' })}
        !${letters.length === 0 ? '' : html`<section class="hint" aria-labelledby="letters"><h2 id="letters">What you have written</h2><ul class="lines letters">!${letters.map(sent)}</ul></section>`}
      </div>
    `,
    backstage: html`
      <p>Send it with a mistake in it. The answer is a redirect, and yet the form comes back with what you entered and a word
      on what was wrong: <code>reply.withErrors(…).withInput().back()</code>, and <code>session().old('email')</code> in the form.
      Reload the page and they are gone. The form has a file, so <code>@fastify/multipart</code> reads it; its CSRF token is checked all the same.</p>
    `
  })
}

function pictureHint (): string {
  const before = enteredBefore('picture.name')
  return before === '' ? 'At most one megabyte.' : `Please choose ${before} once more: no page can do that for you.`
}

function sent ({ text, picture, sentAt }: SentLetter): Html {
  return html`<li><p>${text}</p><p class="when">${moment(sentAt)}${picture === null ? '' : `, with ${picture}`}</p></li>`
}
