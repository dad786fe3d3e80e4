import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { findProduct } from '../data/products.ts'
import { addToCart, setQuantity } from '../services/cart.ts'
import { complain, repeatMessage, tell } from '../services/messages.ts'
import { placeOrder } from '../services/orders.ts'
import { cartPage } from '../views/cart.ts'
import { rememberThisPage, requireUser } from './guards.ts'

interface OfProduct { Params: { product: string } }

const quantities = z.object({ quantity: z.string().regex(/^\d{1,2}$/).transform(Number) })

export const cartRoutes: FastifyPluginAsync = async app => {
  app.get('/cart', { preHandler: rememberThisPage }, () => cartPage())

  app.post<OfProduct>('/cart/:product/add', (request, reply) => {
    const product = findProduct(request.params.product)
    if (product === undefined) return reply.callNotFound()
    addToCart(product)
    tell(`${product.name} added to your cart.`)
    return reply.redirect('/', 303)
  })

  app.post<OfProduct>('/cart/:product/quantity', (request, reply) => {
    const product = findProduct(request.params.product)
    if (product === undefined) return reply.callNotFound()
    const { data } = quantities.safeParse(request.body)
    if (data === undefined) complain('A quantity is a whole number from 0 to 99.')
    else setQuantity(product, data.quantity)
    return reply.redirect('/cart', 303)
  })

  app.post<OfProduct>('/cart/:product/remove', (request, reply) => {
    const product = findProduct(request.params.product)
    if (product === undefined) return reply.callNotFound()
    setQuantity(product, 0)
    tell(`${product.name} removed from your cart.`)
    return reply.redirect('/cart', 303)
  })

  // Reading the cart and emptying it belong together. With `block` a second click waits for the first, finds the cart empty,
  // and leads to the same page with the same message.
  app.post('/checkout', { preHandler: requireUser, config: { session: { block: true } } }, (_request, reply) => {
    const order = placeOrder()
    if (order !== undefined) tell(`Thank you! Your order number is ${order.number}.`)
    else if (!repeatMessage()) complain('There is nothing in your cart to order.')
    return reply.redirect('/orders', 303)
  })
}
