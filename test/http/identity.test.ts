/** New ids, ends, and the requests that come too late for them. */
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { MemoryStore, session } from '../../src/index.ts'
import { visitor, type Visitor } from '../helpers/client.ts'
import { Clock, COOKIE, Gate, Log, nextMillisecond, serve, type Teardown } from './support.ts'
import { SpyStore } from './stores.ts'

const [SECRET, OLD_SECRET] = ['n'.repeat(32), 'o'.repeat(32)]

interface Shop {
  readonly app: FastifyInstance
  readonly log: Log
  readonly store: SpyStore
  /** Where requests of /slow/… wait, each after its first look at the session. */
  readonly gate: Gate
}

/** Serves a small shop whose slow routes wait at a gate between reading and writing. */
async function shop (t: Teardown, options = {}): Promise<Shop> {
  const [log, store, gate] = [new Log(), new SpyStore(), new Gate()]
  const app = await serve(t, app => {
    const login = (): void => { session().regenerate(); session({ user: 'ada' }) }
    const logout = (): void => { session().invalidate() }
    app.post('/visit', async () => { session().increment('visits') })
    app.get('/all', async () => session().all())
    app.get('/identity', async () => ({ id: session().id, key: session().key, token: session().token(), name: session().name }))
    app.post('/login', async () => { login() })
    app.post('/logout', async () => { logout() })
    app.post('/migrate', async () => { session().migrate() })
    app.post('/logout-with-message', async () => { logout(); session().flash('status', 'goodbye') })
    app.post('/slow/put', async () => { session().all(); await gate.pass(); session({ late: true }) })
    app.post('/slow/read', async () => { const before = session().all(); await gate.pass(); return before })
    app.post('/slow/login', async () => { session().all(); await gate.pass(); login() })
    app.post('/slow/logout', async () => { session().all(); await gate.pass(); logout() })
  }, { driver: store, ...options }, { logger: log })
  return { app, log, store, gate }
}

async function returning (app: FastifyInstance): Promise<Visitor> {
  const ada = visitor(app)
  await ada.post('/visit')
  return ada
}

t.test('the session knows its id, its key and the name of its cookie', async t => {
  const { app } = await shop(t)
  const ada = await returning(app)
  const { id, key, name } = (await ada.get('/identity')).json as Record<string, string>
  t.equal(id, ada.cookies.get(COOKIE))
  t.match(key, /^[0-9a-f]{64}$/)
  t.equal(name, COOKIE)
})

t.test('regenerate() gives a new id and a new token and keeps the data', async t => {
  const { app } = await shop(t)
  const ada = await returning(app)
  const before = (await ada.get('/identity')).json as Record<string, string>
  t.equal((await ada.post('/login')).setCookies.length, 1)
  const after = (await ada.get('/identity')).json as Record<string, string>
  t.equal(after.id, ada.cookies.get(COOKIE))
  t.not(after.id, before.id)
  t.not(after.token, before.token)
  t.same((await ada.get('/all')).json, { visits: 1, user: 'ada' })
})

t.test('migrate() gives a new id and keeps the token', async t => {
  const { app } = await shop(t)
  const ada = await returning(app)
  const before = (await ada.get('/identity')).json as Record<string, string>
  await ada.post('/migrate')
  const after = (await ada.get('/identity')).json as Record<string, string>
  t.not(after.id, before.id)
  t.equal(after.token, before.token)
})

t.test('an id that was fixed on a visitor before they logged in is worth nothing afterwards', async t => {
  const { app } = await shop(t)
  const eve = await returning(app)
  const ada = eve.copy()
  await ada.post('/login')
  t.same((await eve.get('/all')).json, {})
  t.same((await ada.get('/all')).json, { visits: 1, user: 'ada' })
})

t.test('logging out clears the cookie, and the old one opens nothing', async t => {
  const { app } = await shop(t)
  const ada = await returning(app)
  const thief = ada.copy()
  const [cookie] = (await ada.post('/logout')).setCookies
  t.match(cookie, { name: COOKIE, value: '', attributes: { 'max-age': '0' } })
  t.equal(ada.cookies.has(COOKIE), false)
  t.same((await thief.get('/all')).json, {})
})

