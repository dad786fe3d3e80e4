/** All sessions of a user: whose a session is, the lists, and the end of the others. On every store that can list. */
import { createHash, randomBytes } from 'node:crypto'
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import ambientSession, {
  FileStore, fromConnectStore, type ListedSession, MemoryStore, openSessions, type RecordPage, runWithSession, session, type Session,
  SessionListError, type SessionOptions, SessionStoreError, type Sessions, type SessionStore, SessionValueError, type StoreKey
} from '../src/index.ts'
import { visitor, type Visitor } from './helpers/client.ts'
import { hasRedisServer, newRedisServer } from './helpers/redis-server.ts'
import { skipWithout } from './helpers/services.ts'
import { Clock, COOKIE, Gate, Log, serve } from './http/support.ts'
import { SpyStore } from './http/stores.ts'
import { application } from './session/helpers.ts'
import { run, services } from './stores/database-support.ts'

const MINUTE = 60

interface Service {
  readonly app: FastifyInstance
  readonly gate: Gate
  readonly log: Log
}

async function service (t: Test, options: SessionOptions): Promise<Service> {
  const [gate, log] = [new Gate(), new Log()]
  const app = await serve(t, app => {
    app.post<{ Params: { user: string } }>('/login/:user', async req => {
      session().regenerate()
      session().setUser(req.params.user)
      return session().key
    })
    app.get('/me', async () => ({ userId: session().userId ?? null, key: session().key }))
    app.post('/visit', async () => session().increment('visits'))
    app.post('/slow', async () => {
      session().increment('visits')
      await gate.pass()
      session().regenerate()
      session().put('late', true)
    })
    app.post('/logout', async () => { session().invalidate() })
    app.get('/devices', async () => await app.sessions.for(session().userId ?? ''))
    app.post('/logout-others', async () => await app.sessions.destroyFor(session().userId ?? '', { except: session().key }))
    app.post<{ Params: { how: string } }>('/sign-out-everywhere/:how', async ({ params }) => {
      const { userId, key } = session()
      session().put('note', 'of the session that is ended')
      if (params.how === 'invalidated before') session().invalidate()
      const saving = params.how === 'while it is saved' ? session().save() : undefined
      if (params.how.startsWith('with a new id')) session().regenerate()
      if (params.how === 'by its key') await app.sessions.destroy(key)
      else if (params.how === 'with a new id, by its key') await app.sessions.destroy(session().key)
      else await app.sessions.destroyFor(userId ?? '')
      await saving
      if (params.how === 'invalidated behind') session().invalidate()
      if (params.how === 'and no word') return
      session().flash('message', 'Signed out everywhere.')
      if (params.how === 'and in again') session().setUser(userId)
    })
    app.get('/all', async () => ({ ...session().all(), userId: session().userId }))
    app.post('/new-password', async () => {
      session().regenerate()
      return await app.sessions.destroyFor(session().userId ?? '', { except: session().key })
    })
  }, options, { logger: log })
  return { app, gate, log }
}

async function signIn (app: FastifyInstance, user: string, userAgent = 'a browser'): Promise<{ device: Visitor, key: StoreKey }> {
  const device = visitor(app)
  const { text } = await device.post(`/login/${user}`, undefined, { 'user-agent': userAgent })
  return { device, key: text as StoreKey }
}

function newUser (): string {
  return `user-${randomBytes(6).toString('hex')}`
}

function keysOf (sessions: readonly ListedSession[]): StoreKey[] {
  return sessions.map(({ key }) => key).sort()
}

async function userOf (device: Visitor): Promise<string | null> {
  return ((await device.get('/me')).json as { userId: string | null }).userId
}

