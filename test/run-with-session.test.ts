/** Sessions without a request: jobs, tests, a REPL. */
import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t from 'tap'
import ambientSession, {
  hasSession, onSessionEnd, runWithSession, session, SessionConfigError, SessionContextError, SessionEndedError, SessionHeadersSentError,
  SessionNotFoundError, SessionTooLargeError, SessionValueError
} from '../src/index.ts'
import { visitor, type Visitor } from './helpers/client.ts'
import { Clock, COOKIE, deferred, Log, nextMillisecond, serve, type Teardown } from './http/support.ts'
import { SpyStore } from './http/stores.ts'

function greet (): string {
  return `hello ${session('user.name', 'stranger')}`
}

async function greetLater (): Promise<string> {
  await turn()
  return greet()
}

t.test('a function runs with the data it is given, and its result comes back as it is', t => {
  const result: string = runWithSession({ user: { name: 'ada' } }, greet)
  t.equal(result, 'hello ada')
  t.end()
})

t.test('an asynchronous function keeps the session behind its awaits', async t => {
  const result: Promise<string> = runWithSession({ user: { name: 'ada' } }, greetLater)
  t.equal(await result, 'hello ada')
})

t.test('an error of the function is thrown', async t => {
  t.throws(() => runWithSession({}, () => { throw new Error('sorry') }), { message: 'sorry' })
  await t.rejects(runWithSession({}, async () => { await turn(); throw new Error('sorry') }), { message: 'sorry' })
})

t.test('the session of a data object does all that sessions do, and is stored nowhere', async t => {
  const data = { cart: { items: ['pen'] } }
  await runWithSession(data, async () => {
    session().increment('visits')
    session().push('cart.items', 'ink')
    t.same(session().all(), { cart: { items: ['pen', 'ink'] }, visits: 1 })
    t.equal(session().name, 'session')
    await session().save()
    session().increment('visits')
    await session().save()
    t.equal(session('visits'), 2)
    session().regenerate()
    session().invalidate()
    t.same(session().all(), {})
  })
  t.same(data, { cart: { items: ['pen'] } }, 'the object itself stays as it is')
})

t.test('reload() of a session that is stored nowhere forgets what was done', async t => {
  await runWithSession({}, async () => {
    session({ a: 1 })
    await session().reload()
    t.same(session().all(), {})
  })
})

t.test('a data object that holds what a session cannot keep is refused', t => {
  t.throws(() => runWithSession({ fn: () => {} }, greet), SessionValueError)
  t.end()
})

t.test('a data object may have keys that every object has, whose values are changed in place', async t => {
  await runWithSession({ valueOf: { a: 1 } }, async () => {
    Object.assign(session().get('valueOf') as object, { a: 2 })
    await session().save()
    t.same(session().all(), { valueOf: { a: 2 } })
  })
})

t.test('a data object may have keys called id and app', t => {
  t.equal(runWithSession({ id: 'a', app: { name: 'shop' } }, () => session('app.name')), 'shop')
  t.equal(runWithSession({ id: 'a' }, () => session('id')), 'a')
  t.equal(runWithSession({ id: 'a', app: null }, () => session('app')), null)
  t.end()
})

t.test('contexts nest, and the outer one is back when the inner one ends', t => {
  runWithSession({ user: { name: 'ada' } }, () => {
    t.equal(runWithSession({ user: { name: 'eve' } }, greet), 'hello eve')
    t.equal(greet(), 'hello ada')
  })
  t.equal(hasSession(), false)
  t.throws(greet, SessionContextError)
  t.end()
})

t.test('two contexts at the same time stay apart', async t => {
  const names = ['ada', 'eve', 'bob']
  t.same(await Promise.all(names.map(name => runWithSession({ user: { name } }, greetLater))), names.map(name => `hello ${name}`))
})

async function served (t: Teardown, store = new SpyStore(), options = {}): Promise<{ app: FastifyInstance, ada: Visitor, id: string }> {
  const app = await serve(t, app => {
    app.post('/login', async () => { session({ user: { name: 'ada' } }) })
    app.get('/all', async () => session().all())
    app.post('/flash', async () => { session().flash('status', 'saved') })
    app.post('/logout', async () => { session().invalidate() })
  }, { driver: store, ...options })
  const ada = visitor(app)
  await ada.post('/login')
  return { app, ada, id: ada.cookies.get(COOKIE) ?? '' }
}

t.test('a stored session is opened by its id and committed when the function has ended', async t => {
  const { app, ada, id } = await served(t)
  const result: string = await runWithSession({ app, id }, async () => {
    session().increment('jobs')
    return await greetLater()
  })
  t.equal(result, 'hello ada')
  t.same((await ada.get('/all')).json, { user: { name: 'ada' }, jobs: 1 })
})

