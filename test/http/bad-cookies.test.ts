/** Cookies that no server gave, or that did not survive the way: no session, no error, and no work for the store. */
import { Signer } from '@fastify/cookie'
import t from 'tap'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { request, session, type SessionOptions, SessionStoreError } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { COOKIE, serve, type Teardown } from './support.ts'
import { SpyStore } from './stores.ts'

const SECRET = 'a secret that has more than 32 characters'
const OTHER_SECRET = 'another secret of more than 32 characters'
/** Of the right form, and given to nobody. */
const FORGED = 'forged_forged_forged_forged_forged_forged_A'

function routes (app: FastifyInstance): void {
  app.get('/name', async () => session('name', 'nobody'))
  app.post('/login', async () => {
    session({ name: 'ada' })
    session().setUser('ada')
  })
}

/** A client that says in its Cookie header just what it is told. */
async function presenting (t: Teardown, options: SessionOptions = {}): Promise<{ store: SpyStore, get: (cookie: string) => ReturnType<ReturnType<typeof visitor>['get']> }> {
  const store = new SpyStore(false)
  const app = await serve(t, routes, { driver: store, ...options })
  return { store, get: cookie => visitor(app).get('/name', { cookie }) }
}

const wrongForms: Record<string, string> = {
  'an empty value': '',
  'a value that is too short': 'abc',
  'a value that is too long': 'x'.repeat(5000),
  'a value that cannot be decoded': '%E0%A4%A',
  'characters that no id has': `${FORGED.slice(0, -2)}!A`,
  'bits that no id has at its end': `${FORGED.slice(0, -1)}B`,
  'a path': '../../../../etc/passwd',
  quotes: `"${FORGED}"x`,
  'a signature where none is used': `${FORGED}.signature`,
  'an escaped line break': `${FORGED.slice(0, -3)}%0AA`
}

t.test('of hundreds of cookies with the session\'s name the first 32 are looked at', async t => {
  const app = await serve(t, routes, { driver: 'memory' })
  const ada = visitor(app)
  await ada.post('/login')
  const own = `${COOKIE}=${ada.cookies.get(COOKIE)}`
  for (const [others, name] of [[31, 'ada'], [32, 'nobody'], [700, 'nobody']] as const) {
    const cookie = [...Array<string>(others).fill(`${COOKIE}=%`), own].join('; ')
    t.equal((await visitor(app).get('/name', { cookie })).text, name)
  }
})

for (const [what, value] of Object.entries(wrongForms)) {
  t.test(`a cookie with ${what} is no session, no error and no access to the store`, async t => {
    const { store, get } = await presenting(t)
    const answer = await get(`${COOKIE}=${value}`)
    t.match(answer, { status: 200, text: 'nobody' })
    t.same(answer.setCookies, [])
    t.same(store.calls, [])
  })
}

for (const [what, header] of Object.entries({ 'only a name': COOKIE, 'no name': '=x', 'only separators': ';;; ; ;' })) {
  t.test(`a Cookie header with ${what} is no session and no error`, async t => {
    const { store, get } = await presenting(t)
    t.match(await get(header), { status: 200, text: 'nobody' })
    t.same(store.calls, [])
  })
}

t.test('an id that was never given is looked up, and found to be nobody\'s', async t => {
  const { store, get } = await presenting(t)
  t.match(await get(`${COOKIE}=${FORGED}`), { status: 200, text: 'nobody' })
  t.same(store.calls, ['read'])
})

t.test('an id that was never given is not adopted: what is put begins a session of its own', async t => {
  const app = await serve(t, routes)
  const eve = visitor(app)
  eve.cookies.set(COOKIE, FORGED)
  const { setCookies } = await eve.post('/login')
  t.equal(setCookies.length, 1)
  t.not(setCookies[0]?.value, FORGED)
  t.equal((await eve.get('/name')).text, 'ada')
  t.equal((await visitor(app).get('/name', { cookie: `${COOKIE}=${FORGED}` })).text, 'nobody')
})

t.test('of several cookies of the name that counts whose session lives', async t => {
  const app = await serve(t, routes)
  const ada = visitor(app)
  await ada.post('/login')
  const genuine = `${COOKIE}=${ada.cookies.get(COOKIE) ?? ''}`
  const forged = `${COOKIE}=${FORGED}`
  t.match(await visitor(app).get('/name', { cookie: `${genuine}; ${forged}` }), { status: 200, text: 'ada' })
  t.match(await visitor(app).get('/name', { cookie: `${forged}; ${genuine}` }), { status: 200, text: 'ada' })
})

for (const [what, signOut] of Object.entries({
  'the sign-out': async () => { session().invalidate() },
  'a sign-out that is saved': async () => {
    session().invalidate()
    await session().save()
  },
  'the end of the own session by its key': async () => { await request().server.sessions.destroy(session().key) },
  'a sign-out that says so on the next page': async () => {
    session().invalidate()
    session().flash('message', 'Goodbye.')
  }
})) {
  for (const isSynchronous of [true, false]) {
    t.test(`${what} ends the sessions of all cookies of the name, on a store that answers ${isSynchronous ? 'at once' : 'later'}`, async t => {
      const app = await serve(t, app => {
        routes(app)
        app.post('/logout', signOut)
      }, { driver: new SpyStore(isSynchronous) })
      const [ada, tossed] = [visitor(app), visitor(app)]
      for (const each of [ada, tossed]) await each.post('/login')
      const [own, other] = [ada.cookieHeader, tossed.cookieHeader]
      t.equal((await visitor(app).post('/logout', undefined, { cookie: `${other}; ${COOKIE}=${FORGED}; ${own}` })).status, 200)
      for (const cookie of [own, other, `${other}; ${own}`]) t.equal((await visitor(app).get('/name', { cookie })).text, 'nobody')
    })
  }
}