/** What holds for every store. */
async function keepsItsPromises (t: Test, options: () => SessionOptions | Promise<SessionOptions>): Promise<void> {
  const { app, gate, log } = await service(t, await options())

  for (const how of ['at once', 'invalidated before', 'invalidated behind', 'with a new id', 'by its key', 'with a new id, by its key', 'while it is saved', 'and in again', 'and no word']) {
    await t.test(`who ends the session of the request itself, ${how}, goes on as after invalidate()`, async t => {
      const user = newUser()
      const { device, key } = await signIn(app, user)
      const old = device.copy()
      const told = log.lines.length
      t.equal((await device.post(`/sign-out-everywhere/${how}`)).status, 200)
      t.notOk((await app.sessions.for(user)).some(session => session.key === key))
      t.equal(device.cookies.has(COOKIE), how !== 'and no word', 'the cookie is cleared where no session begins')
      if (how !== 'and no word') t.same((await device.get('/all')).json, { message: 'Signed out everywhere.', ...how === 'and in again' && { userId: user } })
      t.equal(log.lines.length, told, 'nothing is warned of')
      const late = await old.post('/visit')
      t.same(late.setCookies, [], 'a late request with the old cookie takes the new one not away')
      t.equal(await userOf(old), null, 'the old cookie leads nowhere')
    })
  }

  await t.test('a user has a session for each device, and sees which one is this one', async t => {
    const user = newUser()
    const begin = Date.now()
    const phone = await signIn(app, user, 'a phone')
    const laptop = await signIn(app, user, 'a laptop')
    const tablet = await signIn(app, user, 'x'.repeat(1000))
    await signIn(app, newUser())
    const listed = (await laptop.device.get('/devices')).json as Array<Record<string, unknown>>
    t.same(listed.map(({ key, isCurrent }) => [key, isCurrent]).sort(), [[phone.key, false], [laptop.key, true], [tablet.key, false]].sort())
    t.same(listed.map(({ userAgent }) => userAgent).sort(), ['a laptop', 'a phone', 'x'.repeat(500)])
    const outside = await app.sessions.for(user)
    t.same(keysOf(outside), [phone.key, laptop.key, tablet.key].sort())
    for (const { userId, ipAddress, isCurrent, createdAt, lastActivity, expiresAt } of outside) {
      t.same({ userId, ipAddress, isCurrent }, { userId: user, ipAddress: '127.0.0.1', isCurrent: false })
      t.ok(createdAt.getTime() >= begin && Number(lastActivity) >= begin && expiresAt.getTime() > Date.now())
    }
    await phone.device.post('/visit')
    t.equal((await app.sessions.for(user))[0]?.key, phone.key, 'the last one used is the first')
    t.equal(await app.sessions.count({ userId: user }), 3)
  })

  await t.test('a session that is revoked is dead for its request in flight, which regenerates it', async t => {
    const user = newUser()
    const [phone, laptop] = [await signIn(app, user), await signIn(app, user)]
    const late = phone.device.post('/slow')
    await gate.reached
    t.equal(await app.sessions.destroy(phone.key), true)
    t.equal(await app.sessions.destroy(phone.key), false, 'that it is not there any more is no error')
    gate.open()
    t.same((await late).setCookies, [])
    t.same(keysOf(await app.sessions.for(user)), [laptop.key])
    t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_DROPPED', key: String }])
    t.equal(await userOf(phone.device), null)
    t.equal(await userOf(laptop.device), user)
  })

  await t.test('the other devices of a user are logged out, and this one is not', async t => {
    const [user, another] = [newUser(), newUser()]
    const here = await signIn(app, user)
    const others = [await signIn(app, user), await signIn(app, user)]
    const stranger = await signIn(app, another)
    t.equal((await here.device.post('/logout-others')).text, '2')
    t.same(keysOf(await app.sessions.for(user)), [here.key])
    for (const { device } of others) t.equal(await userOf(device), null)
    t.equal(await userOf(here.device), user)
    t.equal(await userOf(stranger.device), another)
    t.equal(await app.sessions.destroyFor(user), 1)
    t.equal(await userOf(here.device), null)
  })

  await t.test('a session that gets a new id in the same request is spared, too', async t => {
    const user = newUser()
    const here = await signIn(app, user)
    await signIn(app, user)
    t.equal((await here.device.post('/new-password')).text, '1')
    const { key } = (await here.device.get('/me')).json as { key: StoreKey }
    t.not(key, here.key)
    t.same(keysOf(await app.sessions.for(user)), [key])
  })

  await t.test('a session that is signed in while all sessions of its user are ended is listed, or logged out', async t => {
    const user = newUser()
    const before = await signIn(app, user)
    const [devices] = await Promise.all([
      Promise.all(Array.from({ length: 20 }, async () => (await signIn(app, user)).device)),
      app.sessions.destroyFor(user)
    ])
    t.equal(await userOf(before.device), null)
    const living = await Promise.all(devices.map(async device => await userOf(device)))
    t.equal(await app.sessions.count({ userId: user }), living.filter(found => found === user).length)
    await app.sessions.destroyFor(user)
    t.equal(await app.sessions.count({ userId: user }), 0)
    t.same(await Promise.all(devices.map(async device => await userOf(device))), Array(20).fill(null))
  })

  await t.test('all sessions come in pages, those without a user among them', async t => {
    const user = newUser()
    const guest = visitor(app)
    await guest.post('/visit')
    const { key } = (await guest.get('/me')).json as { key: StoreKey }
    await Promise.all(Array.from({ length: 5 }, () => signIn(app, user)))
    const found: ListedSession[] = []
    let page: string | undefined
    do {
      const { sessions, next } = await app.sessions.all({ page, limit: 2 })
      t.ok(sessions.length <= 2)
      found.push(...sessions)
      page = next
    } while (page !== undefined)
    t.equal(found.length, await app.sessions.count())
    t.equal(found.filter(({ userId }) => userId === user).length, 5)
    t.match(found.find(listed => listed.key === key), { userId: undefined, ipAddress: undefined, userAgent: undefined, lastActivity: undefined })
    t.ok((await app.sessions.all()).sessions.length >= 6)
  })
}

