/** When a request's changes are stored, and what becomes of those that cannot be. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { session, type Session, SessionStoreError } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { COOKIE, deferred, elsewhere, Gate, Log, type LogEntry, serve } from './support.ts'
import { SpyStore } from './stores.ts'

function routes (app: FastifyInstance): void {
  app.post('/put/:key', async req => { session().put((req.params as { key: string }).key, true) })
  app.get('/all', async () => session().all())
}

/** The next write fails, and those after it do not. */
function failOnce (driver: SpyStore): void {
  driver.before = method => {
    if (method !== 'compareAndSet') return
    driver.before = undefined
    throw new SessionStoreError('the store is away')
  }
}

for (const isSynchronous of [true, false]) {
  t.test(`a response that cannot be sent is answered with an error, on a store that answers ${isSynchronous ? 'at once' : 'later'}`, async t => {
    const app = await serve(t, app => {
      app.get('/', async (_req, reply) => {
        session({ a: 1 })
        return await reply.header('x-name', 'a\nb').send('never')
      })
    }, { driver: new SpyStore(isSynchronous) })
    t.equal((await visitor(app).get('/')).status, 500)
  })
}

t.test('what a client can see is already stored: nothing leaves before the commit', async t => {
  const driver = new SpyStore(false)
  let response: ServerResponse | undefined
  let headersSent: boolean | undefined
  driver.before = async method => {
    if (method !== 'compareAndSet') return
    // Long enough for a response that does not wait.
    for (let i = 0; i < 50; i++) await new Promise(resolve => { setImmediate(resolve) })
    headersSent = response?.headersSent
  }
  const app = await serve(t, app => {
    routes(app)
    app.post('/', async (_req, reply) => {
      response = reply.raw
      session({ a: 1 })
      return 'done'
    })
  }, { driver })
  const ada = visitor(app)
  await ada.post('/')
  t.equal(headersSent, false)
  t.same((await ada.get('/all')).json, { a: 1 })
})

t.test('the first bytes of a stream leave after the commit, too', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/stream', async () => {
      session({ a: 1 })
      return Readable.from(['a', 'b'])
    })
  })
  const ada = visitor(app)
  const answer = await ada.get('/stream')
  t.equal(answer.text, 'ab')
  t.equal(answer.setCookies.length, 1)
  t.same((await ada.get('/all')).json, { a: 1 })
})

t.test('a request that fails is committed as well, so that errors can be flashed', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.setErrorHandler(async (error: Error) => { session().flash('error', error.message) })
    app.get('/fails', async () => { session().put('before', true); throw new Error('sorry') })
  })
  const ada = visitor(app)
  await ada.get('/fails')
  t.same((await ada.get('/all')).json, { before: true, error: 'sorry' })
})

t.test('a request that fails without an error handler of the application is committed, too', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/fails', async () => { session().put('before', true); throw new Error('sorry') })
  })
  const ada = visitor(app)
  t.equal((await ada.get('/fails')).status, 500)
  t.same((await ada.get('/all')).json, { before: true })
})

t.test('a request for what is not found is committed', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.setNotFoundHandler(async () => { session().push('lost', 'here') })
  })
  const ada = visitor(app)
  await ada.get('/nowhere')
  t.same((await ada.get('/all')).json, { lost: ['here'] })
})

t.test('what an onSend hook registered before the plugin changes is committed', async t => {
  const { default: Fastify } = await import('fastify')
  const { default: ambientSession } = await import('../../src/index.ts')
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onSend', async req => { req.session({ late: true }) })
  await app.register(ambientSession, { driver: 'memory' })
  routes(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const ada = visitor(app)
  t.same((await ada.get('/all')).setCookies.length, 1)
  t.same((await ada.get('/all')).json, { late: true })
})

t.test('when an onSend hook fails after the commit, what the error handler does to the session is committed, too', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.setErrorHandler(async (error: Error) => { session().flash('error', error.message) })
    app.register(async scope => {
      let failures = 0
      scope.addHook('onSend', async () => { if (failures++ === 0) throw new Error('sorry') })
      scope.get('/fails', async () => { session().put('before', true) })
    })
  })
  const ada = visitor(app)
  t.equal((await ada.get('/fails')).setCookies.length, 1)
  t.same((await ada.get('/all')).json, { before: true, error: 'sorry' })
})

