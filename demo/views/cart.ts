import { currentUser } from '../services/auth.ts'
import { type CartLine, cartLines, cartTotal } from '../services/cart.ts'
import { postForm } from './form.ts'
import { price } from './format.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

export function cartPage (): Html {
  const lines = cartLines()
  return layout({
    title: 'Cart',
    content: html`<h1>Your cart</h1>!${lines.length === 0 ? emptyCart : filledCart(lines)}`,
    backstage: html`
      <p>The cart belongs to the session, not to the user: it is there before you sign in, and
      <code>session().regenerate()</code> keeps it while the session gets a new id. The checkout route says
      <code>block: true</code>, so an order is placed once, however often its button is pressed.</p>
    `
  })
}

const emptyCart = html`<p class="empty">There is nothing in it yet. <a href="/">Look around the shop</a></p>`

function filledCart (lines: CartLine[]): Html {
  return html`
    <ul class="lines">!${lines.map(cartLine)}</ul>
    <div class="checkout">
      <p class="total">Total <strong>${price(cartTotal())}</strong></p>
      !${currentUser() === undefined
        ? html`<a class="button primary" href="/sign-in">Sign in and check out</a>`
        : postForm('/checkout', html`<button class="primary">Check out</button>`)}
    </div>
  `
}

function cartLine ({ product, quantity, price: sum }: CartLine): Html {
  return html`<li class="line">
    <img src="/assets/${product.id}.svg" alt="" width="96" height="72">
    <div class="about">
      <h2>${product.name}</h2>
      <p>${price(product.price)} each</p>
    </div>
    <div class="change">
      !${postForm(`/cart/${product.id}/quantity`, html`
        <input name="quantity" value="${quantity}" inputmode="numeric" maxlength="2" aria-label="Quantity of ${product.name}">
        <button aria-label="Change quantity of ${product.name}">Change</button>
      `)}
      !${postForm(`/cart/${product.id}/remove`, html`<button class="plain" aria-label="Remove ${product.name}">Remove</button>`)}
    </div>
    <span class="price">${price(sum)}</span>
  </li>`
}
