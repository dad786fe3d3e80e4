import expressSession from 'express-session'
import fileStore from 'session-file-store'
import { serve } from './serve.js'
import { LIFETIME, newVisitor, SECRET } from './visitor.js'

const [, path] = process.argv.slice(2)

await serve({
  register (app) {
    const useSession = expressSession({
      secret: SECRET,
      cookie: { maxAge: LIFETIME * 1000 },
      saveUninitialized: false,
      resave: false,
      store: new (fileStore(expressSession))({ path, ttl: LIFETIME })
    })
    // Called straight from Fastify, so that Express itself is not part of what is measured.
    app.addHook('onRequest', ({ raw: request }, { raw: response }, done) => { useSession(request, response, done) })
  },
  begin ({ raw: { session } }) { Object.assign(session, newVisitor()) },
  name: ({ raw: { session } }) => session.name,
  countVisit ({ raw: { session } }) { session.visits++ },
  visits: ({ raw: { session } }) => session.visits
})