t.test('a page of sessions is asked for by a whole number and a text, and refused otherwise', async t => {
  const app = await serve(t, () => {}, { driver: 'memory' })
  for (const limit of [0, -1, 2.5, NaN, Infinity, null, '2', 2 ** 53] as number[]) {
    await t.rejects(app.sessions.all({ limit }), { code: 'ERR_SESSION_USAGE', message: 'at least 1' })
  }
  for (const page of [5, null, ['a']] as unknown as string[]) {
    await t.rejects(app.sessions.all({ page }), { code: 'ERR_SESSION_USAGE', message: '`next` of the page before' })
  }
  t.same(await app.sessions.all({ limit: 1 }), { sessions: [], next: undefined })
})

t.test('sessions of a user in memory', async t => {
  await keepsItsPromises(t, () => ({ driver: 'memory' }))
})

t.test('sessions of a user in files', async t => {
  await keepsItsPromises(t, () => ({ driver: 'file', files: t.testdir() }))
})

t.test('sessions of a user in Redis', { skip: await skipWithout('redis-server', hasRedisServer) }, async t => {
  await keepsItsPromises(t, async () => {
    const server = await newRedisServer(t)
    await server.start()
    return { driver: 'redis', connection: server.url }
  })
})

for (const { name, skip, url } of services) {
  t.test(`sessions of a user in ${name}`, { skip }, async t => {
    await keepsItsPromises(t, () => {
      const [connection, table] = [url(t), `users_${randomBytes(6).toString('hex')}`]
      if (!connection.startsWith('sqlite:')) t.teardown(() => run(connection, `drop table if exists ${table}`))
      return { driver: 'database', connection, table, createTable: true }
    })
  })
}

t.test('the user of a session is a text, whatever was given, and goes with the data', async t => {
  const { browser, app, warnings } = await application(t)
  const ada = browser()
  t.equal(await ada.visit(session => session.userId), undefined)
  await ada.visit(session => { session.setUser(7) })
  t.equal(await ada.visit(session => session.userId), '7', 'a session in which only the user is, is stored')
  t.same((await app.sessions.for(7)).map(({ userId }) => userId), ['7'])
  for (const change of ['regenerate', 'migrate'] as const) {
    await ada.visit(session => { session[change]() })
    t.equal(await ada.visit(session => session.userId), '7', change)
    t.equal(await app.sessions.count({ userId: 7 }), 1, `${change} leaves one session`)
  }
  await ada.visit(session => { session.replace({ a: 1 }) })
  t.equal(await ada.visit(session => session.userId), '7', 'replace() is about the data')
  for (const change of ['flush', 'invalidate'] as const) {
    await ada.visit(session => {
      session.setUser('7')
      session[change]()
    })
    t.equal(await ada.visit(session => session.userId), undefined, change)
    t.same(await app.sessions.for('7'), [], change)
  }
  for (const none of [null, undefined]) {
    await ada.visit(session => { session.setUser('7') })
    await ada.visit(session => { session.setUser(none) })
    t.same(await app.sessions.for('7'), [])
    t.equal(await ada.visit(session => session.userId), undefined)
  }
  await t.rejects(ada.visit(session => { session.setUser('7') }, { readonly: true }), { code: 'ERR_SESSION_READONLY' })
  t.same(warnings, [])
})

