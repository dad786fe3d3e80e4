import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { accept } from '../services/forms.ts'
import { tell } from '../services/messages.ts'
import { contactPage } from '../views/contact.ts'
import { rememberThisPage } from './guards.ts'

const letter = z.object({
  name: z.string().trim().min(1, 'What may we call you?'),
  email: z.email('This does not look like an e-mail address.'),
  text: z.string().trim().min(10, 'Please write a little more: ten characters or so.').max(1000, 'A thousand characters is as much as we can take.')
})

export const contactRoutes: FastifyPluginAsync = async app => {
  app.get('/contact', { preHandler: rememberThisPage }, () => contactPage())

  app.post('/contact', (_request, reply) => {
    const form = accept(letter, reply, '/contact')
    if (form === undefined) return reply
    // Here a real shop would send the letter on its way.
    tell(`Thank you, ${form.name}. We will write back to ${form.email}.`)
    return reply.back('/contact')
  })
}
