/** What a route can say of its session. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import ambientSession, { type LockOptions, MemoryStore, type RouteSessionOptions, session, SessionLockTimeoutError, type StoreKey, type Unlock } from '../../src/index.ts'
import { Connection, visitor, type Visitor } from '../helpers/client.ts'
import { Clock, COOKIE, deferred, Gate, listening, Log, serve } from './support.ts'
import { SpyStore } from './stores.ts'

function routes (app: FastifyInstance): void {
  app.post('/login', async () => { session({ user: { name: 'ada', roles: ['admin'] } }) })
  app.post('/logout', async () => { session().invalidate() })
  app.get('/all', async () => session().all())
}

async function loggedIn (app: FastifyInstance): Promise<Visitor> {
  const ada = visitor(app)
  await ada.post('/login')
  return ada
}

// session: false ------------------------------------------------------------------------------------------------------

t.test('a route with session: false answers without a look at cookie or store', async t => {
  const driver = new SpyStore(false)
  const app = await serve(t, app => {
    routes(app)
    app.get('/health', { config: { session: false } }, async () => 'fine')
  }, { driver, previousUrl: true })
  const ada = await loggedIn(app)
  driver.takeCalls()
  const answer = await ada.get('/health')
  t.equal(answer.text, 'fine')
  t.equal(answer.headers.get('vary'), null)
  t.same(driver.calls, [])
})

t.test('on a route with session: false req.session() is an error that says so', async t => {
  const app = await serve(t, app => {
    app.get('/health', { config: { session: false } }, async req => req.session('a', 1))
  })
  t.match((await visitor(app).get('/health')).json, { statusCode: 500, code: 'ERR_SESSION_CONTEXT', message: /session: false/ })
})

// readonly ------------------------------------------------------------------------------------------------------------

const readonly = { config: { session: { readonly: true } } }

t.test('a read-only route reads', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/poll', readonly, async () => session('user.name', 'nobody'))
  })
  t.equal((await (await loggedIn(app)).get('/poll')).text, 'ada')
})

const changes: Record<string, () => unknown> = {
  put: () => { session().put('a', 1) },
  'session({ … })': () => { session({ a: 1 }) },
  increment: () => session().increment('a'),
  flash: () => { session().flash('a') },
  now: () => { session().now('a', 1) },
  reflash: () => { session().reflash() },
  pull: () => session().pull('user'),
  flush: () => { session().flush() },
  regenerate: () => { session().regenerate() },
  invalidate: () => { session().invalidate() },
  'the first token': () => session().token(),
  setPreviousUrl: () => { session().setPreviousUrl('/') }
}

for (const [name, change] of Object.entries(changes)) {
  t.test(`a read-only route refuses ${name}`, async t => {
    const app = await serve(t, app => {
      routes(app)
      app.get('/poll', readonly, async () => change())
    })
    const ada = await loggedIn(app)
    t.match((await ada.get('/poll')).json, { statusCode: 500, code: 'ERR_SESSION_READONLY', message: /readonly/ })
    t.same((await ada.get('/all')).json, { user: { name: 'ada', roles: ['admin'] } })
  })
}

t.test('a read-only route refuses req.session.touch()', async t => {
  const app = await serve(t, app => {
    app.get('/', { config: { session: { readonly: true } } }, async req => { req.session.touch() })
  })
  t.match(await visitor(app).get('/'), { status: 500, json: { code: 'ERR_SESSION_READONLY' } })
})

t.test('what a read-only route hands out is frozen, however deep', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/poll', readonly, async () => {
      const user = session('user') as { name: string, roles: string[] }
      user.roles.push('root')
    })
  })
  const ada = await loggedIn(app)
  t.match((await ada.get('/poll')).json, { statusCode: 500, message: /not extensible/ })
  t.same((await ada.get('/all')).json, { user: { name: 'ada', roles: ['admin'] } })
})

t.test('a read-only route leaves flash data for the next request', async t => {
  const app = await serve(t, app => {
    app.post('/flash', async () => { session().flash('status', 'saved') })
    app.get('/poll', readonly, async () => session('status', 'none'))
    app.get('/page', async () => session('status', 'none'))
  })
  const ada = visitor(app)
  await ada.post('/flash')
  const texts = []
  for (const path of ['/poll', '/poll', '/page', '/page']) texts.push((await ada.get(path)).text)
  t.same(texts, ['saved', 'saved', 'saved', 'none'])
})

t.test('a read-only route does not move the expiry', async t => {
  const clock = new Clock(t)
  const app = await serve(t, app => {
    routes(app)
    app.get('/poll', readonly, async () => session('user.name', 'nobody'))
  }, { lifetime: 10 })
  const ada = await loggedIn(app)
  clock.advance(9 * 60)
  const answer = await ada.get('/poll')
  t.equal(answer.text, 'ada')
  t.same(answer.setCookies, [])
  clock.advance(2 * 60)
  t.equal((await ada.get('/poll')).text, 'nobody')
})

t.test('a read-only route is no page to go back to', async t => {
  const app = await serve(t, app => {
    app.get('/page', async () => 'page')
    app.get('/poll', readonly, async () => session().previousUrl())
  }, { previousUrl: true })
  const ada = visitor(app)
  await ada.get('/page')
  await ada.get('/poll')
  t.match((await ada.get('/poll')).text, /\/page$/)
})

// block ---------------------------------------------------------------------------------------------------------------

/** Adds a route that reads, waits and writes: without a lock the last one to write wins. */
function addCounter (app: FastifyInstance, block: RouteSessionOptions | undefined): void {
  app.post('/count', block === undefined ? {} : { config: { session: block } }, async () => {
    const count = session('count', 0)
    await turn()
    await turn()
    session().put('count', count + 1)
    return count
  })
}