t.test('an invalid user id is refused, and not shown', async t => {
  const { browser, app } = await application(t)
  const ada = browser()
  for (const id of ['', 'x'.repeat(256), 'nul\0', '\ud800', 1.5, NaN, Infinity, 2 ** 53, {}, true]) {
    const error = await ada.visit(session => { session.setUser(id as string) }).then(() => undefined, (error: unknown) => error)
    t.ok(error instanceof SessionValueError, typeof id)
    await t.rejects(app.sessions.for(id as string), SessionValueError)
  }
  t.equal(ada.cookie, undefined)
})

t.test('the user that another request has set is kept by one that is late, and the later one wins', async t => {
  const { browser } = await application(t)
  const ada = browser()
  await ada.visit(session => { session.put('a', 1) })
  const tab = browser(ada.cookie)
  await ada.visit(async session => {
    session.put('b', 2)
    await tab.visit(session => { session.setUser('ada') })
  })
  t.same(await ada.visit(session => [session.userId, session.all()]), ['ada', { a: 1, b: 2 }])
  await ada.visit(async session => {
    session.setUser('grace')
    await tab.visit(session => { session.setUser('alan') })
  })
  t.equal(await ada.visit(session => session.userId), 'grace')
})

t.test('a change of the user that is not stored is named', async t => {
  const { browser, store, warnings } = await application(t)
  const ada = browser()
  await ada.visit(session => { session.setUser('ada') })
  await ada.visit(async session => {
    session.setUser('grace')
    await store.destroy(session.key)
  })
  t.match(warnings, [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['(user)'] }])
})

const NO_FACTS = { version: Number, userId: undefined, ipAddress: undefined, userAgent: undefined, lastActivity: undefined }

t.test('the record has user, address and time; that of a guest has none of them', async t => {
  const clock = new Clock(t)
  const store = new MemoryStore()
  const { browser, app } = await application(t, { driver: store, lifetime: 10, secret: 's'.repeat(32), encrypt: true })
  const ada = browser()
  const key = await ada.visit(session => {
    session.put('a', 1)
    return session.key
  })
  t.match(store.read(key), NO_FACTS)
  await ada.visit(session => { session.setUser('ada') })
  t.match(store.read(key), { userId: 'ada', ipAddress: '127.0.0.1', userAgent: 'lightMyRequest' })
  const before = (await app.sessions.for('ada'))[0]
  clock.advance(5 * MINUTE)
  await ada.visit(session => session.all())
  const after = (await app.sessions.for('ada'))[0]
  t.equal(Number(after?.lastActivity) - Number(before?.lastActivity) >= 5 * MINUTE * 1000, true, 'reading moves it with the end')
  t.match(after, { userId: 'ada', ipAddress: '127.0.0.1', userAgent: 'lightMyRequest' })
  await ada.visit(session => { session.setUser(null) })
  t.match(store.read(key), NO_FACTS)
})

t.test('without a request, a session stays where it was used', async t => {
  const { app } = await service(t, { driver: 'memory' })
  const { device } = await signIn(app, 'ada', 'a phone')
  const id = device.cookies.get(COOKIE) ?? ''
  await runWithSession({ app, id }, async () => {
    session().increment('jobs')
    t.match(await app.sessions.for('ada'), [{ isCurrent: true }])
    const { sessions } = await app.sessions.all()
    t.match(sessions, [{ isCurrent: true }])
  })
  t.match(await app.sessions.for('ada'), [{ ipAddress: '127.0.0.1', userAgent: 'a phone', isCurrent: false }])
  runWithSession({ a: 1 }, () => { session().setUser('grace') })
  t.same(await app.sessions.for('grace'), [])
})

