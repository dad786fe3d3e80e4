/** The shop, put together. Read on in services/: that is where sessions are used. */
import formBody from '@fastify/formbody'
import ambientSession from 'ambient-session'
import Fastify, { type FastifyInstance } from 'fastify'
import { accountRoutes } from './routes/account.ts'
import { assetRoutes } from './routes/assets.ts'
import { cartRoutes } from './routes/cart.ts'
import { catalogueRoutes } from './routes/catalogue.ts'
import { contactRoutes } from './routes/contact.ts'
import { deviceRoutes } from './routes/devices.ts'
import { addErrorPages } from './routes/errors.ts'
import { pageHeaders } from './routes/page-headers.ts'
import { sessionRoutes } from './routes/session.ts'
import { watchRoutes } from './routes/watch.ts'
import { sessionFiles } from './session-files.ts'

export async function buildApp (): Promise<FastifyInstance> {
  const app = Fastify({ logger: { level: 'warn' } })

  await app.register(ambientSession, {
    files: sessionFiles,
    cookie: 'shop_session',
    lifetime: 120,
    csrf: true
  })
  await app.register(formBody)

  app.addHook('onRequest', pageHeaders)

  addErrorPages(app)
  await app.register(assetRoutes)
  await app.register(catalogueRoutes)
  await app.register(cartRoutes)
  await app.register(accountRoutes)
  await app.register(deviceRoutes)
  await app.register(watchRoutes)
  await app.register(contactRoutes)
  await app.register(sessionRoutes)
  return app
}
