/** What the log says of a store that fails, whether or not the application logs the errors of its requests. */
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { MemoryStore, session, SessionStoreError } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { Clock, Log, serve } from './support.ts'

/** Works, as long as nobody says that one of its methods fails. */
class FailingStore extends MemoryStore {
  failing: 'read' | 'compareAndSet' | undefined

  override read (...args: Parameters<MemoryStore['read']>): ReturnType<MemoryStore['read']> {
    return this.#unlessFailing('read', () => super.read(...args))
  }

  override compareAndSet (...args: Parameters<MemoryStore['compareAndSet']>): ReturnType<MemoryStore['compareAndSet']> {
    return this.#unlessFailing('compareAndSet', () => super.compareAndSet(...args))
  }

  #unlessFailing<T> (method: 'read' | 'compareAndSet', work: () => T): T {
    if (this.failing === method) throw new SessionStoreError('the session store has failed', { cause: new Error(`no ${method}`) })
    return work()
  }
}

async function failing (t: Test): Promise<{ app: FastifyInstance, store: FailingStore, log: Log }> {
  const [store, log] = [new FailingStore(), new Log()]
  const app = await serve(t, app => {
    app.setErrorHandler(async (_error, _request, reply) => reply.code(503).send('later'))
    app.get('/', async () => session().increment('visits'))
    app.get('/broken', async () => { throw new Error('of the application') })
  }, { driver: store }, { logger: log })
  return { app, store, log }
}

for (const method of ['read', 'compareAndSet'] as const) {
  t.test(`a store whose ${method} fails is told of with the cause, although no error of a request is logged`, async t => {
    const { app, store, log } = await failing(t)
    const ada = visitor(app)
    await ada.get('/')
    store.failing = method
    t.equal((await ada.get('/')).status, 503)
    t.match((await log.warnings(1)).filter(({ code }) => code === 'AMBIENT_SESSION_STORE'), [{
      level: 40, msg: /^the session store has failed, so that requests are answered with 503/, err: { code: 'ERR_SESSION_STORE', message: new RegExp(`no ${method}`) }
    }])
  })
}

t.test('a long outage is told of once a minute', async t => {
  const clock = new Clock(t, performance)
  const { app, store, log } = await failing(t)
  const ada = visitor(app)
  await ada.get('/')
  const told = (): number => log.entries.filter(({ code }) => code === 'AMBIENT_SESSION_STORE').length
  store.failing = 'read'
  await Promise.all(Array.from({ length: 20 }, () => ada.get('/')))
  t.equal(told(), 1)
  clock.advance(59)
  await ada.get('/')
  t.equal(told(), 1)
  clock.advance(1)
  await ada.get('/')
  t.equal(told(), 2)
})

t.test('an error of the application is none of the store', async t => {
  const { app, log } = await failing(t)
  t.equal((await visitor(app).get('/broken')).status, 503)
  t.same(log.lines, [])
})