for (const kind of ['a store that locks', 'a store that cannot lock', 'an asynchronous store'] as const) {
  t.test(`requests on a blocking route work on the session one at a time, with ${kind}`, async t => {
    const driver = kind === 'a store that locks' ? 'memory' : new SpyStore(kind === 'a store that cannot lock')
    const app = await serve(t, app => {
      routes(app)
      addCounter(app, { block: true })
    }, { driver })
    const ada = await loggedIn(app)
    await Promise.all(Array.from({ length: 10 }, () => ada.post('/count')))
    t.match((await ada.get('/all')).json, { count: 10 })
  })
}

t.test('block can be the default of all routes', async t => {
  const app = await serve(t, app => {
    routes(app)
    addCounter(app, undefined)
  }, { block: true })
  const ada = await loggedIn(app)
  await Promise.all(Array.from({ length: 10 }, () => ada.post('/count')))
  t.match((await ada.get('/all')).json, { count: 10 })
})

/** Serves a blocking route that waits at a gate, beside routes that may or may not block. */
async function gated (t: Parameters<typeof serve>[0], block: RouteSessionOptions['block'], byDefault = false): Promise<{ app: FastifyInstance, ada: Visitor, gate: Gate }> {
  const gate = new Gate()
  const app = await serve(t, app => {
    routes(app)
    app.get('/hold', { config: { session: { block: { lock: 60 } } } }, async () => { await gate.pass(); return 'held' })
    app.get('/next', block === undefined ? {} : { config: { session: { block } } }, async () => session('user.name', 'nobody'))
  }, { block: byDefault })
  return { app, ada: await loggedIn(app), gate }
}

t.test('a route that does not block does not wait for one that does', async t => {
  const { ada, gate } = await gated(t, undefined)
  const held = ada.get('/hold')
  await gate.reached
  t.equal((await ada.get('/next')).text, 'ada')
  gate.open()
  t.equal((await held).text, 'held')
})

t.test('a route can step out of the default with block: false', async t => {
  const { ada, gate } = await gated(t, false, true)
  const held = ada.get('/hold')
  await gate.reached
  t.equal((await ada.get('/next')).text, 'ada')
  gate.open()
  await held
})

t.test('visitors do not wait for one another', async t => {
  const { app, ada, gate } = await gated(t, true)
  const eve = await loggedIn(app)
  const held = ada.get('/hold')
  await gate.reached
  t.equal((await eve.get('/next')).text, 'ada')
  t.equal((await visitor(app).get('/next')).text, 'nobody')
  gate.open()
  await held
})