t.test('a job may end a session', async t => {
  const { app, id } = await served(t)
  await runWithSession({ app, id }, () => { session().invalidate() })
  await t.rejects(runWithSession({ app, id }, greet), SessionNotFoundError)
})

t.test('a job may give a session no new id, of which the browser would not hear', async t => {
  const { app, id } = await served(t)
  await t.rejects(runWithSession({ app, id }, () => { session().regenerate() }), SessionHeadersSentError)
  t.equal(await runWithSession({ app, id }, greet), 'hello ada')
})

t.test('a job that ends a session and begins another one has ended it all the same', async t => {
  const { app, id } = await served(t)
  await t.rejects(runWithSession({ app, id }, () => {
    session().invalidate()
    session().setUser('eve')
  }), SessionHeadersSentError)
  await t.rejects(runWithSession({ app, id }, greet), SessionNotFoundError)
})

t.test('a job ages no flash data and moves no expiry', async t => {
  const { app, ada, id } = await served(t)
  const clock = new Clock(t)
  await ada.post('/flash')
  const before = await runWithSession({ app, id }, () => session().expiresAt)
  clock.advance(600)
  await runWithSession({ app, id }, () => {
    t.equal(session('status'), 'saved')
    session().increment('jobs')
  })
  t.same(await runWithSession({ app, id }, () => session().expiresAt), before)
  t.match((await ada.get('/all')).json, { status: 'saved', jobs: 1 })
})

t.test('a synchronous function on a stored session gives a promise', async t => {
  const { app, id } = await served(t)
  const result: Promise<string> = runWithSession({ app, id }, greet)
  t.equal(await result, 'hello ada')
})

t.test('a stored session is committed although the function throws, and the error comes through', async t => {
  const { app, ada, id } = await served(t)
  await t.rejects(runWithSession({ app, id }, async () => {
    session().increment('attempts')
    throw new Error('sorry')
  }), { message: 'sorry' })
  t.match((await ada.get('/all')).json, { attempts: 1 })
})

t.test('what a function throws comes through although its changes cannot be stored, which is reported', async t => {
  const log = new Log()
  const app = await serve(t, () => {}, {}, { logger: log })
  await t.rejects(runWithSession({ app, cookie: undefined }, () => {
    session().put('a', 1)
    throw new Error('of the function')
  }), { message: 'of the function' })
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_UNSAVED', keys: ['a'], err: { message: /cannot begin/ } }])
})

t.test('save() commits while the function still runs', async t => {
  const { app, ada, id } = await served(t)
  await runWithSession({ app, id }, async () => {
    session({ progress: 50 })
    await session().save()
    t.match((await ada.get('/all')).json, { progress: 50 })
  })
})

t.test('reload() brings what a request has committed meanwhile', async t => {
  const { app, ada, id } = await served(t)
  await runWithSession({ app, id }, async () => {
    t.equal(greet(), 'hello ada')
    await runWithSession({ app, id }, () => { session({ user: { name: 'lady ada' } }) })
    t.equal(greet(), 'hello ada')
    await session().reload()
    t.equal(greet(), 'hello lady ada')
  })
  t.match((await ada.get('/all')).json, { user: { name: 'lady ada' } })
})

t.test('a job and a request that change the same session at the same time both keep their changes', async t => {
  const { app, ada, id } = await served(t)
  await runWithSession({ app, id }, async () => {
    session().increment('count')
    await runWithSession({ app, id }, () => { session().increment('count') })
  })
  t.match((await ada.get('/all')).json, { count: 2 })
})

t.test('a commit that fails rejects', async t => {
  const { app, ada, id } = await served(t, new SpyStore(), { maxBytes: 200 })
  await t.rejects(runWithSession({ app, id }, () => { session({ large: 'x'.repeat(300) }) }), SessionTooLargeError)
  t.same((await ada.get('/all')).json, { user: { name: 'ada' } })
})

t.test('a job on a session that ends meanwhile does not bring it back', async t => {
  const { app, ada, id } = await served(t)
  await runWithSession({ app, id }, async () => {
    await ada.copy().post('/logout')
    session({ late: true })
  })
  t.same((await ada.get('/all')).json, {})
})

t.test('an id without a session is rejected', async t => {
  const { app } = await served(t)
  const error = await runWithSession({ app, id: 'A'.repeat(43) }, greet).catch((error: unknown) => error)
  t.ok(error instanceof SessionNotFoundError)
  t.match(error, { code: 'ERR_SESSION_NOT_FOUND', statusCode: 404 })
})

