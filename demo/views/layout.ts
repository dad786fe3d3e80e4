/** What all pages have around them. It reads the user, the cart and the message from the session: pages pass only their own content. */
import type { User } from '../data/users.ts'
import { currentUser } from '../services/auth.ts'
import { itemsInCart } from '../services/cart.ts'
import { currentMessage } from '../services/messages.ts'
import { postForm } from './form.ts'
import { html, type Html } from './html.ts'

export interface Page {
  readonly title: string
  readonly content: Html
  /** A file of public/ that the page runs. */
  readonly script?: string
  /** What the page shows of sessions, for readers of the demo. */
  readonly backstage?: Html
}

export function layout ({ title, content, script, backstage }: Page): Html {
  const user = currentUser()
  return document(title, html`
    <a class="skip" href="#main">Skip to the content</a>
    <header class="site-header">
      <div class="wrap">
        <a class="brand" href="/"><img src="/assets/icon.svg" alt="" width="28" height="28">Still Life</a>
        <nav aria-label="Main">
          <a href="/">Shop</a>
          !${user === undefined ? '' : html`<a href="/orders">Orders</a> <a href="/devices">Devices</a>`}
          <a href="/contact">Contact</a>
          <a href="/session">Session</a>
        </nav>
        <div class="visitor">
          !${user === undefined ? html`<a href="/sign-in">Sign in</a>` : signedIn(user)}
          <a class="cart-link" href="/cart">Cart <span class="badge">${itemsInCart()}</span></a>
        </div>
      </div>
    </header>
    <main id="main" class="wrap">
      !${message()}
      !${content}
      !${backstage === undefined ? '' : html`<aside class="backstage"><h2>Behind this page</h2>!${backstage}</aside>`}
    </main>
    <footer class="site-footer">
      <div class="wrap">
        <p>A shop that sells nothing: the demo of <strong>ambient-session</strong>.</p>
        <p>Things that go wrong: <a href="/nowhere">no such page</a>, <a href="/broken">a page that fails</a></p>
      </div>
    </footer>
    !${script === undefined ? '' : html`<script type="module" src="/assets/${script}"></script>`}
  `)
}

/** A document and nothing around its content. */
export function document (title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Still Life</title>
    <link rel="stylesheet" href="/assets/style.css">
    <link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
  </head>
  <body>!${body}</body>
</html>
`
}

function signedIn ({ name }: User): Html {
  return html`<span>${name}</span> !${postForm('/sign-out', html`<button class="plain">Sign out</button>`)}`
}

function message (): Html {
  const current = currentMessage()
  if (current === undefined) return ''
  return html`<p class="message ${current.kind}" role="${current.kind === 'problem' ? 'alert' : 'status'}">${current.text}</p>`
}
