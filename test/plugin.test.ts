/** Registering the plugin: where it reaches, what it refuses, and how it is loaded. */
import { execFile } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import ambientSession, { ambientSession as named, session, SessionConfigError, SessionConflictError } from '../src/index.ts'
import { visitor } from './helpers/client.ts'
import { Gate, listening, Log, serve, type Teardown } from './http/support.ts'
import { SpyStore } from './http/stores.ts'

const root = join(import.meta.dirname, '..')
const memory = { driver: 'memory', sweep: false } as const

function bare (t: Teardown): FastifyInstance {
  const app = Fastify()
  t.teardown(() => app.close())
  return app
}

t.test('the plugin is the default export and a named one', t => {
  t.equal(ambientSession, named)
  t.end()
})

t.test('where the application has `sessions` already, it is refused', async t => {
  const app = bare(t)
  app.decorate('sessions', {} as FastifyInstance['sessions'])
  await t.rejects(async () => { await app.register(ambientSession, memory) }, SessionConflictError)
})

t.test('it can be registered without waiting for it', async t => {
  const app = bare(t)
  void app.register(ambientSession, memory)
  app.get('/', async () => session().increment('visits'))
  await listening(app)
  const ada = visitor(app)
  await ada.get('/')
  t.equal((await ada.get('/')).text, '2')
})

t.test('it serves routes that were declared before it', async t => {
  const app = bare(t)
  app.get('/', async req => [session().increment('visits'), req.session('visits')])
  await app.register(ambientSession, memory)
  await listening(app)
  t.same((await visitor(app).get('/')).json, [1, 1])
})

t.test('it serves the routes of a plugin that was loaded before it', async t => {
  const app = bare(t)
  await app.register(async scope => {
    scope.get('/', async req => [session().increment('visits'), req.session('visits')])
  })
  await app.register(ambientSession, memory)
  await listening(app)
  t.same((await visitor(app).get('/')).json, [1, 1])
})

t.test('it reaches into plugins with prefixes, however deep', async t => {
  const app = await serve(t, app => {
    app.register(async shop => {
      shop.get('/', async () => session().increment('visits'))
      shop.register(async cart => {
        cart.get('/', async req => req.session().increment('visits'))
      }, { prefix: '/cart' })
    }, { prefix: '/shop' })
  })
  const ada = visitor(app)
  await ada.get('/shop/')
  t.equal((await ada.get('/shop/cart/')).text, '2')
})

t.test('registered inside of a plugin it serves that plugin only', async t => {
  const app = bare(t)
  for (const name of ['shop', 'admin']) {
    app.register(async scope => {
      await scope.register(ambientSession, { ...memory, cookie: name })
      scope.get('/', async () => session().increment('visits'))
    }, { prefix: `/${name}` })
  }
  app.get('/', async req => typeof req.session)
  await listening(app)
  const ada = visitor(app)
  await ada.get('/shop/')
  t.equal((await ada.get('/shop/')).text, '2')
  t.equal((await ada.get('/admin/')).text, '1')
  t.equal((await ada.get('/')).text, 'undefined')
})

t.test('without any options sessions are files below the working directory', async t => {
  t.chdir(t.testdir())
  const app = bare(t)
  await app.register(ambientSession)
  app.get('/', async () => session().increment('visits'))
  await listening(app)
  const ada = visitor(app)
  await ada.get('/')
  t.equal((await ada.get('/')).text, '2')
  const directory = 'storage/framework/sessions'
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(readdirSync(directory).filter(name => /^[0-9a-f]{64}$/.test(name)).length, 1)
})

t.test('with the driver null every request finds a new session', async t => {
  const app = await serve(t, app => { app.get('/', async () => session().increment('visits')) }, { driver: 'null' })
  const ada = visitor(app)
  await ada.get('/')
  t.equal((await ada.get('/')).text, '1')
})

t.test('wrong options keep the application from starting, with an error that names them all', async t => {
  const error = await bare(t).register(ambientSession, { lifetime: -1, cookie: 'a b' }).then(() => undefined, (error: unknown) => error)
  t.ok(error instanceof SessionConfigError)
  t.match(error, { code: 'ERR_SESSION_CONFIG', problems: [/^lifetime: /, /^cookie: /] })
})

t.test('a store that cannot be opened keeps the application from starting', async t => {
  const driver = Object.assign(new SpyStore(), { open: () => { throw new Error('no such database') } })
  await t.rejects(async () => { await bare(t).register(ambientSession, { driver }) }, { message: 'no such database' })
})