t.test('a route without a session can list sessions, and none of them is its own', async t => {
  const app = await serve(t, app => {
    app.get('/login', async () => { session().setUser('ada') })
    app.get('/all', { config: { session: false } }, async () => (await app.sessions.all()).sessions)
  })
  const ada = visitor(app)
  await ada.get('/login')
  t.match((await ada.get('/all')).json, [{ userId: 'ada', isCurrent: false }])
})

t.test('the address that a trusted proxy gives is cut to the length of an address', async t => {
  const app = await serve(t, app => { app.get('/', async () => { session().setUser('ada') }) }, {}, { trustProxy: true })
  await visitor(app).get('/', { 'x-forwarded-for': '1'.repeat(100) })
  t.match(await app.sessions.for('ada'), [{ ipAddress: '1'.repeat(45) }])
})

for (const fails of [true, false]) {
  t.test(`a save() that is under way while its request ends the session, and ${fails ? 'fails' : 'succeeds'}, leaves nothing in the next one`, async t => {
    let isSlow = false
    class SlowStore extends SpyStore {
      override async compareAndSet (...args: Parameters<SpyStore['compareAndSet']>): ReturnType<SpyStore['compareAndSet']> {
        if (!isSlow) return await super.compareAndSet(...args)
        isSlow = false
        const answer = fails ? undefined : await super.compareAndSet(...args)
        // Longer than the end would take that does not wait.
        for (let i = 0; i < 100; i++) await turn()
        if (answer === undefined) throw new SessionStoreError('the store is away')
        return answer
      }
    }
    const log = new Log()
    const app = await serve(t, app => {
      app.post('/sign-in', async () => { session().setUser('ada') })
      app.post('/end', async () => {
        session().put('note', 'of the session that is ended')
        session().setUser('ada')
        isSlow = true
        const saving = session().save()
        await Promise.allSettled([app.sessions.destroyFor('ada'), saving])
        session().put('message', 'ended')
      })
      app.get('/all', async () => ({ userId: session().userId, ...session().all() }))
    }, { driver: new SlowStore(false) }, { logger: log })
    const ada = visitor(app)
    await ada.post('/sign-in')
    t.equal((await ada.post('/end')).status, 200)
    t.same((await ada.get('/all')).json, { message: 'ended' })
    t.same(await app.sessions.for('ada'), [])
  })
}

t.test('what a trusted proxy gives and cannot be an address is left out', async t => {
  const app = await serve(t, app => { app.get('/', async () => { session().setUser('ada') }) }, {}, { trustProxy: true })
  const ada = visitor(app)
  for (const [given, kept] of [
    ['<script>alert(1)</script>', undefined], ["' or 1=1", undefined], ['203.0.113.9', '203.0.113.9'], ['203.0.113.9:50123', '203.0.113.9:50123'],
    ['2001:db8::1', '2001:db8::1'], ['[2001:db8::1]:443', '[2001:db8::1]:443'], ['fe80::1%eth0', 'fe80::1%eth0']
  ]) {
    await ada.get('/', { 'x-forwarded-for': given ?? '' })
    t.equal((await app.sessions.for('ada'))[0]?.ipAddress, kept)
    await app.sessions.destroyFor('ada')
  }
})

function keyNamed (name: string): StoreKey {
  return createHash('sha256').update(name).digest('hex') as StoreKey
}

/** A store in which something happens right after a page was listed, as often as there is something. */
class BusyStore extends MemoryStore {
  readonly meanwhile: Array<() => unknown> = []

  override list (...args: Parameters<MemoryStore['list']>): RecordPage {
    const page = super.list(...args)
    this.meanwhile.shift()?.()
    return page
  }

  put (name: string, userId: string): void {
    this.compareAndSet(keyNamed(name), { payload: '', createdAt: new Date(), expiresAt: new Date(Date.now() + 60_000), userId }, undefined)
  }
}

t.test('sessions that begin while those of a user are ended are ended, too', async t => {
  const store = new BusyStore()
  const { app } = await application(t, { driver: store })
  store.put('first', 'ada')
  for (const key of ['second', 'third', 'fourth']) store.meanwhile.push(() => { store.put(key, 'ada') })
  t.equal(await app.sessions.destroyFor('ada'), 4)
  t.same(await app.sessions.for('ada'), [])
})