t.test('where the session of another cookie cannot be ended, the sign-out fails, and nothing of it is stored', async t => {
  const driver = new SpyStore(false)
  const app = await serve(t, app => {
    routes(app)
    app.post('/logout', async () => {
      session().invalidate()
      session().flash('message', 'Goodbye.')
    })
  }, { driver })
  const [ada, tossed] = [visitor(app), visitor(app)]
  for (const each of [ada, tossed]) await each.post('/login')
  const [own, other] = [ada.cookieHeader, tossed.cookieHeader]
  driver.before = method => {
    if (method !== 'destroy') return
    driver.before = undefined
    throw new SessionStoreError('the store is away')
  }
  const { status, setCookies } = await visitor(app).post('/logout', undefined, { cookie: `${own}; ${other}` })
  t.same({ status, setCookies }, { status: 503, setCookies: [] })
  for (const cookie of [own, other]) t.equal((await visitor(app).get('/name', { cookie })).text, 'ada')
  t.equal((await visitor(app).post('/logout', undefined, { cookie: `${own}; ${other}` })).status, 200)
  for (const cookie of [own, other]) t.equal((await visitor(app).get('/name', { cookie })).text, 'nobody')
})

t.test('a sign-out that is tried again without its input ends the sessions of all cookies', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.post('/logout', (_req, reply) => {
      session().invalidate()
      return reply.withInput().back('/')
    })
  }, { maxBytes: 500 })
  const [ada, tossed] = [visitor(app), visitor(app)]
  for (const each of [ada, tossed]) await each.post('/login')
  const [own, other] = [ada.cookieHeader, tossed.cookieHeader]
  t.equal((await visitor(app).post('/logout', { text: 'x'.repeat(1000) }, { cookie: `${own}; ${other}` })).status, 303)
  for (const cookie of [own, other]) t.equal((await visitor(app).get('/name', { cookie })).text, 'nobody')
})

const wrongSignatures: Record<string, string> = {
  'no signature': FORGED,
  'an empty signature': `${FORGED}.`,
  'a forged signature': `${FORGED}.${'A'.repeat(43)}`,
  'only a signature': `.${'A'.repeat(43)}`,
  'a signature that is too long': `${FORGED}.${'A'.repeat(60)}`
}

for (const [what, value] of Object.entries(wrongSignatures)) {
  t.test(`where a secret is set, a cookie with ${what} is turned away before the store is asked`, async t => {
    const { store, get } = await presenting(t, { secret: SECRET })
    t.match(await get(`${COOKIE}=${value}`), { status: 200, text: 'nobody' })
    t.same(store.calls, [])
  })
}

t.test('a cookie signed with a secret of somebody else is turned away before the store is asked', async t => {
  const store = new SpyStore(false)
  const theirs = await serve(t, routes, { driver: store, secret: OTHER_SECRET })
  const ada = visitor(theirs)
  await ada.post('/login')
  const ours = await serve(t, routes, { driver: store, secret: SECRET })
  store.takeCalls()
  t.equal((await visitor(ours).get('/name', { cookie: ada.cookieHeader })).text, 'nobody')
  t.same(store.calls, [])
})

t.test('a signed cookie whose id was changed is turned away', async t => {
  const app = await serve(t, routes, { secret: SECRET })
  const ada = visitor(app)
  await ada.post('/login')
  const value = ada.cookies.get(COOKIE) ?? ''
  ada.cookies.set(COOKIE, `${value.startsWith('A') ? 'B' : 'A'}${value.slice(1)}`)
  t.equal((await ada.get('/name')).text, 'nobody')
})

t.test('what was signed but is no id is turned away', async t => {
  const app = await serve(t, routes, { secret: SECRET })
  const signed = new Signer(SECRET).sign('not an id')
  t.equal((await visitor(app).get('/name', { cookie: `${COOKIE}=${encodeURIComponent(signed)}` })).text, 'nobody')
})

const crowds: Record<string, string> = {
  'that are empty': `${COOKIE}=`,
  'that are escaped': `${COOKIE}=%41`,
  'of which parts are missing': `${COOKIE}=3.x; ${COOKIE}.1=x`
}

for (const [what, cookie] of Object.entries(crowds)) {
  t.test(`thousands of cookies ${what} cost the driver cookie no more than reading them once`, async t => {
    const app = await serve(t, routes, { driver: 'cookie', secret: SECRET }, { http: { maxHeaderSize: 65_536 } } as FastifyServerOptions)
    const header = Array(Math.floor(60_000 / (cookie.length + 2))).fill(cookie).join('; ')
    const costs: number[] = []
    for (let attempt = 0; attempt < 3; attempt++) {
      const before = process.cpuUsage()
      t.equal((await visitor(app).get('/name', { cookie: header })).text, 'nobody')
      costs.push(process.cpuUsage(before).user / 1000)
    }
    // Milliseconds; read once for each of them it was 400.
    t.ok(Math.min(...costs) < 100, `${costs.join(', ')} ms`)
  })
}
