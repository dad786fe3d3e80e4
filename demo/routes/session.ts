import type { FastifyPluginAsync } from 'fastify'
import { sessionPage } from '../views/session.ts'

export const sessionRoutes: FastifyPluginAsync = async app => {
  app.get('/session', () => sessionPage())
}
