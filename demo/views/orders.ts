import { type Order, placedOrders } from '../services/orders.ts'
import { moment, price } from './format.ts'
import { html, type Html } from './html.ts'
import { layout } from './layout.ts'

export function ordersPage (): Html {
  const orders = placedOrders()
  return layout({
    title: 'Your orders',
    content: html`
      <h1>Your orders</h1>
      !${orders.length === 0 ? html`<p class="empty">None yet. <a href="/">Look around the shop</a></p>` : table(orders)}
    `,
    backstage: html`
      <p>Guests who ask for this page are sent to sign in and come back here afterwards. Each order holds a
      <code>Date</code>, which comes out of the session as the <code>Date</code> that went in. Signing out calls
      <code>session().invalidate()</code>, which ends the session with all that is in it.</p>
    `
  })
}

function table (orders: Order[]): Html {
  return html`<div class="scroll"><table class="orders">
    <thead><tr><th scope="col">Number</th><th scope="col">Placed</th><th scope="col">Items</th><th scope="col">Total</th></tr></thead>
    <tbody>!${orders.map(row)}</tbody>
  </table></div>`
}

function row ({ number, placedAt, items, total }: Order): Html {
  return html`<tr><td>${number}</td><td>${moment(placedAt)}</td><td>${items}</td><td>${price(total)}</td></tr>`
}
