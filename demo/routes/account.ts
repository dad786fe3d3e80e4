import { session } from 'ambient-session'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { currentUser, signIn, signOut } from '../services/auth.ts'
import { accept } from '../services/forms.ts'
import { tell } from '../services/messages.ts'
import { ordersPage } from '../views/orders.ts'
import { signInPage } from '../views/sign-in.ts'
import { requireUser } from './guards.ts'

const credentials = z.object({
  name: z.string().trim().toLowerCase().min(1, 'Who are you?'),
  password: z.string().min(1, 'A password is needed, too.'),
  remember: z.literal('on').optional()
})

export const accountRoutes: FastifyPluginAsync = async app => {
  app.get('/sign-in', (_request, reply) => currentUser() === undefined ? signInPage() : reply.redirect('/', 303))

  app.post('/sign-in', (_request, reply) => {
    const form = accept(credentials, reply, '/sign-in')
    if (form === undefined) return reply
    const user = signIn(form.name, form.password, form.remember === 'on')
    if (user === undefined) {
      return reply.withErrors({ password: 'This name and this password do not belong together.' }).withInput().back('/sign-in')
    }
    tell(`Welcome, ${user.name}.`)
    return reply.intended(session().previousUrl() ?? '/')
  })

  app.post('/sign-out', (_request, reply) => {
    signOut()
    tell('You are signed out.')
    return reply.redirect('/', 303)
  })

  app.get('/orders', { preHandler: requireUser }, () => ordersPage())
}
