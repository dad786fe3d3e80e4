/** Sessions of another package that go on here: the option `adopt`. */
import { hash } from 'node:crypto'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket as TcpSocket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { Signer } from '@fastify/cookie'
import websocket from '@fastify/websocket'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { type AdoptOptions, MemoryStore, session, SessionConfigError, type SessionOptions } from '../../src/index.ts'
import { Connection, visitor, type Visitor } from '../helpers/client.ts'
import { Socket } from '../helpers/web-socket.ts'
import { COOKIE, deferred, Gate, Log, serve, type Teardown } from './support.ts'
import { SpyStore } from './stores.ts'

const OLD = 'connect.sid'
const SECRET = 'old secret'
const ID = 'abc123'

/** The store of the other package, with one session. */
class OldStore {
  readonly sessions = new Map<string, object>([[ID, { cookie: { originalMaxAge: null }, name: 'ada', visits: 7, cart: [{ sku: 'a' }] }]])
  readonly asked: string[] = []
  fault: unknown
  /** Resolves when a session has been destroyed. */
  readonly destroyed = deferred()

  get (id: string, callback: (error: unknown, session?: object | null) => void): void {
    this.asked.push(id)
    setImmediate(() => { callback(this.fault ?? null, this.sessions.get(id) ?? null) })
  }

  destroy (id: string, callback: (error?: unknown) => void): void {
    this.sessions.delete(id)
    setImmediate(() => {
      callback(this.fault)
      this.destroyed.resolve()
    })
  }
}

interface Old {
  readonly app: FastifyInstance
  readonly old: OldStore
  readonly log: Log
}

async function move (t: Teardown, options: SessionOptions = {}, adopt: Partial<AdoptOptions> = {}): Promise<Old> {
  const [old, log] = [new OldStore(), new Log()]
  const app = await serve(t, async app => {
    app.get('/', async () => ({ name: session('name', 'a guest'), visits: session('visits', 0), isNew: session().isNew, userId: session().userId }))
    app.get('/visit', async () => session().increment('visits'))
    app.get<{ Params: { key: string } }>('/put/:key', async ({ params }) => { session().put(params.key, true) })
    app.get('/all', async () => session().all())
    app.get('/sign-out', async () => { session().invalidate() })
    app.get('/regenerate', async () => { session().regenerate() })
    app.get('/hijacked', async (_request, reply) => { reply.hijack().raw.end('x') })
    await app.register(websocket)
    await app.register(async app => { app.get('/socket', { websocket: true }, (socket, request) => { socket.send(request.session('name', 'a guest')) }) })
    app.get('/untouched', async () => 'x')
    app.get('/without', { config: { session: false } }, async () => 'x')
    app.get('/read-only', { config: { session: { readonly: true } } }, async () => session('name', 'a guest'))
  }, { adopt: { cookie: OLD, secret: SECRET, store: old, ...adopt }, ...options }, { logger: log })
  return { app, old, log }
}

function signed (id = ID, secret = SECRET, prefix = 's:'): string {
  return encodeURIComponent(prefix + new Signer(secret).sign(id))
}

function withOldCookie (app: FastifyInstance, value = signed()): Visitor {
  const ada = visitor(app)
  ada.cookies.set(OLD, value)
  return ada
}

const drivers: Record<string, () => SessionOptions> = {
  memory: () => ({ driver: 'memory' }),
  file: () => ({ driver: 'file', files: t.testdir() }),
  cookie: () => ({ driver: 'cookie', secret: 'x'.repeat(32), grace: 0 }),
  'an asynchronous store': () => ({ driver: new SpyStore(false) }),
  'memory, signed and encrypted': () => ({ driver: 'memory', secret: 'x'.repeat(32), encrypt: true })
}

