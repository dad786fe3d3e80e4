/** From when on a reply has been sent: as without sessions, also while a session is still being stored. */
import { once } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import { MemoryStore, session, type SessionStore } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { deferred, Log, serve } from './support.ts'
import { SpyStore } from './stores.ts'

const stores = [
  { name: 'a store that answers at once', driver: () => 'memory' as const },
  { name: 'a store that answers later', driver: () => new SpyStore() }
]

for (const { name, driver } of stores) {
  t.test(`${name}: a hook that answers keeps the handler from running, although it does not return the reply`, async t => {
    const app = await serve(t, app => {
      app.addHook('preHandler', async (req, reply) => {
        if (req.url === '/') return
        session().increment('refused')
        void reply.code(401).send('denied')
      })
      app.get('/', async () => session().all())
      app.post('/admin', async () => { session({ user: 'admin' }) })
    }, { driver: driver() })
    const ada = visitor(app)
    for (let n = 0; n < 2; n++) t.match(await ada.post('/admin'), { status: 401, text: 'denied' })
    t.same((await ada.get('/')).json, { refused: 2 })
  })

  t.test(`${name}: a handler that sends and does not return the reply has answered once`, async t => {
    const log = new Log()
    let answers = 0
    const app = await serve(t, app => {
      app.addHook('onSend', async () => { answers++ })
      app.post('/', async (_req, reply) => {
        session().increment('n')
        void reply.send('done')
      })
      app.post('/throws', async (_req, reply) => {
        session().increment('n')
        void reply.send('done')
        throw new Error('afterwards')
      })
    }, { driver: driver() }, { logger: log })
    t.match(await visitor(app).post('/'), { status: 200, text: 'done' })
    t.same(log.lines, [])
    t.match(await visitor(app).post('/throws'), { status: 200, text: 'done' })
    t.equal(answers, 2)
  })

  t.test(`${name}: a stream that fails before it is read is answered as an error`, async t => {
    const app = await serve(t, app => {
      app.post('/', (_req, reply) => {
        session().increment('n')
        const stream = new Readable({ read () {} })
        void reply.send(stream)
        process.nextTick(() => { stream.destroy(new Error('not to be read')) })
      })
    }, { driver: driver() })
    t.match(await visitor(app).post('/'), { status: 500 })
  })
}

for (const { name, driver } of stores) {
  t.test(`${name}: what is thrown after a redirect was asked for takes its place, and is answered once`, async t => {
    const log = new Log()
    const statuses: number[] = []
    const app = await serve(t, app => {
      app.addHook('onSend', async (_req, reply) => { statuses.push(reply.statusCode) })
      for (const ask of ['back', 'guest', 'intended'] as const) {
        app.get(`/${ask}`, (req, reply) => {
          req.session.asked = ask
          reply[ask]('/x')
          throw new Error('boom')
        })
      }
      app.get('/all', async () => session().all())
    }, { driver: driver() }, { logger: log })
    for (const ask of ['back', 'guest', 'intended']) {
      const ada = visitor(app)
      const { status, json, headers } = await ada.get(`/${ask}`)
      t.match([status, json, headers.get('location')], [500, { message: 'boom' }, null], ask)
      t.match((await ada.get('/all')).json, { asked: ask })
    }
    t.same(statuses.filter(status => status !== 200), [500, 500, 500])
    t.match(log.entries, Array(3).fill({ err: { message: 'boom' } }))
  })

  t.test(`${name}: an error handler leads back where the handler was about to lead elsewhere`, async t => {
    const app = await serve(t, app => {
      app.setErrorHandler((_error, _req, reply) => { reply.back('/form') })
      app.get('/', (req, reply) => {
        req.session.asked = true
        reply.back('/x')
        throw new Error('boom')
      })
    }, { driver: driver() })
    const { status, headers } = await visitor(app).get('/')
    t.same([status, headers.get('location')], [302, '/form'])
  })

  t.test(`${name}: a redirect that is asked for after the answer changes nothing`, async t => {
    const app = await serve(t, app => {
      app.get('/', (req, reply) => {
        req.session.asked = true
        void reply.send('hello')
        reply.back('/x')
      })
      app.get('/guest', async (req, reply) => {
        req.session.asked = true
        void reply.send('hello')
        reply.guest('/x')
        return reply
      })
    }, { driver: driver() })
    for (const path of ['/', '/guest']) t.match(await visitor(app).get(path), { status: 200, text: 'hello' })
  })

  t.test(`${name}: a hook with a callback that redirects keeps the handler from running`, async t => {
    let hasRun = false
    const app = await serve(t, app => {
      for (const ask of ['back', 'guest', 'intended'] as const) {
        const preHandler = (_req: FastifyRequest, reply: FastifyReply, done: () => void): void => {
          reply.with('message', 'no')[ask]('/x')
          done()
        }
        app.get(`/${ask}`, { preHandler }, async () => {
          hasRun = true
          return 'secret'
        })
      }
    }, { driver: driver() })
    for (const ask of ['back', 'guest', 'intended']) t.match(await visitor(app).get(`/${ask}`), { status: 302, text: '' }, ask)
    t.notOk(hasRun)
  })
}

const streams: Record<string, () => { body: unknown, closed: Promise<unknown> }> = {
  'a stream of Node.js': () => {
    const body = new Readable({ read () {} })
    return { body, closed: once(body, 'close') }
  },
  'a stream that is destroyed with an error': () => {
    const body = new Readable({ read () {}, destroy (_error, callback) { callback(new Error('aborted')) } })
    return { body, closed: new Promise(resolve => { body.once('close', resolve) }) }
  },
  'the body of a web response': () => {
    const closed = deferred()
    return { body: new Response(new ReadableStream({ cancel () { closed.resolve() } })), closed: closed.promise }
  }
}

for (const [what, open] of Object.entries(streams)) {
  for (const isSynchronous of [true, false]) {
    t.test(`${what} that is not sent, because the session could not be stored, is closed (${isSynchronous ? 'at once' : 'later'})`, async t => {
      const { body, closed } = open()
      const driver: SessionStore = isSynchronous ? Object.assign(new MemoryStore(), { compareAndSet () { throw new Error('out of order') } }) : new SpyStore(false)
      if (driver instanceof SpyStore) driver.before = () => { throw new Error('out of order') }
      const app = await serve(t, app => {
        app.get('/', async () => {
          session().increment('n')
          return body
        })
      }, { driver })
      t.equal((await visitor(app).get('/')).status, 500)
      await closed
    })
  }
}