t.test('a request that has to wait too long is answered with 423 and told when to come back', async t => {
  const { ada, gate } = await gated(t, { wait: 0 })
  const held = ada.get('/hold')
  await gate.reached
  const answer = await ada.get('/next')
  t.match(answer.json, { statusCode: 423, code: 'ERR_SESSION_LOCK_TIMEOUT' })
  t.equal(answer.headers.get('retry-after'), '1')
  gate.open()
  await held
  t.equal((await ada.get('/next')).text, 'ada')
})

t.test('a store is asked for whole milliseconds', async t => {
  const asked: LockOptions[] = []
  class LockingStore extends MemoryStore {
    override lock (...[key, options]: Parameters<MemoryStore['lock']>): ReturnType<MemoryStore['lock']> {
      asked.push(options)
      return super.lock(key, options)
    }
  }
  const app = await serve(t, routes, { driver: new LockingStore(), block: { lock: 1.2345, wait: 2.01 } })
  await (await loggedIn(app)).get('/all')
  t.same(asked.at(-1), { lease: 1235, wait: 2010 })
})

t.test('a request whose session could not be read does not keep its lock', async t => {
  const store = new SpyStore(false)
  const app = await serve(t, app => {
    routes(app)
    app.get('/next', { config: { session: { block: { wait: 0 } } } }, async () => session('user.name', 'nobody'))
  }, { driver: store })
  const ada = await loggedIn(app)
  store.before = method => {
    if (method !== 'read') return
    store.before = undefined
    throw new Error('the store is out of order')
  }
  t.equal((await ada.get('/next')).status, 500)
  t.equal((await ada.get('/next')).text, 'ada')
})

t.test('an error handler that reaches for the session of a request that waited too long ends in a 423 all the same', async t => {
  const gate = new Gate()
  const app = await serve(t, app => {
    routes(app)
    app.setErrorHandler(async () => session('user.name'))
    app.get('/hold', { config: { session: { block: true } } }, async () => { await gate.pass(); return 'held' })
    app.get('/next', { config: { session: { block: { wait: 0 } } } }, async () => 'never')
  }, { driver: new SpyStore(false) })
  const ada = await loggedIn(app)
  const held = ada.get('/hold')
  await gate.reached
  t.match((await ada.get('/next')).json, { statusCode: 423, code: 'ERR_SESSION_LOCK_TIMEOUT' })
  gate.open()
  await held
})

t.test('a handler that throws lets go of the session', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/fails', { config: { session: { block: { wait: 0 } } } }, async () => { throw new Error('sorry') })
  })
  const ada = await loggedIn(app)
  t.match((await ada.get('/fails')).json, { message: 'sorry' })
  t.match((await ada.get('/fails')).json, { message: 'sorry' })
})

/** The lock would outlast the waiting: only letting go of it lets the next one in. */
const patient = { lock: 60, wait: 5 }

/** Opens a connection, and gives its other end as well. */
async function connected (app: FastifyInstance): Promise<[Connection, Socket]> {
  const accepted = once(app.server, 'connection')
  const connection = await Connection.open(app)
  const [socket] = await accepted as [Socket]
  return [connection, socket]
}

async function hangUp (connection: Connection, socket: Socket): Promise<void> {
  // In the middle of a body it is an error as well.
  const closed = new Promise(resolve => { socket.once('close', resolve) })
  connection.hangUp()
  await closed
}

t.test('a client that disconnects cannot have done twice at once what a route does for it', async t => {
  const { app, ada, gate } = await gated(t, { wait: 0 })
  const [connection, socket] = await connected(app)
  connection.request('GET /hold', { cookie: ada.cookieHeader })
  await gate.reached
  await hangUp(connection, socket)
  t.equal((await ada.get('/next')).status, 423)
  gate.open()
})

t.test('a request whose client has disconnected lets go of the session when it is answered', async t => {
  const { app, ada, gate } = await gated(t, patient)
  const [connection, socket] = await connected(app)
  connection.request('GET /hold', { cookie: ada.cookieHeader })
  await gate.reached
  await hangUp(connection, socket)
  gate.open()
  t.equal((await ada.get('/next')).text, 'ada')
})