for (const [driver, options] of Object.entries(drivers)) {
  t.test(`with ${driver} an old session goes on, the browser gets the new cookie for the old one, and the old store loses the session`, async t => {
    const { app, old } = await move(t, options())
    const ada = withOldCookie(app)
    t.same((await ada.get('/')).json, { name: 'ada', visits: 7, isNew: false })
    t.same([...ada.cookies.keys()], [COOKIE])
    await old.destroyed.promise
    t.same([...old.sessions.keys()], [])
    t.equal((await ada.get('/visit')).text, '8')
    t.same((await ada.get('/all')).json, { name: 'ada', visits: 8, cart: [{ sku: 'a' }] })
    t.same(old.asked, [ID])
  })

  t.test(`with ${driver} a route that does not use the session tells the browser as well`, async t => {
    const { app } = await move(t, options())
    const ada = withOldCookie(app)
    await ada.get('/untouched')
    t.same([...ada.cookies.keys()], [COOKIE])
    t.equal(((await ada.get('/')).json as { name: string }).name, 'ada')
  })

  t.test(`with ${driver} a session that is signed out by its first request is over`, async t => {
    const { app, old } = await move(t, options())
    const ada = withOldCookie(app)
    await ada.get('/sign-out')
    await old.destroyed.promise
    t.same([...ada.cookies.keys()], [])
    t.same((await withOldCookie(app).get('/')).json, { name: 'a guest', visits: 0, isNew: true })
  })
}

for (const driver of ['memory', 'file', 'an asynchronous store']) {
  t.test(`with ${driver} fifty requests that bring one old cookie at the same time make one session and lose no write`, async t => {
    const { app } = await move(t, drivers[driver]?.())
    const tabs = Array.from({ length: 50 }, () => withOldCookie(app))
    await Promise.all(tabs.map(async (tab, index) => {
      t.equal((await tab.get(`/put/key${index}`)).status, 200)
      await tab.get('/visit')
    }))
    t.equal(new Set(tabs.map(tab => tab.cookies.get(COOKIE))).size, 1)
    const all = (await visitorOf(tabs).get('/all')).json as Record<string, unknown>
    t.equal(Object.keys(all).filter(key => key.startsWith('key')).length, 50)
    t.equal(all['visits'], 57)
  })
}

function visitorOf ([first]: Visitor[]): Visitor {
  if (first === undefined) throw new Error('there is no visitor')
  return first
}

t.test('a request that asks the old store when another one has just taken the session over has the session', async t => {
  const store = new MemoryStore()
  const { app, old } = await move(t, { driver: store })
  const [late, first] = [withOldCookie(app), withOldCookie(app)]
  const get = old.get.bind(old)
  old.get = (id, callback) => {
    old.get = get
    // The late one asks, and is answered when the first one has ended the session there.
    void first.get('/').then(() => old.destroyed.promise).then(() => { get(id, callback) })
  }
  t.match((await late.get('/')).json, { name: 'ada' })
  t.equal(late.cookies.get(COOKIE), first.cookies.get(COOKIE))
})

t.test('a browser that lost the answer finds its session with the old cookie', async t => {
  const { app } = await move(t)
  await withOldCookie(app).get('/visit')
  t.equal((await withOldCookie(app).get('/visit')).text, '9')
})

t.test('a late request with the old cookie does not sign in again after a sign-out', async t => {
  const { app, old } = await move(t, {}, { secret: SECRET })
  const ada = withOldCookie(app)
  await ada.get('/')
  await old.destroyed.promise
  old.sessions.set(ID, { name: 'ada' })
  await ada.get('/sign-out')
  t.same((await withOldCookie(app).get('/')).json, { name: 'a guest', visits: 0, isNew: true })
})

t.test('a cookie of this package that names no session any more leaves the old one its turn', async t => {
  for (const driver of ['memory', 'an asynchronous store']) {
    const { app } = await move(t, drivers[driver]?.())
    const ada = withOldCookie(app)
    ada.cookies.set(COOKIE, 'x'.repeat(43))
    t.equal(((await ada.get('/')).json as { name: string }).name, 'ada', driver)
    t.same([...ada.cookies.keys()], [COOKIE], driver)
  }
})

