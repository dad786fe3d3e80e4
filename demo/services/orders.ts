/** Placing orders, and those placed so far. A real shop would keep them in its database; this one has only its sessions. */
import { randomInt } from 'node:crypto'
import { session } from 'ambient-session'
import { cartTotal, emptyCart, itemsInCart } from './cart.ts'

export interface Order {
  readonly number: string
  readonly placedAt: Date
  readonly items: number
  /** In cents. */
  readonly total: number
}

/**
 * Makes an order of what is in the cart, and empties it.
 *
 * @returns nothing when there is nothing to order
 */
export function placeOrder (): Order | undefined {
  const items = itemsInCart()
  if (items === 0) return undefined
  // A Date goes into a session and comes back as a Date.
  const order = { number: newOrderNumber(), placedAt: new Date(), items, total: cartTotal() }
  session().push('orders', order)
  emptyCart()
  return order
}

/** @returns the newest first */
export function placedOrders (): Order[] {
  return session('orders', []).toReversed()
}

function newOrderNumber (): string {
  return `SL-${randomInt(100_000, 1_000_000)}`
}