t.test('a request that waits behind another one of its connection lets go of the session when their client disconnects', async t => {
  const [slow, gate] = [new Gate(), new Gate()]
  const app = await serve(t, app => {
    routes(app)
    app.get('/slow', async () => { await slow.pass() })
    app.get('/hold', { config: { session: { block: patient } } }, async () => { session('user.name'); await gate.pass(); return 'held' })
    app.get('/next', { config: { session: { block: patient } } }, async () => session('user.name', 'nobody'))
  })
  const ada = await loggedIn(app)
  const [connection, socket] = await connected(app)
  connection.request('GET /slow')
  await slow.reached
  connection.request('GET /hold', { cookie: ada.cookieHeader })
  await gate.reached
  gate.open()
  await hangUp(connection, socket)
  t.equal((await ada.get('/next')).text, 'ada')
  slow.open()
})

t.test('a client that disconnects while it waits for its turn does not keep the next one from it', async t => {
  const [gate, waiting] = [new Gate(), deferred()]
  const driver = new MemoryStore()
  const lock = driver.lock.bind(driver)
  let asked = 0
  driver.lock = (key, options) => {
    if (++asked === 2) waiting.resolve()
    return lock(key, options)
  }
  const app = await serve(t, app => {
    routes(app)
    app.get('/hold', { config: { session: { block: patient } } }, async () => { await gate.pass(); return 'held' })
    app.get('/next', { config: { session: { block: patient } } }, async () => session('user.name', 'nobody'))
  }, { driver })
  const ada = await loggedIn(app)
  const held = ada.get('/hold')
  await gate.reached

  const [connection, socket] = await connected(app)
  connection.request('GET /next', { cookie: ada.cookieHeader })
  await waiting.promise
  await hangUp(connection, socket)
  gate.open()
  await held
  t.equal((await ada.get('/next')).text, 'ada')
})

t.test('a client that disconnects while its session is read, in the middle of its body, does not keep the next one from it', async t => {
  const [reading, gate] = [deferred(), new Gate()]
  const driver = new SpyStore(false)
  let isDue = false
  driver.before = async method => {
    if (method !== 'read' || !isDue) return
    isDue = false
    reading.resolve()
    await gate.pass()
  }
  const app = await serve(t, app => {
    routes(app)
    app.post('/next', { config: { session: { block: patient } } }, async () => session('user.name', 'nobody'))
  }, { driver })
  const ada = await loggedIn(app)
  isDue = true
  const [connection, socket] = await connected(app)
  connection.request('POST /next', { cookie: ada.cookieHeader, 'content-type': 'application/json', 'content-length': '100' }, '{')
  await reading.promise
  await hangUp(connection, socket)
  gate.open()
  t.equal((await ada.post('/next')).text, 'ada')
})

t.test('a request whose answer waits behind that of another lets it have the session', async t => {
  const [gate, second] = [new Gate(), deferred()]
  const app = Fastify()
  app.addHook('onRequest', async ({ url }) => { if (url === '/first') await gate.pass() })
  await app.register(ambientSession, { driver: 'memory', block: patient })
  routes(app)
  app.get('/first', async () => session('user.name', 'nobody'))
  app.get('/second', { onSend: async () => { second.resolve() } }, async () => session('user.name', 'nobody'))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(() => app.close())
  const ada = await loggedIn(app)
  const connection = await Connection.open(app)
  connection.request('GET /first', { cookie: ada.cookieHeader })
  await gate.reached
  connection.request('GET /second', { cookie: ada.cookieHeader })
  await second.promise
  gate.open()
  t.match([(await connection.answer()).body, (await connection.answer()).body], ['ada', 'ada'])
})

t.test('times of a block are passed to the store in milliseconds', async t => {
  const asked: [StoreKey, LockOptions][] = []
  const driver = Object.assign(new SpyStore(), {
    lock: async (key: StoreKey, options: LockOptions): Promise<Unlock> => { asked.push([key, options]); return () => {} }
  })
  const app = await serve(t, app => {
    routes(app)
    app.get('/default', { config: { session: { block: true } } }, async () => session().key)
    app.get('/own', { config: { session: { block: { lock: 5, wait: 1.5 } } } }, async () => session().key)
  }, { driver })
  const ada = await loggedIn(app)
  const { text: key } = await ada.get('/default')
  await ada.get('/own')
  t.same(asked, [[key, { lease: 10_000, wait: 10_000 }], [key, { lease: 5000, wait: 1500 }]])
})

