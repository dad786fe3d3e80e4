/** The global helper: where session() finds the session of a request, and where it does not. */
import { AsyncResource } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { readFile } from 'node:fs'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type * as Context from '../src/context.ts'
import { hasSession, session, SessionContextError } from '../src/index.ts'
import { visitor } from './helpers/client.ts'
import { deferred, Gate, serve } from './http/support.ts'

function login (app: FastifyInstance): void {
  app.post<{ Params: { name: string } }>('/login/:name', async req => { session({ name: req.params.name }) })
}

type AddHook = (app: FastifyInstance, see: () => void) => unknown

const hooks: Record<string, AddHook> = {
  onRequest: (app, see) => app.addHook('onRequest', async () => { see() }),
  'onRequest, with a callback,': (app, see) => app.addHook('onRequest', (_req, _reply, done) => { see(); done() }),
  preParsing: (app, see) => app.addHook('preParsing', async (_req, _reply, payload) => { see(); return payload }),
  preValidation: (app, see) => app.addHook('preValidation', async () => { see() }),
  preHandler: (app, see) => app.addHook('preHandler', async () => { see() }),
  'preHandler, with a callback,': (app, see) => app.addHook('preHandler', (_req, _reply, done) => { see(); done() }),
  preSerialization: (app, see) => app.addHook('preSerialization', async (_req, _reply, payload) => { see(); return payload }),
  onSend: (app, see) => app.addHook('onSend', async (_req, _reply, payload) => { see(); return payload }),
  onResponse: (app, see) => app.addHook('onResponse', async () => { see() }),
  onError: (app, see) => app.addHook('onError', async () => { see() })
}

/** A store that answers at once, and one whose commits are made together. */
const drivers = ['memory', 'file'] as const

for (const [name, addHook] of Object.entries(hooks)) {
  for (const driver of drivers) {
    t.test(`session() finds the session in the hook ${name} too, with the driver ${driver}`, async t => {
      const seen = deferred<unknown>()
      const app = await serve(t, app => {
        login(app)
        app.register(async scope => {
          addHook(scope, () => { seen.resolve(session('name')) })
          scope.post('/page', async () => {
            session().increment('visits')
            if (name === 'onError') throw new Error('for onError')
            return { a: 'page' }
          })
        })
      }, { driver, files: t.testdir() })
      const ada = visitor(app)
      await ada.post('/login/ada')
      await ada.post('/page', { some: 'body' })
      t.equal(await seen.promise, 'ada')
    })
  }
}

type Way = (fn: () => void) => void

const ways: Record<string, Way> = {
  'several awaits': fn => { void turn().then(async () => { await Promise.resolve(); await turn(); await delay(1); fn() }) },
  setTimeout: fn => { setTimeout(fn, 1) },
  setInterval: fn => { const timer = setInterval(() => { clearInterval(timer); fn() }, 1) },
  setImmediate: fn => { setImmediate(fn) },
  'process.nextTick': fn => { process.nextTick(fn) },
  queueMicrotask: fn => { queueMicrotask(fn) },
  'a callback of the file system': fn => { readFile(import.meta.filename, fn) },
  'a callback of the thread pool': fn => { randomBytes(1, fn) },
  'an event emitted by the request itself': fn => {
    const emitter = new EventEmitter().on('event', fn)
    setImmediate(() => { emitter.emit('event') })
  }
}

for (const [name, way] of Object.entries(ways)) {
  t.test(`session() finds the session behind ${name}`, async t => {
    const app = await serve(t, app => {
      login(app)
      app.get('/', () => new Promise(resolve => { way(() => { resolve(session('name')) }) }))
    })
    const ada = visitor(app)
    await ada.post('/login/ada')
    t.equal((await ada.get('/')).text, 'ada')
  })
}

