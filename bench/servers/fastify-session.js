import cookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'
import fileStore from 'session-file-store'
import { serve } from './serve.js'
import { LIFETIME, newVisitor, SECRET } from './visitor.js'

const [kind, directory, redis] = process.argv.slice(2)

const storeOf = {
  memory: () => undefined,
  file: () => new (fileStore(fastifySession))({ path: directory, ttl: LIFETIME }),
  redis: async () => new RedisStore({ client: await createClient({ url: redis }).connect(), prefix: 'fastify_session:' })
}

await serve({
  async register (app) {
    const store = await storeOf[kind]()
    await app.register(cookie)
    await app.register(fastifySession, {
      secret: SECRET,
      cookie: { secure: false, maxAge: LIFETIME * 1000 },
      // As little writing as it can do: nothing for visitors who have no session, nothing where a session is only read.
      saveUninitialized: false,
      rolling: false,
      ...store !== undefined && { store }
    })
  },
  begin ({ session }) { Object.assign(session, newVisitor()) },
  name: ({ session }) => session.name,
  countVisit ({ session }) { session.visits++ },
  visits: ({ session }) => session.visits
})
