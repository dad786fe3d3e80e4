/** The visitor's cart. No function here is handed a request or a session: `session()` finds it. */
import { session } from 'ambient-session'
import { type Product, products } from '../data/products.ts'

export interface CartLine {
  readonly product: Product
  readonly quantity: number
  /** In cents. */
  readonly price: number
}

export function addToCart ({ id }: Product): void {
  // Not a get, an addition and a put: increments of requests that run at the same time add up.
  session().increment(`cart.${id}`)
}

export function setQuantity ({ id }: Product, quantity: number): void {
  if (quantity === 0) session().forget(`cart.${id}`)
  else session().put(`cart.${id}`, quantity)
}

export function emptyCart (): void {
  session().forget('cart')
}

export function cartLines (): CartLine[] {
  const cart = session('cart') ?? {}
  return products.flatMap(product => {
    const quantity = cart[product.id] ?? 0
    return quantity === 0 ? [] : [{ product, quantity, price: quantity * product.price }]
  })
}

export function itemsInCart (): number {
  return cartLines().reduce((sum, { quantity }) => sum + quantity, 0)
}

/** @returns cents */
export function cartTotal (): number {
  return cartLines().reduce((sum, { price }) => sum + price, 0)
}