t.test('session() finds the session in a handler that answers by a callback', async t => {
  const app = await serve(t, app => {
    login(app)
    app.get('/', (_req, reply) => { setImmediate(() => { void reply.send(session('name')) }) })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.equal((await ada.get('/')).text, 'ada')
})

t.test('session() finds the session in services several calls and awaits deep', async t => {
  const repository = async (): Promise<string> => { await turn(); return session('name', 'nobody') }
  const service = async (): Promise<string> => (await repository()).toUpperCase()
  const app = await serve(t, app => {
    login(app)
    app.get('/', async () => { await turn(); return `hello ${await service()}` })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.equal((await ada.get('/')).text, 'hello ADA')
})

t.test('session() and req.session() are the same session', async t => {
  const app = await serve(t, app => {
    app.get('/', async req => {
      const first = session()
      await turn()
      return { same: first === req.session() && first === session(), put: (req.session({ a: 1 }), session('a')) }
    })
  })
  t.same((await visitor(app).get('/')).json, { same: true, put: 1 })
})

t.test('req.session takes the forms that session takes', async t => {
  const app = await serve(t, app => {
    app.get('/', async req => {
      req.session({ user: { name: 'ada' } })
      return [req.session('user.name'), req.session('user.age', 36), req.session('user.home', () => 'London'), req.session('missing') ?? null]
    })
  })
  t.same((await visitor(app).get('/')).json, ['ada', 36, 'London', null])
})

t.test('session() finds the session in the generator behind a streamed payload', async t => {
  const app = await serve(t, app => {
    login(app)
    app.get('/', async () => Readable.from((async function * () {
      // More than what fits into the socket's buffers, so that the stream has to wait for the client now and then.
      for (let i = 0; i < 40; i++) {
        yield 'x'.repeat(100_000)
        await turn()
        yield `${session('name', 'nobody')}\n`
      }
    })()))
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  const { text } = await ada.get('/')
  t.same(new Set(text.replaceAll('x', '').trim().split('\n')), new Set(['ada']))
})

t.test('session() finds the session in the transforms of a pipeline', async t => {
  const app = await serve(t, app => {
    login(app)
    app.get('/', async () => {
      const out: string[] = []
      const greet = new Transform({
        transform (chunk, _encoding, done) { setImmediate(() => { done(null, `${String(chunk)} ${session('name', 'nobody')}`) }) }
      })
      await pipeline(Readable.from(['hello']), greet, async function (source) {
        for await (const chunk of source as AsyncIterable<Buffer>) out.push(`${String(chunk)} and ${session('name', 'nobody')}`)
      })
      return out
    })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.same((await ada.get('/')).json, ['hello ada and ada'])
})

t.test('session() finds the session in an error handler', async t => {
  const app = await serve(t, app => {
    login(app)
    app.setErrorHandler(async (error: Error) => `${session('name', 'nobody')}: ${error.message}`)
    app.get('/', async () => { await turn(); throw new Error('sorry') })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.equal((await ada.get('/')).text, 'ada: sorry')
})

t.test('session() finds the session in the error handler of a malformed JSON body', async t => {
  const app = await serve(t, app => {
    login(app)
    app.setErrorHandler(async (error: { code?: string }) => `${session('name', 'nobody')}: ${String(error.code)}`)
    app.post('/', async () => 'never')
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.equal((await ada.post('/', '{"a":', { 'content-type': 'application/json' })).text, 'ada: FST_ERR_CTP_INVALID_JSON_BODY')
})

t.test('session() finds the session in the error handler of a body that its schema refuses', async t => {
  const app = await serve(t, app => {
    login(app)
    app.setErrorHandler(async (error: { code?: string }) => `${session('name', 'nobody')}: ${String(error.code)}`)
    app.post('/', { schema: { body: { type: 'object', required: ['email'] } } }, async () => 'never')
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.equal((await ada.post('/', { phone: 1 })).text, 'ada: FST_ERR_VALIDATION')
})

t.test('session() finds the session in the handler for what is not found', async t => {
  const app = await serve(t, app => {
    login(app)
    app.setNotFoundHandler(async () => { await turn(); return `${session('name', 'nobody')} is lost` })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.equal((await ada.get('/nowhere')).text, 'ada is lost')
})

t.test('hasSession() is true below a request and false outside', async t => {
  const app = await serve(t, app => {
    app.get('/', async () => { await turn(); return hasSession() })
    app.get('/without', { config: { session: false } }, async () => hasSession())
  })
  t.equal(hasSession(), false)
  t.equal((await visitor(app).get('/')).json, true)
  t.equal((await visitor(app).get('/without')).json, false)
})

t.test('outside a request session() throws an error that says what to do', async t => {
  const error = t.throws(() => session(), SessionContextError) as SessionContextError
  t.equal(error.code, 'ERR_SESSION_CONTEXT')
  t.match(error.message, 'outside a request')
  for (const advice of ['Fastify handler, or a hook that was added after ambient-session', 'runWithSession()', 'WebSocket in runWithSession(request, …)', 'AsyncResource.bind()']) {
    t.match(error.message, advice)
  }
})

t.test('on a route with session: false session() says that the route has none', async t => {
  const app = await serve(t, app => {
    app.get('/', { config: { session: false } }, async () => session('name', 'nobody'))
  })
  const { status, json } = await visitor(app).get('/')
  t.equal(status, 500)
  t.match(json, { code: 'ERR_SESSION_CONTEXT', message: /session: false/ })
})

/** What a function finds that runs in the flow of a request after its response has closed. */
async function afterResponse (t: { teardown (fn: () => unknown): unknown }, look: (req: FastifyRequest) => unknown): Promise<unknown> {
  const gate = new Gate()
  const seen = deferred<unknown>()
  const closed = deferred()
  const app = await serve(t, app => {
    login(app)
    app.get('/', async (req, reply) => {
      reply.raw.on('close', closed.resolve)
      void gate.pass().then(() => look(req)).then(seen.resolve, seen.resolve)
      return 'done'
    })
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  await ada.get('/')
  await closed.promise
  gate.open()
  return await seen.promise
}

t.test('once the response has closed session() names the ways out', async t => {
  t.match(await afterResponse(t, () => session('name')), {
    name: 'SessionContextError', code: 'ERR_SESSION_CONTEXT', message: /AsyncResource\.bind\(\).*runWithSession\(request.*req\.session\(\)/
  })
  t.equal(await afterResponse(t, () => hasSession()), false)
})

t.test('once the response has closed req.session() goes on working', async t => {
  t.equal(await afterResponse(t, req => req.session('name')), 'ada')
})

/** A pool as drivers have them: waiting callers are called back in the flow of the one that returns a connection. */
class Pool {
  readonly #waiting: (() => void)[] = []
  #isFree = true

  acquire (callback: () => void): void {
    if (!this.#isFree) {
      this.#waiting.push(callback)
      return
    }
    this.#isFree = false
    callback()
  }

  release (): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#isFree = true
    else next()
  }
}

/** Eve holds the pool's only connection while Ada waits for it. @returns what Ada's callback saw */
async function behindPool (t: { teardown (fn: () => unknown): unknown }, bind: (callback: () => void) => () => void): Promise<string> {
  const pool = new Pool()
  const [gate, waiting] = [new Gate(), deferred()]
  const app = await serve(t, app => {
    login(app)
    app.get('/hold', async () => {
      pool.acquire(() => {})
      await gate.pass()
      pool.release()
      return 'released'
    })
    app.get('/wait', (_req, reply) => {
      pool.acquire(bind(() => { void reply.send(session('name')) }))
      waiting.resolve()
    })
  })
  const [eve, ada] = [visitor(app), visitor(app)]
  await eve.post('/login/eve')
  await ada.post('/login/ada')
  const held = eve.get('/hold')
  await gate.reached
  const answer = ada.get('/wait')
  await waiting.promise
  gate.open()
  await held
  return (await answer).text
}

t.test('a pool that calls back in the flow of another request which still runs leads session() astray', async t => {
  t.equal(await behindPool(t, callback => callback), 'eve')
})

t.test('AsyncResource.bind() takes a callback back to its own request', async t => {
  t.equal(await behindPool(t, callback => AsyncResource.bind(callback)), 'ada')
})

for (const driver of drivers) {
  t.test(`a reply that is sent from a callback without a session finds the session again in the hooks that follow, with the driver ${driver}`, async t => {
    const outside = new AsyncResource('outside of all requests')
    const answered = deferred<unknown>()
    const app = await serve(t, app => {
      app.addHook('onSend', async (_req, reply) => { reply.header('x-name', session('name', 'nobody')) })
      app.addHook('onResponse', async () => { answered.resolve(session('name', 'nobody')) })
      app.get('/', (_req, reply) => {
        session({ name: 'ada' })
        outside.runInAsyncScope(() => { reply.send(String(hasSession())) })
      })
    }, { driver, files: t.testdir() })
    const { text, headers } = await visitor(app).get('/')
    t.equal(text, 'false')
    t.equal(headers.get('x-name'), 'ada')
    t.equal(await answered.promise, 'ada')
  })
}

t.test('an event from outside of all requests finds no session, and the right one when its listener is bound', async t => {
  const bus = new EventEmitter()
  const waiting = deferred()
  const app = await serve(t, app => {
    login(app)
    app.get('/', () => new Promise(resolve => {
      const loose = new Promise(resolve => { bus.once('news', () => { resolve(hasSession()) }) })
      bus.once('news', AsyncResource.bind(() => { resolve(loose.then(found => ({ loose: found, bound: session('name') }))) }))
      waiting.resolve()
    }))
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  const answer = ada.get('/')
  await waiting.promise
  bus.emit('news')
  t.same((await answer).json, { loose: false, bound: 'ada' })
})

t.test('a second copy of the package finds the session of the first', async t => {
  const copy = await import(new URL('../src/context.ts?copy', import.meta.url).href) as typeof Context
  t.not(copy.session, session)
  const app = await serve(t, app => {
    app.get('/', async () => {
      session({ name: 'ada' })
      return { name: copy.session('name'), has: copy.hasSession(), same: copy.session() === session() }
    })
  })
  t.same((await visitor(app).get('/')).json, { name: 'ada', has: true, same: true })
})