t.test('logging out without a session is no error and sets no cookie', async t => {
  const { app } = await shop(t)
  const answer = await visitor(app).post('/logout')
  t.equal(answer.status, 200)
  t.same(answer.setCookies, [])
})

t.test('what is flashed after logging out begins a new session', async t => {
  const { app } = await shop(t)
  const ada = await returning(app)
  const before = ada.cookies.get(COOKIE)
  const { setCookies } = await ada.post('/logout-with-message')
  t.equal(setCookies.length, 1)
  t.not(ada.cookies.get(COOKIE), before)
  t.same((await ada.get('/all')).json, { status: 'goodbye' })
})

// Requests that come too late -----------------------------------------------------------------------------------------

for (const how of ['login', 'migrate']) {
  t.test(`a request that comes with the old cookie after a ${how} stores nothing and gets no cookie`, async t => {
    const { app, log, store } = await shop(t)
    const ada = await returning(app)
    const late = ada.copy()
    await ada.post(`/${how}`)
    const after = (await ada.get('/all')).json
    store.takeCalls()
    const answer = await late.post('/visit')
    t.equal(answer.status, 200)
    t.same(answer.setCookies, [])
    t.same(store.takeCalls(), ['read'])
    t.same((await ada.get('/all')).json, after)
    t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['visits'] }])
  })
}

t.test('a late request is told nothing of what was in the session', async t => {
  const { app } = await shop(t)
  const ada = await returning(app)
  const late = ada.copy()
  await ada.post('/login')
  t.same((await late.get('/all')).json, {})
})

for (const { driver, isSynchronous } of [{ driver: 'synchronous', isSynchronous: true }, { driver: 'asynchronous', isSynchronous: false }]) {
  t.test(`after a logout the old cookie is that of a new visitor, who may begin a session at once: ${driver} store`, async t => {
    const { app } = await shop(t, { driver: new SpyStore(isSynchronous) })
    const ada = await returning(app)
    const old = ada.copy()
    await ada.post('/logout')
    const { setCookies } = await old.post('/login')
    t.equal(setCookies.length, 1)
    t.not(setCookies[0]?.value, ada.cookies.get(COOKIE))
    t.same((await old.get('/all')).json, { user: 'ada' })
  })

  t.test(`after a logout a request that begins no session clears the dead cookie: ${driver} store`, async t => {
    const { app, log } = await shop(t, { driver: new SpyStore(isSynchronous) })
    const ada = await returning(app)
    const old = ada.copy()
    await ada.post('/logout')
    const { json, setCookies } = await old.get('/all')
    t.same(json, {})
    t.match(setCookies, [{ name: COOKIE, attributes: { 'max-age': '0' } }])
    t.same(log.entries, [])
  })

  t.test(`a session revoked by another device leaves its browser free to sign in again: ${driver} store`, async t => {
    const driver = new SpyStore(isSynchronous)
    const app = await serve(t, app => {
      app.post('/login', async () => { session().regenerate(); session().setUser('ada') })
      app.post('/revoke-all', async () => { await app.sessions.destroyFor('ada') })
      app.get('/user', async () => session().userId ?? 'nobody')
    }, { driver })
    const [phone, laptop] = [visitor(app), visitor(app)]
    await phone.post('/login')
    await laptop.post('/login')
    await visitor(app).post('/revoke-all')
    t.equal((await phone.copy().get('/user')).text, 'nobody')
    await phone.post('/login')
    t.equal((await phone.get('/user')).text, 'ada')
  })

  t.test(`a sign-in whose answer was lost is tried again with the old cookie: ${driver} store`, async t => {
    const { app } = await shop(t, { driver: new SpyStore(isSynchronous) })
    const ada = await returning(app)
    const retry = ada.copy()
    await ada.post('/login')
    const { setCookies } = await retry.post('/login')
    t.equal(setCookies.length, 1)
    t.same((await retry.get('/all')).json, { user: 'ada' })
    t.same((await ada.get('/all')).json, { visits: 1, user: 'ada' })
  })
}