t.test('a payload over maxBytes is an error for its request, leaves the stored session and the next request goes on', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.post('/large', async () => { session().put('large', 'x'.repeat(500)) })
  }, { maxBytes: 300 })
  const ada = visitor(app)
  await ada.post('/put/a')
  const answer = await ada.post('/large')
  t.match(answer.json, { statusCode: 500, code: 'ERR_SESSION_TOO_LARGE', message: /maxBytes allows 300, so nothing of it is stored/ })
  t.notMatch(answer.text, 'xxx')
  t.same((await ada.get('/all')).json, { a: true })
  await ada.post('/put/b')
  t.same((await ada.get('/all')).json, { a: true, b: true })
})

t.test('a new session over maxBytes is not stored and sets no cookie', async t => {
  const app = await serve(t, app => {
    app.post('/large', async () => { session().put('large', 'x'.repeat(500)) })
  }, { maxBytes: 300 })
  const answer = await visitor(app).post('/large')
  t.equal(answer.status, 500)
  t.same(answer.setCookies, [])
})

t.test('changes that could not be stored are reported with the names of their keys, what the error handler changed among them', async t => {
  const log = new Log()
  const app = await serve(t, app => {
    app.setErrorHandler(async (error: Error) => { session().flash('error', error.message); return 'handled' })
    app.post('/large', async () => { session().put('large', 'x'.repeat(500)) })
  }, { maxBytes: 300 }, { logger: log })
  t.equal((await visitor(app).post('/large')).text, 'handled')
  const [warning] = await log.warnings(1)
  t.match(warning, { code: 'AMBIENT_SESSION_UNSAVED', keys: ['large', 'error'], msg: /could not be stored: 'large', 'error'\./ })
})

for (const [what, pay] of Object.entries({
  'the commit before the response': () => { session().increment('paid') },
  'save()': async () => {
    session().increment('paid')
    await session().save()
  }
})) {
  t.test(`what ${what} could not store is not stored after the error was sent, when the store is back`, async t => {
    const [driver, answered] = [new SpyStore(false), deferred()]
    const app = await serve(t, app => {
      routes(app)
      app.post('/pay', async () => { await pay() })
      app.addHook('onResponse', async req => { if (req.url === '/pay') setImmediate(() => { answered.resolve() }) })
    }, { driver })
    const ada = visitor(app)
    await ada.post('/put/a')
    failOnce(driver)
    t.equal((await ada.post('/pay')).status, 503)
    await answered.promise
    t.same((await ada.get('/all')).json, { a: true })
  })
}

t.test('a handler that goes on when save() has failed is committed', async t => {
  const driver = new SpyStore(false)
  const app = await serve(t, app => {
    routes(app)
    app.post('/pay', async () => {
      session().increment('paid')
      await session().save().catch(() => {})
    })
  }, { driver })
  const ada = visitor(app)
  await ada.post('/put/a')
  failOnce(driver)
  t.equal((await ada.post('/pay')).status, 200)
  t.same((await ada.get('/all')).json, { a: true, paid: 1 })
})

t.test('a store that cannot be written fails the request, not the server', async t => {
  const driver = new SpyStore()
  const app = await serve(t, routes, { driver })
  const ada = visitor(app)
  await ada.post('/put/a')
  driver.before = method => { if (method === 'compareAndSet') throw new SessionStoreError('the disk is full') }
  t.match((await ada.post('/put/b')).json, { statusCode: 503, code: 'ERR_SESSION_STORE', message: 'the disk is full' })
  driver.before = undefined
  t.same((await ada.get('/all')).json, { a: true })
})