for (const [what, path] of [['signs out', '/sign-out'], ['gets a new id', '/regenerate']] as const) {
  t.test(`an old session is over as well when its visitor, who has one of this package, ${what}`, async t => {
    const { app, old } = await move(t, { grace: 0 })
    const ada = visitor(app)
    await ada.get('/put/own')
    ada.cookies.set(OLD, signed())
    await ada.get(path)
    await old.destroyed.promise
    t.notOk(ada.cookies.has(OLD))
    t.same([...old.sessions.keys()], [])
    ada.cookies.delete(COOKIE)
    ada.cookies.set(OLD, signed())
    t.equal(((await ada.get('/')).json as { name: string }).name, 'a guest')
  })
}

t.test('signing out everywhere holds for a session whose old cookie the browser could not be told to forget', async t => {
  const { app, old } = await move(t, { grace: 0 }, { user: ({ name }) => String(name) })
  await withOldCookie(app).get('/hijacked')
  t.equal(await app.sessions.destroyFor('ada'), 1)
  t.same([...old.sessions.keys()], [])
  t.equal(((await withOldCookie(app).get('/')).json as { name: string }).name, 'a guest')
})

t.test('with the driver cookie requests that were sent before the first answer have the session, too', async t => {
  const { app, old } = await move(t, { driver: 'cookie', secret: 'x'.repeat(32), grace: 1000 })
  const tabs = [withOldCookie(app), withOldCookie(app), withOldCookie(app)]
  for (const tab of tabs) t.equal((await tab.get('/visit')).text, '8')
  t.same([...old.sessions.keys()], [ID])
})

t.test('with the driver cookie a sign-out ends the old session at once', async t => {
  const { app, old } = await move(t, { driver: 'cookie', secret: 'x'.repeat(32), grace: 1000 })
  await withOldCookie(app).get('/sign-out')
  await old.destroyed.promise
  t.equal(((await withOldCookie(app).get('/')).json as { name: string }).name, 'a guest')
})

t.test('with the driver cookie a WebSocket does not take the old session over, and opens', async t => {
  const { app, old } = await move(t, { driver: 'cookie', secret: 'x'.repeat(32) })
  const socket = await Socket.open(`${app.listeningOrigin.replace('http', 'ws')}/socket`, `${OLD}=${signed()}`)
  t.equal(await socket.message(), 'a guest')
  t.same([...old.sessions.keys()], [ID])
  await socket.close()
})

t.test('an old session that has expired is over, whether its store removes it or not', async t => {
  const { app, old } = await move(t)
  for (const expires of [new Date(Date.now() - 1), new Date(Date.now() - 1).toISOString()]) {
    old.sessions.set(ID, { cookie: { expires }, name: 'ada' })
    t.equal(((await withOldCookie(app).get('/')).json as { name: string }).name, 'a guest')
  }
  old.sessions.set(ID, { cookie: { expires: new Date(Date.now() + 60_000).toISOString() }, name: 'ada' })
  t.equal(((await withOldCookie(app).get('/')).json as { name: string }).name, 'ada')
})

t.test('the browser forgets a signed cookie whose session is gone, and no store is asked again', async t => {
  const { app, old } = await move(t)
  old.sessions.clear()
  const ada = withOldCookie(app)
  for (let count = 0; count < 3; count++) t.equal((await ada.get('/untouched')).text, 'x')
  t.same([[...ada.cookies.keys()], old.asked], [[], [ID]])
})

t.test('of several old cookies the first that names a session counts', async t => {
  const [first, second] = [new OldStore(), new OldStore()]
  first.sessions.clear()
  const { app } = await move(t, { adopt: [{ cookie: 'a', secret: SECRET, store: first }, { cookie: OLD, secret: SECRET, store: first }, { cookie: OLD, secret: SECRET, store: second }] })
  const ada = withOldCookie(app)
  ada.cookies.set('a', signed('gone'))
  t.equal(((await ada.get('/')).json as { name: string }).name, 'ada')
  t.same([...ada.cookies.keys()], [COOKIE])
})

