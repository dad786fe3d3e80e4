import { type Product, products } from '../data/products.ts'
import { postForm } from './form.ts'
import { price } from './format.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

export function cataloguePage (): Html {
  return layout({
    title: 'Shop',
    content: html`
      <h1>Quiet things for a desk</h1>
      <ul class="products">!${products.map(productCard)}</ul>
    `,
    backstage: html`
      <p>“Add to cart” ends in <code>session().increment('cart.mug')</code>, in a function that was never handed a request
      (<code>demo/services/cart.ts</code>). Click as fast as you like, in as many tabs as you like: increments of requests
      that run at the same time add up. Stop the server and start it again: the cart is still there.</p>
    `
  })
}

function productCard (product: Product): Html {
  return html`<li class="product">
    <img src="/assets/${product.id}.svg" alt="" width="320" height="240">
    <div class="about">
      <h2>${product.name}</h2>
      <p>${product.description}</p>
    </div>
    <div class="buy">
      <span class="price">${price(product.price)}</span>
      !${postForm(`/cart/${product.id}/add`, html`<button aria-label="Add to cart: ${product.name}">Add to cart</button>`)}
    </div>
  </li>`
}