t.test('an id that has the wrong form is rejected without asking the store', async t => {
  const store = new SpyStore()
  const { app } = await served(t, store)
  store.takeCalls()
  await t.rejects(runWithSession({ app, id: 'not an id' }, greet), SessionNotFoundError)
  t.same(store.takeCalls(), [])
})

t.test('the id of a session that was ended is rejected', async t => {
  const { app, ada, id } = await served(t)
  await ada.post('/logout')
  await t.rejects(runWithSession({ app, id }, greet), SessionNotFoundError)
})

t.test('an app that is not ready yet is made ready first', async t => {
  const store = new SpyStore()
  const { id } = await served(t, store)
  const app = Fastify()
  t.teardown(() => app.close())
  void app.register((await import('../src/index.ts')).default, { driver: store, sweep: false })
  t.equal(await runWithSession({ app, id }, greet), 'hello ada')
})

t.test('hooks of the start and of the close, and plugins, do not wait for themselves', async t => {
  const store = new SpyStore()
  const { id } = await served(t, store)
  const app = Fastify({ pluginTimeout: 500 })
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: store, sweep: false })
  const seen: string[] = []
  const job = async (where: string): Promise<void> => { await runWithSession({ app, id }, () => { seen.push(`${where}: ${greet()}`) }) }
  app.register(async () => { await job('plugin') })
  app.addHook('onReady', async () => { await job('onReady') })
  app.addHook('preClose', async () => { await job('preClose') })
  app.addHook('onClose', async () => { seen.push('closed') })
  await app.ready()
  await app.close()
  t.same(seen, ['plugin: hello ada', 'onReady: hello ada', 'preClose: hello ada', 'closed'])
})

t.test('an app that has not registered the plugin is a clear error', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(runWithSession({ app, id: 'A'.repeat(43) }, greet), new SessionConfigError(['the app has not registered ambient-session'], 'runWithSession({ app, … })'))
})

// Sockets, streams and work after the response ------------------------------------------------------------------------

/** Visitors of an application whose requests stay at hand. */
async function visited (t: Teardown, options = {}) {
  const requests: FastifyRequest[] = []
  const app = await serve(t, app => {
    app.post('/login', async () => { session({ user: { name: 'ada' } }) })
    app.get('/all', async () => session().all())
    app.post('/logout', async () => { session().invalidate() })
    app.post('/regenerate', async () => { session().regenerate() })
    app.get('/keep', async req => { requests.push(req) })
  }, options)
  const ada = visitor(app)
  const kept = async (from = ada): Promise<FastifyRequest> => {
    await from.get('/keep')
    return requests.at(-1) as FastifyRequest
  }
  return { app, ada, kept }
}

for (const isSynchronous of [true, false]) {
  const kind = isSynchronous ? 'a synchronous store' : 'an asynchronous store'
  const driver = { driver: new SpyStore(isSynchronous) }

  t.test(`of a request the session is opened as it is stored now, and committed, on ${kind}`, async t => {
    const { ada, kept } = await visited(t, driver)
    await ada.post('/login')
    const request = await kept()
    for (let message = 1; message <= 3; message++) t.equal(await runWithSession(request, () => session().increment('messages')), message)
    t.same((await ada.get('/all')).json, { user: { name: 'ada' }, messages: 3 })
  })

  for (const end of ['logout', 'regenerate']) {
    t.test(`of a request whose session was ended by ${end}, changes are dropped and a save says so, on ${kind}`, async t => {
      const { ada, kept } = await visited(t, driver)
      await ada.post('/login')
      const request = await kept()
      await nextMillisecond()
      await ada.post(`/${end}`)
      await runWithSession(request, async () => {
        t.equal(session('user'), undefined)
        t.equal(session().isEnded, true)
        session().put('late', true)
        await t.rejects(session().save(), SessionEndedError)
      })
      t.notMatch((await ada.get('/all')).json, { late: true })
    })
  }
}

t.test('of a request without a session it is empty, and none can begin', async t => {
  const { app, kept } = await visited(t)
  const request = await kept(visitor(app))
  t.same(await runWithSession(request, () => session().all()), {})
  await t.rejects(runWithSession(request, () => { session().put('a', 1) }), SessionHeadersSentError)
  t.equal(await app.sessions.count(), 0)
})

t.test('a raw Cookie header opens its session, and one without it an empty one', async t => {
  const { app, ada } = await visited(t)
  await ada.post('/login')
  const cookie = `theme=dark; ${ada.cookieHeader}`
  t.equal(await runWithSession({ app, cookie }, greet), 'hello ada')
  await runWithSession({ app, cookie }, () => { session().increment('messages') })
  t.match((await ada.get('/all')).json, { messages: 1 })
  for (const none of [undefined, '', 'theme=dark', `${COOKIE}=garbage`]) t.equal(await runWithSession({ app, cookie: none }, greet), 'hello stranger')
})