t.test('of several packages\' sessions the first in the list goes on, and the others stay until the visitor signs in or out', async t => {
  const [first, second] = [new OldStore(), new OldStore()]
  const { app } = await move(t, { adopt: [{ cookie: 'cart', secret: SECRET, store: first }, { cookie: OLD, secret: SECRET, store: second }] })
  const ada = withOldCookie(app)
  ada.cookies.set('cart', signed())
  await ada.get('/')
  t.same([[...ada.cookies.keys()].sort(), [...first.sessions.keys()], [...second.sessions.keys()]], [[COOKIE, OLD], [], [ID]])
  await ada.get('/regenerate')
  await second.destroyed.promise
  t.same([[...ada.cookies.keys()], [...second.sessions.keys()]], [[COOKIE], []])
})

t.test('with the driver cookie a browser that left before the first answer keeps its old session', async t => {
  const gate = new Gate()
  const old = new OldStore()
  const app = await serve(t, app => {
    app.get('/', async () => session('name', 'a guest'))
    app.get('/slow', async () => { await gate.pass(); return session('name') })
  }, { driver: 'cookie', secret: 'x'.repeat(32), grace: 0, adopt: { cookie: OLD, secret: SECRET, store: old } })
  const answered = deferred()
  const accepted = once(app.server, 'connection')
  const connection = await Connection.open(app)
  const [socket] = await accepted as [TcpSocket]
  app.server.once('request', (_request, response: ServerResponse) => { response.once('close', () => { answered.resolve() }) })
  connection.request('GET /slow', { cookie: `${OLD}=${signed()}` })
  await gate.reached
  connection.hangUp()
  await once(socket, 'close')
  await answered.promise
  gate.open()
  await turn()
  // Behind what would end the old session, if there were such a thing.
  await new Promise(resolve => { setTimeout(resolve, 0) })
  t.equal((await withOldCookie(app).get('/')).text, 'ada')
})

t.test('with the driver cookie an old session that is to be ended later is ended when the application is closed', async t => {
  const { app, old } = await move(t, { driver: 'cookie', secret: 'x'.repeat(32), grace: 1000 })
  await withOldCookie(app).get('/')
  t.same([...old.sessions.keys()], [ID])
  await app.close()
  t.same([...old.sessions.keys()], [])
})

for (const [what, id] of [['an empty text', ''], ['an object', { id: 1 }], ['NaN', NaN], ['false', false], ['a promise of an empty text', Promise.resolve('')]] as const) {
  t.test(`a user that is ${what} is a fault of the option: the session stays, and the error says what to give`, async t => {
    const { app, old, log } = await move(t, {}, { user: () => id as string })
    const ada = withOldCookie(app)
    t.equal((await ada.get('/')).status, 503)
    t.same([[...ada.cookies.keys()], [...old.sessions.keys()]], [[OLD], [ID]])
    t.match(log.entries, [{ err: { message: /'connect\.sid' could not be found: adopt\.user gave no id; for a guest, have it give undefined/ } }])
  })
}

t.test('a session is not adopted with what an old store said before its visitor signed out here', async t => {
  const { app, old } = await move(t, { grace: 0 })
  const [late, ada] = [withOldCookie(app), withOldCookie(app)]
  const [asked, signedOut] = [deferred(), deferred()]
  const get = old.get.bind(old)
  old.get = (id, callback) => {
    old.get = get
    const found = old.sessions.get(id) ?? null
    asked.resolve()
    void signedOut.promise.then(() => { callback(null, found) })
  }
  const answer = late.get('/')
  await asked.promise
  await ada.get('/sign-out')
  await old.destroyed.promise
  signedOut.resolve()
  t.equal(((await answer).json as { name: string }).name, 'a guest')
})