for (const isSynchronous of [true, false]) {
  t.test(`a store that answers ${isSynchronous ? 'at once' : 'later'} and cannot be read fails the requests that need it`, async t => {
    const driver = new SpyStore(isSynchronous)
    const app = await serve(t, app => {
      routes(app)
      app.setErrorHandler(async (error: Error, _req, reply) => {
        await reply.status(503).send({ error: error.message, again: String(attempt(() => session('a'))) })
      })
    }, { driver })
    const ada = visitor(app)
    await ada.post('/put/a')
    driver.before = method => { if (method === 'read') throw new Error('connection lost') }
    t.match((await ada.get('/all')).json, { error: 'connection lost', again: 'Error: connection lost' })
    t.equal((await visitor(app).get('/all')).status, 200, 'those without a cookie do not')
    driver.before = undefined
    t.same((await ada.get('/all')).json, { a: true })
  })
}

function attempt (fn: () => unknown): unknown {
  try {
    return fn()
  } catch (error) {
    return error
  }
}

// save() and reload() -------------------------------------------------------------------------------------------------

t.test('save() stores at once, and the cookie of a new session leaves with the response', async t => {
  const gate = new Gate()
  const app = await serve(t, app => {
    routes(app)
    app.post('/long', async () => {
      session({ progress: 1 })
      await session().save()
      await gate.pass()
      session({ progress: 2 })
    })
  })
  const ada = visitor(app)
  await ada.post('/put/a')
  const long = ada.post('/long')
  await gate.reached
  t.match((await ada.get('/all')).json, { progress: 1 })
  gate.open()
  await long
  t.match((await ada.get('/all')).json, { progress: 2 })

  const eve = visitor(app)
  t.equal((await eve.post('/long')).setCookies.length, 1)
  t.same((await eve.get('/all')).json, { progress: 2 })
})

t.test('save() may be called by several at once and again and again', async t => {
  const driver = new SpyStore()
  const app = await serve(t, app => {
    routes(app)
    app.post('/', async () => {
      session({ a: 1 })
      await Promise.all([session().save(), session().save()])
      session({ b: 2 })
      await session().save()
    })
  }, { driver })
  const ada = visitor(app)
  await ada.post('/')
  t.same(driver.takeCalls(), ['compareAndSet', 'compareAndSet'])
  t.same((await ada.get('/all')).json, { a: 1, b: 2 })
})

t.test('save() on a hijacked reply stores a new session and puts its cookie among the raw headers', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/hijack', async (_req, reply) => {
      reply.hijack()
      session({ from: 'hijack' })
      reply.raw.setHeader('set-cookie', 'theme=dark')
      await session().save()
      reply.raw.end('raw')
    })
  })
  const ada = visitor(app)
  const answer = await ada.get('/hijack')
  t.equal(answer.text, 'raw')
  t.same(answer.setCookies.map(({ name }) => name), ['theme', COOKIE])
  t.equal(answer.headers.get('vary'), 'Cookie')
  t.equal(answer.headers.get('cache-control'), 'private')
  t.same((await ada.get('/all')).json, { from: 'hijack' })
})

t.test('save() on a hijacked reply clears the cookie of a session that was ended', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/hijack', async (_req, reply) => {
      reply.hijack()
      session().invalidate()
      await session().save()
      reply.raw.end('raw')
    })
  })
  const ada = visitor(app)
  await ada.post('/put/a')
  t.match((await ada.get('/hijack')).setCookies, [{ name: COOKIE, value: '', attributes: { 'max-age': '0' } }])
})

t.test('a stream can save to a session that the browser knows', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/stream', async () => Readable.from((async function * () {
      yield 'first '
      session({ streamed: true })
      await session().save()
      yield 'last'
    })()))
  })
  const ada = visitor(app)
  await ada.post('/put/a')
  t.equal((await ada.get('/stream')).text, 'first last')
  t.same((await ada.get('/all')).json, { a: true, streamed: true })
})