t.test('a request in flight that signs in while another one has, gets no cookie over that one\'s', async t => {
  const { app, gate } = await shop(t)
  const ada = await returning(app)
  const double = ada.copy().post('/slow/login')
  await gate.reached
  await ada.post('/login')
  gate.open()
  t.same((await double).setCookies, [])
  t.same((await ada.get('/all')).json, { visits: 1, user: 'ada' })
})

t.test('a request that was in flight when its session was ended, and comes to it only afterwards, begins none', async t => {
  const gate = new Gate()
  const app = await serve(t, app => {
    app.post('/visit', async () => { session().increment('visits') })
    app.post('/slow', async () => { await gate.pass(); session().increment('visits') })
    app.post('/logout', async () => { session().invalidate() })
  })
  const ada = await returning(app)
  const inFlight = ada.copy().post('/slow')
  await gate.reached
  await nextMillisecond()
  await ada.post('/logout')
  gate.open()
  t.same((await inFlight).setCookies, [])
})

t.test('after the grace period the cookie from before a login may begin a new session', async t => {
  const clock = new Clock(t)
  const { app } = await shop(t, { grace: 30 })
  const ada = await returning(app)
  const late = ada.copy()
  await ada.post('/login')
  clock.advance(29)
  t.same((await late.post('/visit')).setCookies, [])
  clock.advance(2)
  t.equal((await late.post('/visit')).setCookies.length, 1)
})

t.test('the grace period is ten seconds', async t => {
  const clock = new Clock(t)
  const { app } = await shop(t)
  const ada = await returning(app)
  const late = ada.copy()
  await ada.post('/login')
  clock.advance(9)
  t.same((await late.post('/visit')).setCookies, [])
  clock.advance(2)
  t.equal((await late.post('/visit')).setCookies.length, 1)
})

t.test('without a grace period the old cookie may do so at once', async t => {
  const { app } = await shop(t, { grace: 0 })
  const ada = await returning(app)
  const late = ada.copy()
  await ada.post('/login')
  t.equal((await late.post('/visit')).setCookies.length, 1)
})

t.test('a request in flight while the visitor logs out does not bring the session back', async t => {
  const { app, log, gate } = await shop(t)
  const ada = await returning(app)
  await ada.post('/login')
  const thief = ada.copy()
  const inFlight = ada.copy().post('/slow/put')
  await gate.reached
  await ada.post('/logout')
  gate.open()
  const answer = await inFlight
  t.equal(answer.status, 200)
  t.same(answer.setCookies, [])
  t.same((await thief.get('/all')).json, {})
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['late'] }])
})

t.test('a request in flight that only reads keeps what it has read', async t => {
  const { app, gate } = await shop(t)
  const ada = await returning(app)
  const inFlight = ada.copy().post('/slow/read')
  await gate.reached
  await ada.post('/logout')
  gate.open()
  const answer = await inFlight
  t.same(answer.json, { visits: 1 })
  t.same(answer.setCookies, [])
})

t.test('a login in flight while the visitor logs out does not log them in', async t => {
  const { app, gate } = await shop(t)
  const ada = await returning(app)
  const inFlight = ada.copy()
  const login = inFlight.post('/slow/login')
  await gate.reached
  await ada.post('/logout')
  gate.open()
  t.same((await login).setCookies, [])
  t.same((await inFlight.get('/all')).json, {})
  t.same((await ada.get('/all')).json, {})
})

t.test('a logout in flight while the visitor logs in leaves the new session, which it never knew', async t => {
  const { app, gate } = await shop(t)
  const ada = await returning(app)
  const logout = ada.copy().post('/slow/logout')
  await gate.reached
  await ada.post('/login')
  gate.open()
  t.same((await logout).setCookies, [])
  t.same((await ada.get('/all')).json, { visits: 1, user: 'ada' })
})

