/** What all servers have in common: the routes, their answers, and what the benchmark can ask for. */
import Fastify from 'fastify'
import { answer } from '../lib/wire.js'
import { NAME } from './visitor.js'

/**
 * @typedef {object} Stack
 * @property {(app: import('fastify').FastifyInstance) => unknown} register
 * @property {(request: import('fastify').FastifyRequest) => void} begin puts a new visitor's data into the session
 * @property {(request: import('fastify').FastifyRequest) => string} name reads from the session
 * @property {(request: import('fastify').FastifyRequest) => void} countVisit changes the session
 * @property {(request: import('fastify').FastifyRequest) => number} visits
 */

/**
 * As deployed: with the logger, and with a hook of the application's.
 *
 * @param {Stack} stack
 */
export async function serve (stack) {
  const app = Fastify({ logger: { level: 'info' } })
  await stack.register(app)
  let responses = 0
  app.addHook('onResponse', (request, reply, done) => {
    responses++
    done()
  })

  app.get('/untouched', () => ({ hello: NAME }))
  app.get('/read', request => ({ hello: stack.name(request) }))
  app.get('/write', request => {
    stack.countVisit(request)
    return { hello: NAME }
  })
  app.get('/new', request => {
    stack.begin(request)
    return { hello: NAME }
  })
  app.get('/visits', request => ({ visits: stack.visits(request) }))

  await app.listen({ port: 0, host: '127.0.0.1' })
  answer({
    port: () => app.server.address().port,
    // Microseconds, the thread pool's included.
    cpu: () => {
      const { user, system } = process.cpuUsage()
      return user + system
    },
    responses: () => responses
  })
}
