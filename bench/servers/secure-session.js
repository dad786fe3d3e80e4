import secureSession from '@fastify/secure-session'
import { serve } from './serve.js'
import { LIFETIME, newVisitor } from './visitor.js'

const KEY_BYTES = 32

await serve({
  register: app => app.register(secureSession, { key: Buffer.alloc(KEY_BYTES, 1), expiry: LIFETIME, cookie: { path: '/', httpOnly: true } }),
  begin ({ session }) {
    for (const [key, value] of Object.entries(newVisitor())) session.set(key, value)
  },
  name: ({ session }) => session.get('name'),
  countVisit ({ session }) { session.set('visits', session.get('visits') + 1) },
  visits: ({ session }) => session.get('visits')
})