t.test('a session that gets a new id while it is listed is ended under that one', async t => {
  const store = new BusyStore()
  const { app } = await application(t, { driver: store })
  store.put('old', 'ada')
  // The page has no room for what a listing of several steps would have passed already.
  store.meanwhile.push(() => {
    store.put('new', 'ada')
    store.destroy(keyNamed('old'), new Date(Date.now() + 60_000))
  })
  t.equal(await app.sessions.destroyFor('ada'), 1)
  t.match(store.read(keyNamed('new')), { reason: 'ended' })
})

t.test('a listing that found nothing is repeated before it is believed', async t => {
  const store = new BusyStore()
  const { app } = await application(t, { driver: store })
  store.meanwhile.push(() => { store.put('passed', 'ada') })
  t.equal(await app.sessions.destroyFor('ada'), 1)
})

t.test('ending a user\'s sessions comes to an end, however fast they begin', async t => {
  const store = new BusyStore()
  const { app } = await application(t, { driver: store })
  store.put('0', 'ada')
  let n = 0
  const another = (): void => {
    store.put(String(++n), 'ada')
    store.meanwhile.push(another)
  }
  store.meanwhile.push(another)
  await t.rejects(app.sessions.destroyFor('ada'), { code: 'ERR_SESSION_STORE', message: /not all sessions.*faster than they can be ended.*100 have been/ })
})

t.test('a session that gets a new id whenever it is looked for is followed, and not taken for none', async t => {
  const store = new MemoryStore()
  const { app } = await application(t, { driver: store })
  const list = store.list.bind(store)
  const keys = ['1', '2', '3', '4', '5'].map(digit => digit.repeat(64) as StoreKey)
  store.list = (filter, page) => {
    const left = keys.shift()
    return left === undefined ? list(filter, page) : { records: [], next: undefined, moved: [left] }
  }
  store.compareAndSet('a'.repeat(64) as StoreKey, { payload: '', createdAt: new Date(), expiresAt: new Date(Date.now() + 60_000), userId: 'ada' }, undefined)
  t.equal(await app.sessions.destroyFor('ada'), 1)
})

