import { html, type Html } from './html.ts'
import { document, layout } from './layout.ts'

const backstage = html`
  <p>An error page has a session like any other page: your name, your cart and messages flashed for you are all here, and what
  you had put before the error is stored.</p>
`

export function notFoundPage (): Html {
  return layout({
    title: 'No such page',
    content: html`<h1>There is no such page</h1><p>It may have moved, or never been. <a href="/">Back to the shop</a></p>`,
    backstage
  })
}

export function failurePage (): Html {
  return layout({
    title: 'Something went wrong',
    content: html`<h1>Something went wrong</h1><p>That was our fault, and your cart is safe. <a href="/">Back to the shop</a></p>`,
    backstage
  })
}

/**
 * What a visitor sees whose form was refused because its token is not that of the session.
 *
 * @param formPage the page that the form was on, where it can be known
 */
export function expiredPage (formPage: string | undefined): Html {
  return layout({
    title: 'This page has expired',
    content: html`
      <h1>This page has expired</h1>
      <p>It was open for too long, or you have signed in or out since it was loaded. Nothing was changed.</p>
      !${formPage === undefined
        ? html`<p>Go back, load the page again and send it once more. <a href="/">Back to the shop</a></p>`
        : html`<p>What you entered is waiting for you there, but for passwords and files.</p><p><a class="button primary" href="${formPage}">Back to the form</a></p>`}
    `,
    backstage: html`
      <p>With <code>csrf: true</code> a form has to carry the session’s CSRF token, which <code>csrfField()</code> puts into it, unless the
      browser says that the form is one of the shop’s own pages. The answer has the status 419.</p>
    `
  })
}

export function refusedPage (): Html {
  return layout({
    title: 'That did not work',
    content: html`<h1>That did not work</h1><p>We could not make sense of the request. <a href="/">Back to the shop</a></p>`
  })
}

/** For when sessions themselves cannot be had: asks nothing of them. */
export function outOfOrderPage (): Html {
  return document('Out of order', html`
    <main class="wrap"><h1>We will be back in a moment</h1><p>Please try again shortly.</p></main>
  `)
}
