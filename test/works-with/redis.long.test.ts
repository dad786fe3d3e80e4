/** @fastify/redis: its connection is handed over to the driver redis. */
import { once } from 'node:events'
import redis, { type FastifyRedis } from '@fastify/redis'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import ambientSession, { session, SessionConfigError } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { hasRedisServer, redisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { listening } from '../http/support.ts'

const skip = await skipWithout('redis-server', hasRedisServer)

for (const namespace of [undefined, 'sessions']) {
  t.test(namespace === undefined ? 'app.redis is the connection' : 'app.redis.NAMESPACE is the connection', { skip }, async t => {
    const { url } = await redisServer(t)
    const redisOf = ({ redis }: FastifyInstance) => namespace === undefined ? redis : redis[namespace] as FastifyRedis
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(redis, namespace === undefined ? { url } : { url, namespace })
    await app.register(ambientSession, { driver: 'redis', connection: redisOf(app) })
    app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
    app.get('/', async () => session('name', 'no one'))
    await listening(app)
    const [ada, eve] = [visitor(app), visitor(app)]
    await ada.get('/in/ada')
    await eve.get('/in/eve')
    t.equal((await ada.get('/')).text, 'ada')
    t.equal((await eve.get('/')).text, 'eve')
    t.equal((await visitor(app).get('/')).text, 'no one')
    const ended = once(redisOf(app), 'end')
    await app.close()
    await ended
  })
}

t.test('app.redis with namespaces is refused with what to hand over', { skip }, async t => {
  const { url } = await redisServer(t)
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(redis, { url, namespace: 'sessions' })
  const error = await app.register(ambientSession, { driver: 'redis', connection: app.redis, sweep: false }).then(() => undefined, (error: unknown) => error)
  t.type(error, SessionConfigError)
  t.match(error, { message: /connection: .*app\.redis\.NAMESPACE/ })
})