t.test('a session that cannot be ended keeps none of its user\'s others from their end', async t => {
  const store = new MemoryStore()
  const { app } = await application(t, { driver: store })
  const keys = Array.from({ length: 40 }, (_, n) => String(n).padStart(64, '0') as StoreKey)
  for (const key of keys) store.compareAndSet(key, { payload: '', createdAt: new Date(), expiresAt: new Date(Date.now() + 60_000), userId: 'ada' }, undefined)
  const destroy = store.destroy.bind(store)
  store.destroy = (key, ...others) => {
    if (key === keys[3]) throw new SessionStoreError('it may not be written')
    return destroy(key, ...others)
  }
  await t.rejects(app.sessions.destroyFor('ada'), { code: 'ERR_SESSION_STORE', message: /1 that may be the user's.*39 have been/, cause: { message: 'it may not be written' } })
  t.match(await app.sessions.for('ada'), [{ key: keys[3] }])
})

t.test('where a store has no last activity, the newest session is the first', async t => {
  const store = new BusyStore()
  const { app } = await application(t, { driver: store })
  for (const [key, minute] of [['b', 1], ['a', 3], ['c', 2]] as const) {
    store.compareAndSet(key as StoreKey, { payload: '', createdAt: new Date(minute), expiresAt: new Date(Date.now() + 60_000), userId: 'ada' }, undefined)
  }
  t.same((await app.sessions.for('ada')).map(({ key }) => key), ['a', 'c', 'b'])
})

t.test('sessions that end without a tombstone are gone all the same', async t => {
  const { app } = await service(t, { driver: 'memory', grace: 0 })
  const { device, key } = await signIn(app, 'ada')
  t.equal(await app.sessions.destroy(key), true)
  t.equal(await userOf(device), null)
})

t.test('a key that a form has made up names no session, and no other file', async t => {
  const directory = t.testdir({ 'empty.flag': '', sessions: {} })
  const { app, log } = await service(t, { driver: 'file', files: join(directory, 'sessions') })
  for (const key of ['../empty.flag', 'a'.repeat(64), '', 'A'.repeat(64), ['a'.repeat(64)] as unknown as string]) t.equal(await app.sessions.destroy(key), false)
  t.ok(existsSync(join(directory, 'empty.flag')))
  t.same(log.entries.filter(({ code }) => code !== undefined), [])
})

t.test('sessions in memory are not opened from elsewhere', async t => {
  await t.rejects(openSessions({ driver: 'memory' }), { code: 'ERR_SESSION_CONFIG', message: /app\.sessions/ })
})

t.test('a store that cannot be opened is closed', async t => {
  let closed = 0
  const driver = Object.assign(new MemoryStore(), { open () { throw new Error('no table') }, close () { closed++ } })
  await t.rejects(openSessions({ driver }), { message: 'no table' })
  const app = Fastify()
  await t.rejects(async () => { await app.register(ambientSession, { driver }) }, { message: 'no table' })
  await app.close()
  t.equal(closed, 2)
})

t.test('of a user with many sessions no more than sixteen are ended at the same time', async t => {
  let [atOnce, most] = [0, 0]
  class SlowStore extends BusyStore {
    // @ts-expect-error -- a promise of what the other returns
    override async destroy (...args: Parameters<MemoryStore['destroy']>) {
      most = Math.max(most, ++atOnce)
      await turn()
      atOnce--
      return super.destroy(...args)
    }
  }
  const store = new SlowStore()
  const { app } = await application(t, { driver: store })
  for (let n = 0; n < 100; n++) store.put(String(n), 'ada')
  t.equal(await app.sessions.destroyFor('ada'), 100)
  t.equal(most, 16)
})

t.test('a store that counts its sessions is not asked for all of them', async t => {
  class Uncountable extends MemoryStore {
    override list (): never { throw new Error('a list of very many sessions') }
  }
  const { app } = await service(t, { driver: new Uncountable() })
  await Promise.all([signIn(app, 'ada'), signIn(app, 'ada'), signIn(app, 'grace')])
  t.equal(await app.sessions.count({ userId: 'ada' }), 2)
  t.equal(await app.sessions.count(), 3)
})

t.test('a store that cannot count is asked for the pages of its list', async t => {
  const { app } = await service(t, { driver: Object.assign(new MemoryStore(), { count: undefined }) })
  await Promise.all([signIn(app, 'ada'), signIn(app, 'ada'), signIn(app, 'grace')])
  t.equal(await app.sessions.count({ userId: 'ada' }), 2)
  t.equal(await app.sessions.count(), 3)
})

t.test('where sessions cannot be listed, an error says so', async t => {
  const secret = 's'.repeat(32)
  const connect = fromConnectStore({ get () {}, set () {}, destroy () {} })
  for (const options of [{ driver: 'cookie', secret }, { driver: 'null' }, { driver: connect }] as const) {
    const { sessions } = (await application(t, options)).app
    for (const use of [
      (sessions: Sessions) => sessions.for('ada'),
      (sessions: Sessions) => sessions.all(),
      (sessions: Sessions) => sessions.count(),
      (sessions: Sessions) => sessions.destroy('0'.repeat(64)),
      (sessions: Sessions) => sessions.destroyFor('ada')
    ]) {
      const error = await use(sessions).then(() => undefined, (error: unknown) => error)
      t.match(error, { code: 'ERR_SESSION_LIST', statusCode: 500, message: /'file', 'memory', 'redis' or 'database'/ })
      t.ok(error instanceof SessionListError)
    }
  }
})

t.test('with sessions in a cookie the user is known, and nothing else is carried for a list', async t => {
  const app = await serve(t, app => {
    app.get('/login', async () => { session().setUser('ada') })
    app.get('/me', async () => session().userId)
  }, { driver: 'cookie', secret: 's'.repeat(32) })
  const ada = visitor(app)
  await ada.get('/login', { 'user-agent': 'x'.repeat(400) })
  t.equal((await ada.get('/me')).text, 'ada')
  t.ok(ada.cookieHeader.length < 400)
})

t.test('a job opens the sessions of an application without the application', async t => {
  const files = t.testdir()
  const { app } = await service(t, { driver: 'file', files })
  const { device, key } = await signIn(app, 'ada')
  const sessions = await openSessions({ driver: 'file', files })
  t.teardown(() => sessions.close())
  t.same(keysOf(await sessions.for('ada')), [key])
  t.equal(await sessions.destroyFor('ada'), 1)
  t.equal(await userOf(device), null)
  await sessions.close()
})

t.test('openSessions opens and closes a store of one\'s own', async t => {
  const calls: string[] = []
  const store: SessionStore = Object.assign(new MemoryStore(), { open: () => { calls.push('open') }, close: () => { calls.push('close') } })
  const sessions = await openSessions({ driver: store })
  t.equal(await sessions.count(), 0)
  await sessions.close()
  t.same(calls, ['open', 'close'])
  await (await openSessions({ driver: fromConnectStore({ get () {}, set () {}, destroy () {} }) })).close()
  await t.rejects(openSessions({ driver: 'nowhere' as 'file' }), { code: 'ERR_SESSION_CONFIG' })
})

type Step =
  | { readonly op: 'setUser', readonly userId: string | null }
  | { readonly op: 'regenerate' | 'invalidate' | 'flush' | 'put' | 'destroy' | 'expire' | 'sweep' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant('setUser'), userId: fc.constantFrom('ada', 'grace', null) }) },
  fc.record({ op: fc.constantFrom('regenerate', 'invalidate', 'flush', 'put', 'destroy', 'expire', 'sweep') })
)