t.test('a store is opened before the first request and closed with the application', async t => {
  const calls: string[] = []
  const driver = Object.assign(new SpyStore(), {
    open: () => { calls.push('open') },
    close: async () => { calls.push('close') }
  })
  const app = await serve(t, () => {}, { driver })
  t.same(calls, ['open'])
  await app.close()
  t.same(calls, ['open', 'close'])
})

// Conflicts -----------------------------------------------------------------------------------------------------------

t.test('registering it twice is an error that says so', async t => {
  const app = bare(t)
  await app.register(ambientSession, memory)
  const error = await app.register(ambientSession, memory).then(() => undefined, (error: unknown) => error)
  t.ok(error instanceof SessionConflictError)
  t.match(error, { code: 'ERR_SESSION_CONFLICT', message: /registered twice/ })
})

t.test('registering it again inside of a plugin is an error, too', async t => {
  const app = bare(t)
  await app.register(ambientSession, memory)
  app.register(async scope => { await scope.register(ambientSession, memory) })
  await t.rejects(async () => { await app.ready() }, SessionConflictError)
})

t.test('next to another plugin that has taken request.session it refuses to start', async t => {
  const app = bare(t)
  app.decorateRequest('session' as never, null as never)
  const error = await app.register(ambientSession, memory).then(() => undefined, (error: unknown) => error)
  t.ok(error instanceof SessionConflictError)
  t.match(error, { message: /@fastify\/session.*take the other one out/ })
})