t.test('a stream can save to a session that began before it', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/stream', async () => {
      session({ begun: true })
      return Readable.from((async function * () {
        yield 'first'
        session({ streamed: true })
        await session().save()
      })())
    })
  })
  const ada = visitor(app)
  await ada.get('/stream')
  t.same((await ada.get('/all')).json, { begun: true, streamed: true })
})

/** Serves a stream that does something to its session once the headers have left, and tells how save() took it. */
async function savedLate (t: Parameters<typeof serve>[0], change: () => void, isNew: boolean): Promise<unknown> {
  const outcome = deferred<unknown>()
  const app = await serve(t, app => {
    routes(app)
    app.get('/stream', async () => Readable.from((async function * () {
      yield 'first'
      change()
      await session().save().then(() => { outcome.resolve('saved') }, outcome.resolve)
      // What could not be saved is not worth a warning here.
      await session().reload()
    })()))
  })
  const ada = visitor(app)
  if (!isNew) await ada.post('/put/a')
  await ada.get('/stream')
  return await outcome.promise
}

t.test('save() of a session that begins after the headers have left is an error that says why', async t => {
  const error = await savedLate(t, () => { session({ a: 1 }) }, true)
  t.match(error, { code: 'ERR_SESSION_HEADERS_SENT', message: /before the response begins/ })
})

t.test('save() of a new id after the headers have left is an error', async t => {
  t.match(await savedLate(t, () => { session().regenerate() }, false), { code: 'ERR_SESSION_HEADERS_SENT' })
})

t.test('save() of a cookie that is to end with the browser after the headers have left is an error', async t => {
  t.match(await savedLate(t, () => { session().setLifetime(null, { persistent: false }) }, false), { code: 'ERR_SESSION_HEADERS_SENT' })
})

t.test('save() of an end after the headers have left is none: the session ends all the same', async t => {
  t.equal(await savedLate(t, () => { session().invalidate() }, false), 'saved')
})

for (const [what, put] of [['put', () => { session({ a: 1 }) }], ['flashed', () => { session().flash('a', 1) }]] as const) {
  t.test(`save() of an end, with something ${what} behind it, after the headers have left is an error, and the session has ended`, async t => {
    const [log, gate] = [new Log(), new Gate()]
    const outcome = deferred<unknown>()
    const app = await serve(t, app => {
      routes(app)
      app.get('/slow', async () => {
        session('a')
        await gate.pass()
        session().put('late', true)
      })
      app.get('/stream', async () => Readable.from((async function * () {
        session('a')
        yield 'first'
        session().invalidate()
        put()
        await session().save().then(() => { outcome.resolve('saved') }, outcome.resolve)
      })()))
    }, {}, { logger: log })
    const ada = visitor(app)
    await ada.post('/put/a')
    const late = ada.get('/slow')
    await gate.reached
    await ada.get('/stream')
    t.match(await outcome.promise, { code: 'ERR_SESSION_HEADERS_SENT' })
    gate.open()
    await late
    t.same((await ada.get('/all')).json, {})
    const codes = (await log.warnings(2)).map(({ code }) => code)
    t.same(codes.sort(), ['AMBIENT_SESSION_DROPPED', 'AMBIENT_SESSION_UNSAVED'])
  })
}

t.test('save() of a session nothing was put into is no error', async t => {
  t.equal(await savedLate(t, () => { session('a') }, true), 'saved')
})