t.test('of two logins at once from the same cookie one wins, and the other gets no cookie', async t => {
  const { app, gate } = await shop(t)
  const ada = await returning(app)
  const first = ada.copy()
  const login = first.post('/slow/login')
  await gate.reached
  t.equal((await ada.post('/login')).setCookies.length, 1)
  gate.open()
  t.same((await login).setCookies, [])
  t.same((await ada.get('/all')).json, { visits: 1, user: 'ada' })
  t.same((await first.get('/all')).json, {})
})

t.test('a write in flight while the visitor logs in is dropped, and the login stands', async t => {
  const { app, gate, log } = await shop(t)
  const ada = await returning(app)
  const write = ada.copy().post('/slow/put')
  await gate.reached
  await ada.post('/login')
  gate.open()
  t.same((await write).setCookies, [])
  t.same((await ada.get('/all')).json, { visits: 1, user: 'ada' })
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['late'] }])
})

t.test('a write that is stored while a login is in flight is kept by the login', async t => {
  const { app, gate } = await shop(t)
  const ada = await returning(app)
  const other = ada.copy()
  const login = ada.post('/slow/login')
  await gate.reached
  await other.post('/visit')
  gate.open()
  await login
  t.same((await ada.get('/all')).json, { visits: 2, user: 'ada' })
})

t.test('no warning about a late request holds its id', async t => {
  const { app, log } = await shop(t)
  const ada = await returning(app)
  const id = ada.cookies.get(COOKIE)
  const late = ada.copy()
  await ada.post('/login')
  await late.post('/visit')
  await log.warnings(1)
  t.notMatch(log.lines.join(''), id)
})

for (const [what, path] of Object.entries({ 'an ordinary route': '/slow/read', 'a read-only route': '/slow/read-only' })) {
  t.test(`a slow answer of ${what} does not bring back the id of before a sign-in, although its cookie was signed with an older secret`, async t => {
    const [store, gate] = [new MemoryStore(), new Gate()]
    const routes = (app: FastifyInstance): void => {
      app.post('/visit', async () => { session().increment('visits') })
      app.post('/login', async () => { session().regenerate(); session({ user: 'ada' }) })
      app.get('/slow/read', async () => { session('visits'); await gate.pass() })
      app.get('/slow/read-only', { config: { session: { readonly: true } } }, async () => { session('visits'); await gate.pass() })
      app.get('/user', async () => session('user', 'nobody'))
    }
    const before = visitor(await serve(t, routes, { driver: store, secret: OLD_SECRET }))
    await before.post('/visit')
    const ada = visitor(await serve(t, routes, { driver: store, secret: [SECRET, OLD_SECRET] }))
    for (const [name, value] of before.cookies) ada.cookies.set(name, value)
    const slow = ada.get(path)
    await gate.reached
    await ada.post('/login')
    gate.open()
    t.same((await slow).setCookies, [])
    t.equal((await ada.get('/user')).text, 'ada')
  })
}

t.test('a session that ends and begins anew in one request is not taken from its browser by a request with the id of before', async t => {
  const { app, store } = await shop(t)
  const ada = await returning(app)
  const old = visitor(app)
  for (const [name, value] of ada.cookies) old.cookies.set(name, value)
  await ada.post('/logout-with-message')
  await nextMillisecond()
  t.same((await old.get('/all')).setCookies, [], 'not cleared')
  t.same((await old.post('/visit')).setCookies, [], 'and no other session in its place')
  t.ok((await old.post('/login')).setCookies.length > 0, 'but a sign-in is one')
  t.same((await ada.get('/all')).json, { status: 'goodbye' })
  t.equal(store.list({}, { limit: 10 }).records.length, 2)
})

t.test('a browser whose session was ended can sign in although the clock was set back since', async t => {
  const { app } = await shop(t)
  const clock = new Clock(t)
  clock.advance(3600)
  const ada = await returning(app)
  const late = visitor(app)
  for (const [name, value] of ada.cookies) late.cookies.set(name, value)
  await ada.post('/logout')
  clock.advance(-3600)
  await late.post('/login')
  t.same((await late.get('/all')).json, { user: 'ada' })
})