t.test('another plugin that comes after it and wants request.session is refused by Fastify', async t => {
  const app = bare(t)
  await app.register(ambientSession, memory)
  t.throws(() => app.decorateRequest('session' as never, null as never), { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
})

t.test('req.session() in a hook that runs before the session begins is an error that says what to do', async t => {
  const app = bare(t)
  app.addHook('onRequest', async req => { req.session() })
  await app.register(ambientSession, memory)
  app.get('/', async () => 'never')
  await listening(app)
  t.match((await visitor(app).get('/')).json, { statusCode: 500, code: 'ERR_SESSION_CONTEXT', message: /Register ambient-session before/ })
})

t.test('req.session() in such a hook of a plugin that was loaded before this one is the same error', async t => {
  const app = bare(t)
  await app.register(async scope => {
    scope.addHook('onRequest', async req => { req.session() })
    scope.get('/', async () => 'never')
  })
  await app.register(ambientSession, memory)
  await listening(app)
  t.match((await visitor(app).get('/')).json, { statusCode: 500, code: 'ERR_SESSION_CONTEXT', message: /Register ambient-session before/ })
})

t.test('a request that an earlier hook has answered needs no session', async t => {
  const app = bare(t)
  app.addHook('onRequest', async (_req, reply) => await reply.send('maintenance'))
  await app.register(ambientSession, memory)
  const responded = new Promise<void>(resolve => { app.addHook('onResponse', async () => { resolve() }) })
  app.get('/', async () => 'never')
  await listening(app)
  t.equal((await visitor(app).get('/')).text, 'maintenance')
  await responded
})

// Sweeping ------------------------------------------------------------------------------------------------------------

/** A store that reports each sweep. */
class SweptStore extends SpyStore {
  readonly sweeps: [now: Date, limit: number][] = []
  /** What a sweep does; counted before. */
  onSweep: () => unknown = () => {}
  /** How much there is to sweep away. */
  expired = 0

  async sweep (now: Date, limit: number): Promise<number> {
    this.sweeps.push([now, limit])
    await this.onSweep()
    const removed = Math.min(this.expired, limit)
    this.expired -= removed
    return removed
  }

  /** Resolves at the beginning of the next so many sweeps. */
  async swept (count: number): Promise<void> {
    await new Promise<void>(resolve => {
      let left = count
      this.onSweep = () => { if (--left === 0) resolve() }
    })
  }
}

t.test('expired sessions are swept away again and again, in the background', async t => {
  const driver = new SweptStore()
  const begun = new Date()
  await serve(t, () => {}, { driver, sweep: 0.01 })
  await driver.swept(3)
  t.ok(driver.sweeps.length >= 3)
  for (const [now, limit] of driver.sweeps) {
    t.ok(now >= begun && now <= new Date())
    t.ok(limit >= 1000)
  }
})

t.test('a store whose sweep does not say how much it has removed is swept at the interval', async t => {
  const driver = new SweptStore()
  await serve(t, () => {}, { driver: Object.assign(driver, { sweep: async () => { driver.sweeps.push([new Date(), 0]) } }), sweep: 0.05 })
  const often = new SweptStore()
  await serve(t, () => {}, { driver: often, sweep: 0.01 })
  await often.swept(3)
  t.ok(driver.sweeps.length <= often.sweeps.length, `swept ${driver.sweeps.length} times`)
})

t.test('where more has expired than one sweep removes, the next follows without waiting', async t => {
  const driver = new SweptStore()
  driver.expired = 25_000
  await serve(t, () => {}, { driver, sweep: 0.5 })
  await driver.swept(3)
  const times = driver.sweeps.map(([now]) => now.getTime())
  t.equal(times.length, 3)
  t.ok(Math.max(...times) - Math.min(...times) < 500)
})

t.test('with sweep: false nothing is swept', async t => {
  const [never, often] = [new SweptStore(), new SweptStore()]
  await serve(t, () => {}, { driver: never, sweep: false })
  await serve(t, () => {}, { driver: often, sweep: 0.01 })
  await often.swept(3)
  t.same(never.sweeps, [])
})

t.test('a sweep that fails is reported, and the next one tries again', async t => {
  const log = new Log()
  const driver = new SweptStore()
  driver.onSweep = () => { throw new Error('connection lost') }
  await serve(t, () => {}, { driver, sweep: 0.01 }, { logger: log })
  t.match(await log.warnings(2), Array(2).fill({ code: 'AMBIENT_SESSION_STORE', msg: /swept away/, err: { message: 'connection lost' } }))
  await driver.swept(1)
})

t.test('closing the application waits for the sweep under way, and no other follows', async t => {
  const gate = new Gate()
  const order: string[] = []
  const driver = new SweptStore()
  driver.onSweep = async () => { await gate.pass(); order.push('swept') }
  const app = await serve(t, () => {}, { driver, sweep: 0.01 })
  await gate.reached
  const closed = app.close().then(() => { order.push('closed') })
  // Time enough for closing, if it did not wait.
  for (let i = 0; i < 50; i++) await turn()
  gate.open()
  await closed
  t.same(order, ['swept', 'closed'])

  const reference = new SweptStore()
  await serve(t, () => {}, { driver: reference, sweep: 0.01 })
  await reference.swept(3)
  t.equal(driver.sweeps.length, 1)
})

// CommonJS ------------------------------------------------------------------------------------------------------------

const program = `
  const Fastify = require('fastify')
  const { default: ambientSession, session, hasSession } = require('ambient-session')
  require('ambient-session/global')
  const app = Fastify()
  app.register(ambientSession, { driver: 'memory' })
  app.get('/', async () => ({ visits: session().increment('visits'), same: globalThis.session === session }))
  app.inject('/').then(({ body, cookies: [{ name }] }) => { console.log(body, name, hasSession()) })
`

t.test('it can be required from CommonJS, and does not keep a process from ending', async t => {
  const cwd = t.testdir({
    node_modules: {
      'ambient-session': t.fixture('symlink', root),
      fastify: t.fixture('symlink', join(root, 'node_modules/fastify'))
    }
  })
  // What is covered is the source, not what was built of it.
  const env = { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' }
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], { cwd, env, timeout: 30_000 })
  t.equal(stdout.trim(), '{"visits":1,"same":true} ambient_session false')
})

t.test('at start one line of the log says which driver it is, where, and where the options came from', async t => {
  const lines: { level: number, msg: string }[] = []
  const stream = { write: (line: string) => { lines.push(JSON.parse(line) as { level: number, msg: string }) } }
  const app = Fastify({ logger: { level: 'info', stream } })
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory' })
  t.match(lines, [{ level: 30, msg: 'ambient-session: memory driver, in this process, options given to register()' }])
})

t.test('a cookie that browsers will not keep is warned of once', async t => {
  const log = new Log()
  const app = await serve(t, app => { app.get('/', async () => session().increment('visits')) }, { secure: true }, { logger: log })
  for (let visit = 0; visit < 3; visit++) await visitor(app).get('/', { host: 'shop.example' })
  t.match(log.entries, [{ code: 'AMBIENT_SESSION_COOKIE' }])
  t.equal(log.entries.length, 1)
})

t.test('a route outside of the plugin that registered it is told where to register it', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(async child => { await child.register(ambientSession, { driver: 'memory' }) })
  app.get('/', async () => session('a'))
  t.match((await app.inject('/')).json(), { code: 'ERR_SESSION_CONTEXT', message: /added after ambient-session was registered, on the app itself or on a parent of the plugin that has the route/ })
})

t.test('an application without the plugin, reached by inject from a request, sees the session of the caller', async t => {
  const inner = Fastify()
  t.teardown(() => inner.close())
  inner.get('/', async () => session('user'))
  const app = await serve(t, app => {
    app.get('/', async () => {
      session({ user: 'ada' })
      return (await inner.inject('/')).body
    })
  })
  t.equal((await visitor(app).get('/')).text, 'ada')
})