t.test('who knows the old id, and not the secret, does not know the new one', async t => {
  const { app } = await move(t)
  const ada = withOldCookie(app)
  await ada.get('/')
  t.not(ada.cookies.get(COOKIE), hash('sha256', `ambient-session adopts ${OLD}\n${ID}`, 'base64url'))
  const rotated = withOldCookie((await move(t, {}, { secret: ['newer', SECRET] })).app, signed(ID, 'newer'))
  await rotated.get('/')
  t.not(rotated.cookies.get(COOKIE), ada.cookies.get(COOKIE))
})

t.test('an adopted session is listed with the address and the browser that brought it', async t => {
  const { app } = await move(t, {}, { user: async ({ name }) => String(name) })
  await withOldCookie(app).get('/', { 'user-agent': 'Lynx' })
  t.match(await app.sessions.for('ada'), [{ ipAddress: '127.0.0.1', userAgent: 'Lynx' }])
})

t.test('no log has the id of an old session, where its store fails', async t => {
  const path = `/var/sessions/${ID}.json`
  const store = {
    get (_id: string, callback: (error: unknown) => void) { callback(Object.assign(new Error(`ELOOP: open '${path}'`), { code: 'ELOOP' })) },
    destroy (_id: string, callback: (error?: unknown) => void) { callback(new Error(`EACCES: unlink ${path}`)) }
  }
  const read = await move(t, {}, { store })
  t.equal((await withOldCookie(read.app).get('/')).status, 503)
  t.match(read.log.lines.join(), /ELOOP/)
  t.notMatch(read.log.lines.join(), ID)

  const ended = await move(t, {}, { store: { ...store, get: (_id, callback) => { callback(null, { name: 'ada' }) } } })
  t.equal((await withOldCookie(ended.app).get('/')).status, 200)
  t.match(ended.log.lines.join(), /EACCES/)
  t.notMatch(ended.log.lines.join(), ID)

  const function_ = await move(t, {}, { store: undefined, read: () => ({ name: 'ada' }), end: () => { throw new Error(`EACCES: unlink ${path}`) } })
  t.equal((await withOldCookie(function_.app).get('/')).status, 200)
  t.match(function_.log.lines.join(), /EACCES/)
  t.notMatch(function_.log.lines.join(), ID)
})

t.test('no log has what a damaged session contains', async t => {
  const { app, log } = await move(t, {}, { store: undefined, read: () => JSON.parse('{"password":hunter2}') as object })
  t.equal((await withOldCookie(app).get('/')).status, 200)
  t.match(log.lines.join(), /AMBIENT_SESSION_ADOPT.*SyntaxError/)
  t.notMatch(log.lines.join(), 'hunter2')
})

t.test('the session of this package comes first', async t => {
  const { app, old } = await move(t)
  const eve = visitor(app)
  await eve.get('/put/eve')
  eve.cookies.set(OLD, signed())
  t.same((await eve.get('/all')).json, { eve: true })
  t.same(old.asked, [])
})

t.test('a read-only route sees the old session, and the browser is told', async t => {
  const { app } = await move(t)
  const ada = withOldCookie(app)
  t.equal((await ada.get('/read-only')).text, 'ada')
  t.same([...ada.cookies.keys()], [COOKIE])
})

t.test('a route without a session leaves the old one alone', async t => {
  const { app, old } = await move(t)
  const ada = withOldCookie(app)
  await ada.get('/without')
  t.same([[...ada.cookies.keys()], old.asked], [[OLD], []])
})

const bad: Record<string, string> = {
  'signed with another secret': signed(ID, 'another secret'),
  unsigned: ID,
  empty: '',
  'not well encoded': '%E0%A4%A',
  'of 4 kB': signed('x'.repeat(4000), 'another secret')
}
for (const [what, value] of Object.entries(bad)) {
  t.test(`of an old cookie that is ${what} no store is asked, and nothing is stored`, async t => {
    const store = new MemoryStore()
    const { app, old } = await move(t, { driver: store })
    t.same((await withOldCookie(app, value).get('/')).json, { name: 'a guest', visits: 0, isNew: true })
    t.same([old.asked, store.list({}, { limit: 1 }).records], [[], []])
  })
}

