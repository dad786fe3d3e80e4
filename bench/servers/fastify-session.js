import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import fileStore from 'session-file-store'
import { serve } from './serve.js'
import { LIFETIME, SECRET } from './settings.js'
import { newVisitor } from './visitor.js'

const [kind, path] = process.argv.slice(2)

await serve({
  async register (app) {
    await app.register(cookie)
    await app.register(fastifySession, {
      secret: SECRET,
      cookie: { secure: false, maxAge: LIFETIME * 1000 },
      // As little writing as it can do: nothing for visitors who have no session, nothing where a session is only read.
      saveUninitialized: false,
      rolling: false,
      ...kind === 'file' && { store: new (fileStore(fastifySession))({ path, ttl: LIFETIME }) }
    })
  },
  begin ({ session }) { Object.assign(session, newVisitor()) },
  name: ({ session }) => session.name,
  countVisit ({ session }) { session.visits++ },
  visits: ({ session }) => session.visits
})
