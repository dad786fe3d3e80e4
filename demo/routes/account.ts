import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { currentUser, signIn, signOut } from '../services/auth.ts'
import { accept, refuse } from '../services/forms.ts'
import { tell } from '../services/messages.ts'
import { rememberedPage } from '../services/return-to.ts'
import { ordersPage } from '../views/orders.ts'
import { signInPage } from '../views/sign-in.ts'
import { requireUser } from './guards.ts'

const credentials = z.object({
  name: z.string().trim().toLowerCase().min(1, 'Who are you?'),
  password: z.string().min(1, 'A password is needed, too.')
})

export const accountRoutes: FastifyPluginAsync = async app => {
  app.get('/sign-in', (_request, reply) => currentUser() === undefined ? signInPage() : reply.redirect('/', 303))

  app.post('/sign-in', (request, reply) => {
    const form = accept(credentials, request.body)
    if (form === undefined) return reply.redirect('/sign-in', 303)
    const user = signIn(form.name, form.password)
    if (user === undefined) {
      refuse({ password: 'This name and this password do not belong together.' }, request.body)
      return reply.redirect('/sign-in', 303)
    }
    tell(`Welcome, ${user.name}.`)
    return reply.redirect(rememberedPage(), 303)
  })

  app.post('/sign-out', (_request, reply) => {
    signOut()
    tell('You are signed out.')
    return reply.redirect('/', 303)
  })

  app.get('/orders', { preHandler: requireUser }, () => ordersPage())
}