/** Which browser does it, and what another tab of it does at the same time. */
const events = fc.array(fc.record({ who: fc.nat(2), first: step, second: fc.option(step, { nil: undefined }) }), { minLength: 1, maxLength: 12 })

for (const [name, makeStore] of [
  ['in memory', () => new MemoryStore()],
  ['in files', (t: Test) => new FileStore({ directory: t.testdir(), report: () => {} })]
] as const) {
  t.test(`after whatever happened, a list has the living sessions of its user: ${name}`, async t => {
    const clock = new Clock(t)
    await fc.assert(fc.asyncProperty(events, async events => {
      await t.test('a run', async t => {
        const store = makeStore(t)
        const { app, browser } = await application(t, { driver: store, lifetime: 10 })
        await app.ready()
        const cookies = new Set<string>()
        const holders = [browser(), browser(), browser()]
        let n = 0

        async function act (session: Session, step: Step): Promise<void> {
          if (step.op === 'setUser') session.setUser(step.userId)
          else if (step.op === 'put') session.put('n', ++n)
          else if (step.op === 'destroy') await app.sessions.destroy(session.key)
          else if (step.op === 'expire') clock.advance(6 * MINUTE)
          else if (step.op === 'sweep') await store.sweep(new Date(Date.now()), 100)
          else session[step.op]()
        }

        for (const { who, first, second } of events) {
          const visitor = holders[who] ?? browser()
          const tab = browser(visitor.cookie)
          await visitor.visit(async session => {
            await act(session, first)
            if (second !== undefined) await tab.visit(session => act(session, second))
          })
          for (const { cookie } of [visitor, tab]) if (cookie !== undefined) cookies.add(cookie)
        }

        const expected: Record<string, StoreKey[]> = { ada: [], grace: [] }
        let living = 0
        for (const cookie of cookies) {
          const found = await browser(cookie).visit(session => session.isNew ? undefined : [session.userId, session.key] as const, { readonly: true })
          if (found === undefined) continue
          living++
          if (found[0] !== undefined) expected[found[0]]?.push(found[1])
        }
        for (const [userId, keys] of Object.entries(expected)) assert.deepEqual(keysOf(await app.sessions.for(userId)), keys.sort())
        assert.equal(await app.sessions.count(), living)
      })
    }), { numRuns: 40 })
  })
}

for (const [what, options] of Object.entries({
  'an id in the place of a key': { except: 'A'.repeat(43) }, 'a key without a name': 'f'.repeat(64), 'another name': { expect: 'f'.repeat(64) }, null: null
})) {
  t.test(`destroyFor() that is to spare ${what} ends nothing`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(ambientSession, { driver: 'memory', sweep: false })
    app.get('/', async req => { req.session().setUser('ada') })
    await app.inject('/')
    await t.rejects(app.sessions.destroyFor('ada', options as never), { name: 'SessionUsageError', message: /except: session\(\)\.key/ })
    t.equal(await app.sessions.count({ userId: 'ada' }), 1)
  })
}