t.test('a lock that cannot be let go is reported and fails no request', async t => {
  const log = new Log()
  const driver = Object.assign(new SpyStore(), {
    lock: async (): Promise<Unlock> => () => Promise.reject(new Error('connection lost'))
  })
  const app = await serve(t, app => {
    routes(app)
    app.get('/', { config: { session: { block: true } } }, async () => 'fine')
  }, { driver }, { logger: log })
  const ada = await loggedIn(app)
  t.equal((await ada.get('/')).text, 'fine')
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_STORE', msg: /runs out by itself/, err: { message: 'connection lost' } }])
})

t.test('a lock that cannot be taken for another reason fails the request', async t => {
  const driver = Object.assign(new SpyStore(), {
    lock: (): Promise<Unlock> => Promise.reject(new Error('connection lost'))
  })
  const app = await serve(t, app => {
    routes(app)
    app.get('/', { config: { session: { block: true } } }, async () => 'never')
  }, { driver })
  const answer = await (await loggedIn(app)).get('/')
  t.match(answer.json, { statusCode: 500, message: 'connection lost' })
  t.equal(answer.headers.get('retry-after'), null)
})

t.test('a driver that says when to come back is passed on', async t => {
  const driver = Object.assign(new SpyStore(), {
    lock: (): Promise<Unlock> => Promise.reject(new SessionLockTimeoutError(7))
  })
  const app = await serve(t, app => {
    routes(app)
    app.get('/', { config: { session: { block: true } } }, async () => 'never')
  }, { driver })
  t.equal((await (await loggedIn(app)).get('/')).headers.get('retry-after'), '7')
})

// Mistakes ------------------------------------------------------------------------------------------------------------

const mistakes: Record<string, [unknown, RegExp]> = {
  'an unknown name': [{ readOnly: true }, /readOnly: .*readonly/],
  'a value of the wrong type': [{ readonly: 'yes' }, /readonly: expected true or false/],
  'a lock of no length': [{ block: { lock: 0 } }, /block.*/],
  'true, which could mean anything,': [true, /expected false or an object/]
}

for (const [what, [wishes, message]] of Object.entries(mistakes)) {
  t.test(`a route whose config.session has ${what} is refused when it is declared, with an error that names it`, async t => {
    await serve(t, app => {
      const error = t.throws(() => app.get('/', { config: { session: wishes as RouteSessionOptions } }, async () => 'never'))
      t.match(error, { code: 'ERR_SESSION_CONFIG', message: /^config\.session of the route GET \/: / })
      t.match(error, { message })
    })
  })
}

t.test('such a route that was declared before the plugin is answered with the same error, and the others go on', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', { config: { session: { readOnly: true } as RouteSessionOptions } }, async () => 'never')
  app.get('/other', async () => 'fine')
  await app.register(ambientSession, { driver: 'memory' })
  await listening(app)
  t.match((await visitor(app).get('/')).json, { statusCode: 500, code: 'ERR_SESSION_CONFIG', message: /readOnly/ })
  t.equal((await visitor(app).get('/other')).text, 'fine')
})

t.test('the cookie of a route without session is left alone', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/health', { config: { session: false } }, async () => 'fine')
  })
  const ada = await loggedIn(app)
  const before = ada.cookies.get(COOKIE)
  t.same((await ada.get('/health')).setCookies, [])
  t.equal(ada.cookies.get(COOKIE), before)
  t.match((await ada.get('/all')).json, { user: { name: 'ada' } })
})

t.test('the lock of a session that is not there is let go before the handler', async t => {
  let locks = 0
  const driver = Object.assign(new SpyStore(), {
    lock: async (): Promise<Unlock> => { locks++; return async () => { locks-- } }
  })
  const app = await serve(t, app => {
    routes(app)
    app.get('/held', { config: { session: { block: true } } }, async () => ({ locks, user: session('user', null) }))
  }, { driver })
  const ada = await loggedIn(app)
  t.same((await ada.get('/held')).json, { locks: 1, user: { name: 'ada', roles: ['admin'] } })
  await ada.copy().post('/logout')
  t.same((await ada.get('/held')).json, { locks: 0, user: null })
})