t.test('with the driver cookie a raw Cookie header is read, and cannot be changed', async t => {
  const { app, ada } = await visited(t, { driver: 'cookie', secret: 'a secret of thirty-two characters' })
  await ada.post('/login')
  t.equal(await runWithSession({ app, cookie: ada.cookieHeader }, greet), 'hello ada')
  await t.rejects(runWithSession({ app, cookie: ada.cookieHeader }, () => { session().put('a', 1) }), SessionHeadersSentError)
})

t.test('callbacks that a job leaves behind find no session once it is over', async t => {
  const { app, ada } = await visited(t)
  await ada.post('/login')
  const [over, seen] = [deferred(), deferred<boolean>()]
  await runWithSession({ app, cookie: ada.cookieHeader }, () => { void over.promise.then(() => { seen.resolve(hasSession()) }) })
  over.resolve()
  t.equal(await seen.promise, false)
})

t.test('what is neither a request, nor a stored session, nor data is refused by a promise', async t => {
  const app = await serve(t, () => {})
  const other = Fastify()
  t.teardown(() => other.close())
  let request: unknown
  other.get('/', async req => { request = req })
  await other.inject('/')
  for (const target of [undefined, null, 'id', { app }, { app, id: undefined }, { app, id: 5 }, { app, cookie: null }, { app, key: 'a' }, request]) {
    await t.rejects(runWithSession(target as FastifyRequest, () => {}), { code: 'ERR_SESSION_USAGE', message: /\{ app, id \}/ })
  }
})

t.test('a request that has no session yet is a clear error', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async request => {
    await t.rejects(runWithSession(request, () => {}), { code: 'ERR_SESSION_CONFIG', message: /runWithSession\(request\)/ })
    t.throws(() => onSessionEnd(request, () => {}), { code: 'ERR_SESSION_CONFIG', message: /onSessionEnd\(request, fn\)/ })
  })
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  app.get('/', async () => 'fine')
  t.equal((await app.inject('/')).body, 'fine')
})

t.test('what watches a session with onSessionEnd() is called before the function that finds it ended by another process', async t => {
  const store = new SpyStore(false)
  const there = await serve(t, () => {}, { driver: store })
  const here = await serve(t, app => {
    app.get('/in', async () => { session().setUser('ada') })
    app.get<{ Querystring: { end?: string } }>('/watch', async req => {
      const seen: unknown[] = []
      const see = (): Promise<unknown> => runWithSession(req, () => seen.push(session().userId ?? 'nobody'))
      onSessionEnd(req, () => { seen.push('ended') }, { every: 3600 })
      await see()
      if (req.query.end !== undefined) await there.sessions.destroyFor('ada')
      await see()
      await see()
      return seen
    })
  }, { driver: store })
  const ada = visitor(here)
  await ada.get('/in')
  t.same((await ada.get('/watch')).json, ['ada', 'ada', 'ada'])
  t.same((await ada.get('/watch?end')).json, ['ada', 'ended', 'nobody', 'nobody'])
})

t.test('a new id from another process is left to the looks of onSessionEnd()', async t => {
  const store = new SpyStore(false)
  const there = await serve(t, app => { app.get('/regenerate', async () => { session().regenerate() }) }, { driver: store })
  const here = await serve(t, app => {
    app.get('/in', async () => { session().setUser('ada') })
    app.get('/watch', async req => {
      const seen: unknown[] = []
      onSessionEnd(req, () => { seen.push('ended') }, { every: 3600 })
      await ada.copy(there).get('/regenerate')
      await runWithSession(req, () => seen.push(session().userId ?? 'nobody'))
      return seen
    })
  }, { driver: store })
  const ada = visitor(here)
  await ada.get('/in')
  t.same((await ada.get('/watch')).json, ['nobody'])
})

for (const [what, target] of Object.entries({
  'an id without its application': { id: 'A'.repeat(43) },
  'a Cookie header without its application': { cookie: 'ambient_session=x' },
  'a Map': new Map([['a', 1]]),
  'a list': [1],
  'a Date': new Date()
})) {
  t.test(`${what} is no target`, async t => {
    await t.rejects(Promise.resolve(runWithSession(target as never, () => {})), { name: 'SessionUsageError' })
  })
}

t.test('data may have a field that is called id', async t => {
  t.equal(runWithSession({ id: 'seven' }, () => session('id')), 'seven')
})
