import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import fileStore from 'session-file-store'
import { addresses } from '../lib/addresses.js'
import { serve } from './serve.js'
import { LIFETIME, SECRET } from './settings.js'
import { newVisitor } from './visitor.js'

const [kind, place] = process.argv.slice(2)

const storeOf = {
  file: () => new (fileStore(fastifySession))({ path: place, ttl: LIFETIME }),
  redis: async () => new RedisStore({ client: await createClient({ url: addresses.redis }).connect(), prefix: place })
}

await serve({
  async register (app) {
    await app.register(cookie)
    await app.register(fastifySession, {
      secret: SECRET,
      cookie: { secure: false, maxAge: LIFETIME * 1000 },
      // As little writing as it can do: nothing for visitors who have no session, nothing where a session is only read.
      saveUninitialized: false,
      rolling: false,
      ...kind !== 'memory' && { store: await storeOf[kind]() }
    })
  },
  begin ({ session }) { Object.assign(session, newVisitor()) },
  name: ({ session }) => session.name,
  countVisit ({ session }) { session.visits++ },
  visits: ({ session }) => session.visits
})