t.test('signatures of @fastify/session, which has no s: in front, and of earlier secrets are right', async t => {
  const { app } = await move(t, {}, { secret: ['newer', SECRET] })
  t.equal(((await withOldCookie(app, signed(ID, SECRET, '')).get('/')).json as { name: string }).name, 'ada')
})

t.test('the user of an adopted session is the one that the function names', async t => {
  const { app } = await move(t, {}, { user: ({ name }) => String(name) })
  t.equal(((await withOldCookie(app).get('/')).json as { userId: string }).userId, 'ada')
  t.equal((await app.sessions.for('ada')).length, 1)
})

t.test('a user who cannot be found, or not in time, is a 503 without what the function has thrown', async t => {
  for (const user of [() => { throw new Error('ada is not in the table') }, () => new Promise<never>(() => {})]) {
    const { app } = await move(t, { timeout: 0.01 }, { user })
    const ada = withOldCookie(app)
    const answer = await ada.get('/')
    t.match(answer.json, { statusCode: 503, code: 'ERR_SESSION_STORE' })
    t.notMatch(answer.text, 'table')
    t.same([...ada.cookies.keys()], [OLD])
  }
})

t.test('an old store that fails is a 503: the visitor is not signed out', async t => {
  const { app, old } = await move(t)
  const ada = withOldCookie(app)
  old.fault = new Error('connect ECONNREFUSED')
  t.equal((await ada.get('/')).status, 503)
  t.same([...ada.cookies.keys()], [OLD])
  old.fault = undefined
  t.equal(((await ada.get('/')).json as { name: string }).name, 'ada')
})

t.test('an error of an old store that is its own cause is a 503', async t => {
  const { app, old } = await move(t)
  const error = new Error('out of order')
  error.cause = error
  old.fault = error
  t.equal((await withOldCookie(app).get('/')).status, 503)
})

t.test('an old store that does not answer is a 503', async t => {
  const { app } = await move(t, { timeout: 0.01 }, { store: { get () {}, destroy () {} } })
  t.equal((await withOldCookie(app).get('/')).status, 503)
})

const unreadable: Record<string, Partial<AdoptOptions>> = {
  damaged: { read: () => JSON.parse('{') as object },
  'that is no object': { read: () => [1] },
  'that is a text in its store': { read: undefined, secret: SECRET, store: { get: (_id, callback) => { callback(null, 'text' as unknown as object) }, destroy () {} } },
  'with a key that put() refuses': { read: () => ({ constructor: 1 }) },
  'with a value that cannot be stored': { read: () => ({ fn: () => {} }) },
  'with a key that cannot be stored': { read: () => JSON.parse('{ "__proto__": 1 }') as object },
  'that is too large': { read: () => ({ text: 'x'.repeat(2000) }) }
}
for (const [what, adopt] of Object.entries(unreadable)) {
  t.test(`an old session ${what} makes a new visitor and one warning, without the cookie's value`, async t => {
    const { app, log } = await move(t, { maxBytes: 1000 }, { store: undefined, ...adopt })
    const ada = withOldCookie(app)
    t.same((await ada.get('/')).json, { name: 'a guest', visits: 0, isNew: true })
    await ada.get('/')
    const warnings = log.entries.filter(({ level }) => level === 40)
    t.equal(warnings.length, 1)
    t.match(warnings[0], { code: 'AMBIENT_SESSION_ADOPT', msg: /connect\.sid.* cannot be read/ })
    t.notMatch(JSON.stringify(warnings), ID)
  })
}

t.test('a session that is read by a function goes on, and a function that fails is a 503', async t => {
  let isOut = true
  const read = async (value: string): Promise<object | undefined> => {
    if (isOut) throw new Error('no connection')
    return value === ID ? { name: 'ada' } : undefined
  }
  const { app } = await move(t, {}, { store: undefined, read })
  const ada = withOldCookie(app)
  t.equal((await ada.get('/')).status, 503)
  isOut = false
  t.equal(((await ada.get('/')).json as { name: string }).name, 'ada')
  t.same((await withOldCookie(app, signed('another')).get('/')).json, { name: 'a guest', visits: 0, isNew: true })
})

