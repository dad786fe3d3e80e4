import { type User, users } from '../data/users.ts'
import { checkBox, postForm, textField } from './form.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

export function signInPage (): Html {
  return layout({
    title: 'Sign in',
    content: html`
      <h1>Sign in</h1>
      <div class="columns">
        !${postForm('/sign-in', html`
          !${textField({ name: 'name', label: 'Name', autocomplete: 'username' })}
          !${textField({ name: 'password', label: 'Password', type: 'password', autocomplete: 'current-password' })}
          !${checkBox({ name: 'remember', label: 'Keep me signed in for thirty days' })}
          <button class="primary">Sign in</button>
        `, { className: 'card' })}
        <section class="hint" aria-labelledby="who">
          <h2 id="who">Who you can be</h2>
          <table>
            <thead><tr><th scope="col">Name</th><th scope="col">Password</th></tr></thead>
            <tbody>!${users.map(userRow)}</tbody>
          </table>
        </section>
      </div>
    `,
    backstage: html`
      <p>Signing in calls <code>session().regenerate()</code>: the cookie gets a new id, forms get a new token, the cart stays,
      and the old id is dead at once. “Keep me signed in” calls <code>session().setLifetime(…)</code>. Then you go on to the
      page that you wanted (<code>reply.intended(…)</code>) or came from (<code>session().previousUrl()</code>). A wrong password is never kept:
      <code>reply.withInput()</code> leaves it out by itself.</p>
    `
  })
}

function userRow ({ id, password }: User): Html {
  return html`<tr><td><code>${id}</code></td><td><code>${password}</code></td></tr>`
}
