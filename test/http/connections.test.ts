/** Visitors that share connections, servers and moments, and are never mistaken for one another. */
import { once } from 'node:events'
import { Agent, get, type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import ambientSession, { session } from '../../src/index.ts'
import { Connection, originOf, visitor, type Visitor } from '../helpers/client.ts'
import { deferred, Gate, serve } from './support.ts'
import { SpyStore } from './stores.ts'

function routes (app: FastifyInstance): void {
  app.post<{ Params: { name: string } }>('/login/:name', async req => { session({ name: req.params.name }) })
  app.get('/name', async () => { await turn(); return session('name', 'nobody') })
}

async function loggedIn (app: FastifyInstance, name: string): Promise<Visitor> {
  const someone = visitor(app)
  await someone.post(`/login/${name}`)
  return someone
}

t.test('visitors that take turns on one kept-alive connection each see their own session', async t => {
  const app = await serve(t, routes)
  const [ada, eve] = [await loggedIn(app, 'ada'), await loggedIn(app, 'eve')]
  const connection = await Connection.open(app)
  for (const [who, name] of [[ada, 'ada'], [eve, 'eve'], [ada, 'ada'], [undefined, 'nobody'], [eve, 'eve']] as const) {
    connection.request('GET /name', who === undefined ? {} : { cookie: who.cookieHeader })
    t.equal((await connection.answer()).body, name)
  }
  connection.hangUp()
})

t.test('an agent that keeps its one connection does not carry a session from one request into the next', async t => {
  const app = await serve(t, routes)
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const [ada, eve] = [await loggedIn(app, 'ada'), await loggedIn(app, 'eve')]
  const names = await Promise.all([ada, eve, ada, eve].map(async ({ cookieHeader: cookie }) => {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(`${originOf(app)}/name`, { agent, headers: { cookie } }, resolve).on('error', reject).end()
    })
    return await text(response)
  }))
  t.same(names, ['ada', 'eve', 'ada', 'eve'])
})

t.test('pipelined requests each see their own session', async t => {
  const app = await serve(t, routes)
  const [ada, eve] = [await loggedIn(app, 'ada'), await loggedIn(app, 'eve')]
  const connection = await Connection.open(app)
  for (const who of [ada, eve, ada]) connection.request('GET /name', { cookie: who.cookieHeader })
  t.same([(await connection.answer()).body, (await connection.answer()).body, (await connection.answer()).body], ['ada', 'eve', 'ada'])
  connection.hangUp()
})

t.test('the onResponse hook of a response that waited behind another in its pipeline sees its own session', async t => {
  const [gate, done] = [new Gate(), deferred()]
  const seen = new Map<string, string>()
  const app = await serve(t, app => {
    routes(app)
    app.addHook('onResponse', async req => {
      seen.set(req.url, session('name', 'nobody'))
      if (seen.has('/slow') && seen.has('/fast')) done.resolve()
    })
    app.get('/slow', async () => { await gate.pass(); return 'slow' })
    app.get('/fast', async () => { setImmediate(() => { gate.open() }); return 'fast' })
  })
  const [ada, eve] = [await loggedIn(app, 'ada'), await loggedIn(app, 'eve')]
  const connection = await Connection.open(app)
  connection.request('GET /slow', { cookie: ada.cookieHeader })
  connection.request('GET /fast', { cookie: eve.cookieHeader })
  await done.promise
  t.equal(seen.get('/slow'), 'ada')
  t.equal(seen.get('/fast'), 'eve')
  connection.hangUp()
})

for (const isSynchronous of [true, false]) {
  t.test(`fifty visitors at once each see their own session, with a store that answers ${isSynchronous ? 'at once' : 'later'}`, async t => {
    const app = await serve(t, routes, { driver: new SpyStore(isSynchronous) })
    const names = Array.from({ length: 50 }, (_, i) => `visitor${i}`)
    const visitors = await Promise.all(names.map(name => loggedIn(app, name)))
    t.same(await Promise.all(visitors.map(async someone => (await someone.get('/name')).text)), names)
  })
}

t.test('fifty requests of one visitor at once lose no write', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.post<{ Params: { key: string } }>('/put/:key', async req => {
      const before = session('count', 0)
      await turn()
      session().put(req.params.key, before)
      session().increment('count')
    })
    app.get('/all', async () => session().all())
  }, { driver: new SpyStore(false) })
  const ada = await loggedIn(app, 'ada')
  const keys = Array.from({ length: 50 }, (_, i) => `key${i}`)
  await Promise.all(keys.map(key => ada.post(`/put/${key}`)))
  const all = (await ada.get('/all')).json as Record<string, unknown>
  t.equal(all.count, 50)
  t.same(keys.filter(key => !(key in all)), [])
})

t.test('an injected request has a session like any other', async t => {
  const app = await serve(t, routes)
  const login = await app.inject({ method: 'POST', url: '/login/ada' })
  const [cookie] = login.cookies
  const answer = await app.inject({ url: '/name', cookies: { [String(cookie?.name)]: String(cookie?.value) } })
  t.equal(answer.body, 'ada')
})

t.test('a request injected by a handler has its own session, and leaves the handler its own', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.get('/outer', async () => {
      const inner = await app.inject({ url: '/name' })
      return `${session('name', 'nobody')} called as ${inner.body}`
    })
  })
  const ada = await loggedIn(app, 'ada')
  t.equal((await ada.get('/outer')).text, 'ada called as nobody')
})

t.test('two applications of one process keep their sessions apart', async t => {
  const [one, two] = [await serve(t, routes), await serve(t, routes)]
  const ada = await loggedIn(one, 'ada')
  const stranger = visitor(two)
  for (const [name, value] of ada.cookies) stranger.cookies.set(name, value)
  t.equal((await stranger.get('/name')).text, 'nobody')
  t.equal((await ada.get('/name')).text, 'ada')
})

t.test('over a Unix socket, which has no address, a user signs in', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  app.get('/', async () => { session().setUser('ada') })
  // Paths of sockets are short.
  const socketPath = join(tmpdir(), `ambient-session-${process.pid}.sock`)
  await app.listen({ path: socketPath })
  const [response] = await once(get({ socketPath, path: '/' }), 'response') as [IncomingMessage]
  response.resume()
  t.equal(response.statusCode, 200)
  t.match(await app.sessions.for('ada'), [{ ipAddress: undefined }])
})

t.test('the sign-in of a user who leaves before the answer is stored', async t => {
  const reached = deferred()
  const app = await serve(t, app => {
    app.get('/', async (_req, reply) => {
      reached.resolve()
      await once(reply.raw, 'close')
      session().setUser('ada')
      return 'x'
    })
  })
  const connection = await Connection.open(app)
  connection.request('GET /')
  await reached.promise
  connection.hangUp()
  while (await app.sessions.count() === 0) await turn()
  t.match(await app.sessions.for('ada'), [{ ipAddress: undefined }])
})
