/** Whose session session() is, where Fastify and Node call back in another flow than the request's. */
import { once } from 'node:events'
import t from 'tap'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { hasSession, session } from '../../src/index.ts'
import { Connection, visitor } from '../helpers/client.ts'
import { SpyStore } from './stores.ts'
import { Clock, deferred, Gate, serve } from './support.ts'

function login (app: FastifyInstance): void {
  app.post<{ Params: { name: string } }>('/login/:name', async req => { session({ name: req.params.name }) })
}

function nameHere (): string {
  return hasSession() ? session('name', 'nobody') : 'no session'
}

const answers: Record<string, (app: FastifyInstance, url: string) => unknown> = {
  'an error that its handler throws': (app, url) => app.get(url, async () => { throw new Error('failed') }),
  'a commit that fails': (app, url) => app.get(url, async () => { session({ large: 'x'.repeat(2000) }) }),
  'a hijacked reply': (app, url) => app.get(url, async (_req, reply) => { reply.hijack(); reply.raw.setHeader('content-length', 1).end('x') }),
  'an end behind Fastify\'s back': (app, url) => app.get(url, (_req, reply) => { reply.raw.setHeader('content-length', 1).end('x') }),
  'a payload': (app, url) => app.get(url, async () => 'x')
}

for (const [what, route] of Object.entries(answers)) {
  t.test(`of two visitors on one connection, the first one slow, the second has its own session in onResponse, with ${what}`, async t => {
    const gate = new Gate()
    const [seen, finished] = [deferred<string>(), deferred<string>()]
    const app = await serve(t, app => {
      login(app)
      app.addHook('onRequest', async (req, reply) => { if (req.url === '/second') reply.raw.on('finish', () => { finished.resolve(nameHere()) }) })
      app.addHook('onResponse', async req => { if (req.url === '/second') seen.resolve(nameHere()) })
      app.get('/first', async () => { session('name'); await gate.pass(); return 'x' })
      route(app, '/second')
    }, { maxBytes: 1000 })
    const [ada, eve] = [visitor(app), visitor(app)]
    await ada.post('/login/ada')
    await eve.post('/login/eve')
    const connection = await Connection.open(app)
    connection.request('GET /first', { cookie: ada.cookieHeader })
    await gate.reached
    connection.request('GET /second', { cookie: eve.cookieHeader })
    await visitor(app).post('/login/mallory')
    gate.open()
    await connection.answer()
    await connection.answer()
    t.equal(await seen.promise, 'eve')
    t.not(await finished.promise, 'ada')
    connection.hangUp()
  })
}