t.test('save() in a stream whose session was ended meanwhile rejects, however often it is called', async t => {
  const [log, gate] = [new Log(), new Gate()]
  const app = await serve(t, app => {
    routes(app)
    app.post('/logout', async () => { session().invalidate() })
    app.get('/stream', async () => Readable.from((async function * () {
      session('a')
      yield 'first'
      await gate.pass()
      for (const key of ['b', 'c']) {
        session().put(key, true)
        yield await session().save().then(() => 'saved', (error: Error & { code?: string }) => ` ${String(error.code)}`)
      }
      yield ' last'
    })()))
  }, {}, { logger: log })
  const ada = visitor(app)
  await ada.post('/put/a')
  const stream = ada.copy().get('/stream')
  await gate.reached
  await ada.post('/logout')
  gate.open()
  t.equal((await stream).text, 'first ERR_SESSION_ENDED ERR_SESSION_ENDED last')
})

t.test('a reload waits for the commit that is under way, and finds what it has stored', async t => {
  const app = await serve(t, app => {
    app.get('/', async () => {
      session({ n: 1 })
      const saved = session().save()
      await session().reload()
      await saved
      return { n: session('n') }
    })
  }, { driver: new SpyStore(false) })
  t.same((await visitor(app).get('/')).json, { n: 1 })
})

t.test('reload() reads what another request has stored, and gives up what was not saved', async t => {
  const gate = new Gate()
  const app = await serve(t, app => {
    routes(app)
    app.get('/reload', async () => {
      session({ own: true })
      const before = session().all()
      await gate.pass()
      await session().reload()
      return [before, session().all()]
    })
  })
  const ada = visitor(app)
  await ada.post('/put/a')
  const answer = ada.get('/reload')
  await gate.reached
  await ada.post('/put/b')
  gate.open()
  t.same((await answer).json, [{ a: true, own: true }, { a: true, b: true }])
  t.same((await ada.get('/all')).json, { a: true, b: true })
})

// Changes that nobody saves -------------------------------------------------------------------------------------------

const LATE_VALUE = 'a value that belongs to one visitor only'

/** Serves a route that changes its session after the response, in the way given, when the test opens the gate. */
async function lateChange (t: Parameters<typeof serve>[0], gate: Gate, change: (session: Session) => unknown, log?: Log): Promise<{ app: FastifyInstance }> {
  const app = await serve(t, app => {
    routes(app)
    app.get('/late', async req => {
      const current = req.session()
      void gate.pass().then(() => change(current))
      return current.get('a', false)
    })
  }, {}, log === undefined ? {} : { logger: log })
  return { app }
}

t.test('a change after the response that nobody saves is reported with the names of its keys, and with no id or value', async t => {
  const [log, gate] = [new Log(), new Gate()]
  const { app } = await lateChange(t, gate, session => { session.put({ 'user.name': LATE_VALUE, role: LATE_VALUE }) }, log)
  const ada = visitor(app)
  await ada.post('/put/a')
  await ada.get('/late')
  gate.open()
  const [warning] = await log.warnings(1)
  t.match(warning, { level: 40, reqId: /^req-/, code: 'AMBIENT_SESSION_UNSAVED', keys: ['user.name', 'role'], key: /^[0-9a-f]{64}$/, msg: /'user\.name', 'role'\. .*save\(\)/ })
  const line = log.lines.join('')
  t.notMatch(line, LATE_VALUE)
  t.notMatch(line, ada.cookies.get(COOKIE))
})

const uncommitted: Record<string, (app: FastifyInstance) => unknown> = {
  'a reply that is ended by reply.raw': app => app.get('/', async (_req, reply) => { session({ user: 'ada' }); reply.raw.end('x') }),
  'a reply that is hijacked': app => app.get('/', async (_req, reply) => { session({ user: 'ada' }); reply.hijack(); reply.raw.end('x') }),
  'an onSend hook that always fails': app => app.get('/', { onSend: async () => { throw new Error('failed') } }, async () => { session({ user: 'ada' }) })
}