t.test('sessions of several packages are adopted', async t => {
  const { app } = await move(t, { adopt: [{ cookie: 'a', read: () => undefined }, { cookie: 'b', read: value => ({ name: value }) }] })
  const ada = visitor(app)
  ada.cookies.set('b', 'ada')
  t.equal(((await ada.get('/')).json as { name: string }).name, 'ada')
})

t.test('path, domain and partition of the old cookie are those with which it is cleared', async t => {
  const { app } = await move(t, { secure: true }, { path: '/shop', domain: 'example.com', partitioned: true })
  const { setCookies } = await withOldCookie(app).get('/')
  t.match(setCookies.find(({ name }) => name === OLD), { value: '', attributes: { path: '/shop', domain: 'example.com', 'max-age': '0', partitioned: true } })
})

t.test('an old session that could not be ended in its store is reported, and goes on', async t => {
  const [failed, store] = [deferred(), new OldStore()]
  const { app, log } = await move(t, {}, {
    store: {
      get: store.get.bind(store),
      destroy (_id, callback) {
        callback(new Error('read-only'))
        failed.resolve()
      }
    }
  })
  const ada = withOldCookie(app)
  t.equal((await ada.get('/')).status, 200)
  await failed.promise
  t.equal((await ada.get('/visit')).text, '8')
  t.ok(log.entries.some(({ msg }) => /could not be ended in its old store/.test(msg)))
})

const wrong: Record<string, [adopt: unknown, message: RegExp]> = {
  'a store without the secret': [{ cookie: OLD, store: new OldStore() }, /adopt: a store needs the secret/],
  'neither a store nor a function': [{ cookie: OLD }, /adopt: expected either a store or a read function/],
  'a store and a function': [{ cookie: OLD, secret: SECRET, store: new OldStore(), read: () => undefined }, /either a store or a read function/],
  'something else': [{ cookie: OLD, secret: SECRET, store: {} }, /adopt.*expected/],
  'the name of this package\'s cookie': [{ cookie: COOKIE, read: () => undefined }, /adopt: an old cookie cannot have the name of one of this package.*"ambient_session"/],
  'the name of a part of it': [{ cookie: `${COOKIE}.1`, read: () => undefined }, /adopt: an old cookie cannot have the name/],
  'a text': ['connect.sid', /adopt: expected \{ cookie: 'connect\.sid', secret, store \}/]
}
for (const [what, [adopt, message]] of Object.entries(wrong)) {
  t.test(`${what} is refused at start, without the secret in the message`, async t => {
    const failed = await serve(t, () => {}, { adopt: adopt as AdoptOptions }).then(() => undefined, (error: unknown) => error)
    t.type(failed, SessionConfigError)
    t.match((failed as Error).message, message)
    t.notMatch((failed as Error).message, SECRET)
  })
}

t.test('an error handler of a request that is given up while its session is taken over begins no other', async t => {
  const [old, taken, asked] = [new OldStore(), deferred(), deferred<string>()]
  const app = await serve(t, app => {
    app.setErrorHandler(async (_error, _req, reply) => {
      try {
        session().flash('status', 'please try again')
        asked.resolve('flashed')
      } catch (error) {
        asked.resolve((error as Error).message)
      }
      await reply.code(503).send('too slow')
    })
    app.get('/', async () => session('name', 'a guest'))
  }, {
    adopt: {
      cookie: OLD,
      secret: SECRET,
      store: {
        get (id: string, callback: (error: unknown, session?: object | null) => void) { void asked.promise.then(() => { old.get(id, callback); taken.resolve() }) },
        destroy: old.destroy.bind(old)
      }
    }
  }, { handlerTimeout: 20 })
  const ada = withOldCookie(app)
  t.equal((await ada.get('/')).text, 'too slow')
  t.match(await asked.promise, /has not been read yet/)
  await taken.promise
  t.equal((await ada.get('/')).text, 'ada')
})