t.test('onResponse hooks have their session, also behind an await and when the response has closed', async t => {
  const seen = deferred<string[]>()
  const names: string[] = []
  const app = await serve(t, app => {
    login(app)
    app.addHook('onResponse', async (req, reply) => {
      if (req.url !== '/') return
      names.push(nameHere())
      if (!reply.raw.closed) await once(reply.raw, 'close')
      names.push(nameHere())
      session().put('after', true)
      await session().save()
    })
    app.addHook('onResponse', (req, _reply, done) => {
      if (req.url === '/') seen.resolve([...names, nameHere()])
      done()
    })
    app.get('/', async () => 'x')
    app.get('/after', async () => session('after', false))
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  await ada.get('/')
  t.same(await seen.promise, ['ada', 'ada', 'ada'])
  t.equal((await ada.get('/after')).text, 'true')
})

t.test('what an onResponse hook leaves behind finds no session once the hooks are over', async t => {
  const [gate, seen] = [new Gate(), deferred<string>()]
  const app = await serve(t, app => {
    app.addHook('onResponse', async () => { void gate.pass().then(() => { seen.resolve(nameHere()) }) })
    app.addHook('onResponse', (_req, _reply, done) => { setImmediate(() => { done(); setImmediate(() => { gate.open() }) }) })
    app.get('/', async () => session('name', 'x'))
  })
  await visitor(app).get('/')
  t.equal(await seen.promise, 'no session')
})

t.test('an onResponse hook has its session also where the clock jumps meanwhile', async t => {
  const clock = new Clock(t)
  const seen = deferred<string>()
  const app = await serve(t, app => {
    login(app)
    app.addHook('onResponse', async () => {
      clock.advance(600)
      seen.resolve(nameHere())
    })
  })
  await visitor(app).post('/login/ada')
  t.equal(await seen.promise, 'ada')
})

t.test('what an onResponse hook leaves behind finds no session after a minute, where nothing says that the hooks are over', async t => {
  const clock = new Clock(t, performance)
  const [later, begun, over] = [new Gate(), deferred(), deferred()]
  const seen: string[] = []
  const app = await serve(t, app => {
    app.addHook('onResponse', async () => {
      void later.pass().then(() => {
        seen.push(nameHere())
        clock.advance(61)
        seen.push(nameHere())
        over.resolve()
      })
      begun.resolve()
    })
  })
  t.equal((await visitor(app).get('/missing')).status, 404)
  await begun.promise
  later.open()
  await over.promise
  t.same(seen, ['nobody', 'no session'])
})

t.test('the flow of a response that waited in a pipeline has no session when the connection was closed', async t => {
  const [first, second, closed] = [new Gate(), new Gate(), deferred()]
  const seen = deferred<string>()
  const app = await serve(t, app => {
    app.get('/first', async req => {
      req.raw.socket.once('close', () => { closed.resolve() })
      await first.pass()
    })
    app.get('/second', async () => {
      session({ name: 'eve' })
      void second.pass().then(() => { seen.resolve(nameHere()) })
      return 'x'
    })
  })
  const connection = await Connection.open(app)
  connection.request('GET /first')
  connection.request('GET /second')
  await second.reached
  connection.hangUp()
  await closed.promise
  second.open()
  t.equal(await seen.promise, 'no session')
  first.open()
})

t.test('the flow of a request whose client has left, and that Fastify never answers, has no session after a minute', async t => {
  const clock = new Clock(t, performance)
  const later = new Gate()
  const [reached, handled] = [deferred(), deferred()]
  const seen: string[] = []
  const over = deferred()
  const app = await serve(t, app => {
    login(app)
    app.post('/', async (_req, reply) => {
      void later.pass().then(() => {
        seen.push(nameHere())
        clock.advance(61)
        seen.push(nameHere())
        over.resolve()
      })
      reached.resolve()
      await once(reply.raw, 'close')
      setImmediate(() => { handled.resolve() })
    })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  const connection = await Connection.open(app)
  connection.request('POST /', { cookie: ada.cookieHeader, 'content-type': 'application/json', 'content-length': '2' }, '{}')
  await reached.promise
  connection.hangUp()
  await handled.promise
  later.open()
  await over.promise
  t.same(seen, ['ada', 'no session'])
})

t.test('the error handler after handlerTimeout has its session', async t => {
  const app = await serve(t, app => {
    login(app)
    app.setErrorHandler(async (_error, _req, reply) => reply.code(503).send(nameHere()))
    app.get('/', { handlerTimeout: 20 }, () => new Promise(() => {}))
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.match(await ada.get('/'), { status: 503, text: 'ada' })
})

t.test('onRequestAbort has its session', async t => {
  const [gate, seen] = [new Gate(), deferred<string>()]
  const app = await serve(t, app => {
    login(app)
    app.addHook('onRequestAbort', async _req => { seen.resolve(nameHere()) })
    app.get('/', async () => { await gate.pass() })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  const connection = await Connection.open(app)
  connection.request('GET /', { cookie: ada.cookieHeader })
  await gate.reached
  connection.hangUp()
  t.equal(await seen.promise, 'ada')
  gate.open()
})

t.test('a request whose client has left keeps its session until it is answered, and is committed without a warning', async t => {
  const [gate, seen] = [new Gate(), deferred<string>()]
  const replies: FastifyReply[] = []
  const app = await serve(t, app => {
    login(app)
    app.get('/slow', async (_req, slow) => {
      replies.push(slow)
      session({ before: true })
      await gate.pass()
      seen.resolve(nameHere())
      session({ paid: true })
      return 'x'
    })
    app.get('/all', async () => session().all())
  })
  const warnings: unknown[] = []
  const warn = (warning: unknown): void => { warnings.push(warning) }
  process.on('warning', warn)
  t.teardown(() => process.off('warning', warn))
  const ada = visitor(app)
  await ada.post('/login/ada')
  const connection = await Connection.open(app)
  connection.request('GET /slow', { cookie: ada.cookieHeader })
  await gate.reached
  const closed = Promise.all(replies.map(async ({ raw }) => { await once(raw, 'close') }))
  connection.hangUp()
  await closed
  gate.open()
  t.equal(await seen.promise, 'ada')
  for (let all = {}; !('paid' in all);) all = (await ada.get('/all')).json as object
  t.same((await ada.get('/all')).json, { name: 'ada', before: true, paid: true })
  t.same(warnings, [])
})

t.test('the flow of a hijacked reply has its session as long as its connection lives', async t => {
  const [gate, later] = [new Gate(), new Gate()]
  const [open, gone] = [deferred<string>(), deferred<string>()]
  const app = await serve(t, app => {
    login(app)
    app.get('/events', async (_req, reply) => {
      reply.hijack()
      reply.raw.write('x')
      await gate.pass()
      open.resolve(nameHere())
      await once(reply.raw, 'close')
      await later.pass()
      gone.resolve(nameHere())
    })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  const connection = await Connection.open(app)
  connection.request('GET /events', { cookie: ada.cookieHeader })
  await gate.reached
  gate.open()
  t.equal(await open.promise, 'ada')
  connection.hangUp()
  await later.reached
  later.open()
  t.equal(await gone.promise, 'no session')
})

t.test('an asynchronous store is called outside the flow of requests, which goes on behind each call', async t => {
  const [store, inStore, inHooks] = [new SpyStore(false), new Map<string, boolean>(), [] as string[]]
  store.before = method => { inStore.set(method, hasSession()) }
  const app = await serve(t, app => {
    login(app)
    app.get('/', async () => {
      session().increment('visits')
      await session().save()
      inHooks.push(`handler ${nameHere()}`)
      session().increment('visits')
      return 'x'
    })
    app.addHook('onResponse', async () => { inHooks.push(`onResponse ${nameHere()}`) })
  }, { driver: store })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.equal((await ada.get('/')).status, 200)
  await app.close()
  t.same(Object.fromEntries(inStore), { read: false, compareAndSet: false })
  t.same(inHooks, ['onResponse ada', 'handler ada', 'onResponse ada'])
})

t.test('an error handler that asks for a session before the store has answered is told so, and a store that fails later ends nothing', async t => {
  const [store, asked, answered] = [new SpyStore(false), deferred(), deferred()]
  const failure = deferred<unknown>()
  const app = await serve(t, app => {
    login(app)
    app.setErrorHandler(async (_error, _req, reply) => {
      try {
        session('name')
      } catch (error) {
        failure.resolve(error)
      }
      await reply.code(503).send('too slow')
    })
    app.get('/', async () => session('name'))
  }, { driver: store }, { handlerTimeout: 20 })
  const ada = visitor(app)
  await ada.post('/login/ada')
  store.before = async method => {
    if (method !== 'read') return
    asked.resolve()
    await failure.promise
    setImmediate(answered.resolve)
    throw new Error('connection lost')
  }
  t.equal((await ada.get('/')).text, 'too slow')
  await asked.promise
  t.match(await failure.promise, { name: 'SessionStoreError', code: 'ERR_SESSION_STORE', message: /has not been read yet/ })
  await answered.promise
  store.before = undefined
  t.equal((await ada.get('/')).text, 'ada')
})
