import multipart from '@fastify/multipart'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { accept } from '../services/forms.ts'
import { sendLetter } from '../services/letters.ts'
import { tell } from '../services/messages.ts'
import { LARGEST_FILE, receive } from '../services/uploads.ts'
import { contactPage } from '../views/contact.ts'
import { rememberThisPage } from './guards.ts'

const picture = z.object({ name: z.string(), type: z.string(), size: z.number(), isTooLarge: z.boolean() })
  .refine(({ type }) => type.startsWith('image/'), 'Only a picture can come with it.')
  .refine(({ isTooLarge }) => !isTooLarge, 'A picture of at most one megabyte, please.')

const letter = z.object({
  name: z.string().trim().min(1, 'What may we call you?'),
  email: z.email('This does not look like an e-mail address.'),
  text: z.string().trim().min(10, 'Please write a little more: ten characters or so.').max(1000, 'A thousand characters is as much as we can take.'),
  picture: picture.optional()
})

export const contactRoutes: FastifyPluginAsync = async app => {
  // A file that is too large is cut off and not an error, so that the form comes back with a word on it.
  await app.register(multipart, { attachFieldsToBody: 'keyValues', onFile: receive, throwFileSizeLimit: false, limits: { files: 1, fileSize: LARGEST_FILE } })

  app.get('/contact', { preHandler: rememberThisPage }, () => contactPage())

  // Whether the letter was sent before is asked with `block`: a second click waits for the first one.
  app.post('/contact', { config: { session: { block: true } } }, (_request, reply) => {
    const form = accept(letter, reply, '/contact')
    if (form === undefined) return reply
    sendLetter(form)
    tell(`Thank you, ${form.name}. We will write back to ${form.email}.`)
    return reply.back('/contact')
  })
}
