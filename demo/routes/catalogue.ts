import type { FastifyPluginAsync } from 'fastify'
import { cataloguePage } from '../views/catalogue.ts'
import { rememberThisPage } from './guards.ts'

export const catalogueRoutes: FastifyPluginAsync = async app => {
  app.get('/', { preHandler: rememberThisPage }, () => cataloguePage())
}