for (const [what, route] of Object.entries(uncommitted)) {
  t.test(`what is lost for ${what} is reported as never committed`, async t => {
    const log = new Log()
    const app = await serve(t, route, {}, { logger: log })
    await visitor(app).get('/')
    t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_UNSAVED', keys: ['user'], msg: /never committed: the reply was hijacked or ended by reply.raw, or an onSend hook failed: 'user'/ }])
  })
}

t.test('several changes in one go are one report', async t => {
  const [log, gate] = [new Log(), new Gate()]
  const { app } = await lateChange(t, gate, session => { session.put({ a: 1 }); session.push('b', 2) }, log)
  const ada = visitor(app)
  await ada.get('/late')
  gate.open()
  t.match(await log.warnings(1), [{ keys: ['a', 'b'] }])
})

t.test('a change that is saved is not reported', async t => {
  const [log, gate] = [new Log(), new Gate()]
  const { app } = await lateChange(t, gate, async session => {
    session.put({ saved: true })
    await session.save()
    session.put({ forgotten: true })
  }, log)
  const ada = visitor(app)
  await ada.post('/put/a')
  await ada.get('/late')
  gate.open()
  const warnings = await log.warnings(1)
  t.same(warnings.map(({ keys }) => keys), [['forgotten']])
  t.same((await ada.get('/all')).json, { a: true, saved: true })
})

t.test('a change between the commit and the end of the response is reported', async t => {
  const log = new Log()
  const app = await serve(t, app => {
    app.get('/stream', async () => Readable.from((async function * () {
      yield 'first'
      session({ streamed: true })
    })()))
  }, {}, { logger: log })
  await visitor(app).get('/stream')
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_UNSAVED', keys: ['streamed'] }])
})

t.test('of replies that were hijacked each is looked at when it is over, also when others are not yet', async t => {
  const [log, gate] = [new Log(), new Gate()]
  const app = await serve(t, app => {
    app.get('/at-once', async (_req, reply) => {
      reply.hijack()
      session({ early: true })
      reply.raw.end('raw')
    })
    app.get('/later', async (_req, reply) => {
      reply.hijack()
      session({ late: true })
      await gate.pass()
      reply.raw.end('raw')
    })
  }, {}, { logger: log })
  const later = visitor(app).get('/later')
  await gate.reached
  await visitor(app).get('/at-once')
  t.match(await log.warnings(1), [{ keys: ['early'] }])
  gate.open()
  await later
  t.match(await log.warnings(2), [{ keys: ['early'] }, { keys: ['late'] }])
})

t.test('a new id that nobody saves is reported', async t => {
  const [log, gate] = [new Log(), new Gate()]
  const { app } = await lateChange(t, gate, session => { session.migrate() }, log)
  const ada = visitor(app)
  await ada.post('/put/a')
  await ada.get('/late')
  gate.open()
  t.match(await log.warnings(1), [{ keys: ['(session id)'] }])
})

t.test('where the application does not log, the process is warned', async t => {
  const gate = new Gate()
  const { app } = await lateChange(t, gate, session => { session.put({ late: LATE_VALUE }) })
  const ada = visitor(app)
  await ada.post('/put/a')
  await ada.get('/late')
  const warned = once(process, 'warning')
  gate.open()
  const [warning] = await warned as [LogEntry & Error]
  t.match(warning, { name: 'SessionWarning', code: 'AMBIENT_SESSION_UNSAVED', message: /late/ })
  t.notMatch(warning.message, LATE_VALUE)
})

t.test('what an onSend hook changes behind the commit, where no route matches, is reported if the session has ended meanwhile', async t => {
  const log = new Log()
  const app = await serve(t, app => {
    routes(app)
    app.addHook('onSend', async req => {
      if (req.url !== '/none') return
      const { key } = session()
      await elsewhere(() => app.sessions.destroy(key))
      session().put('late', 1)
    })
  }, {}, { logger: log })
  const ada = visitor(app)
  await ada.post('/put/a')
  t.equal((await ada.get('/none')).status, 404)
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['late'] }])
})
