/** Whole requests whose sessions are in the browser: driver `cookie`. */
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { csrfToken, runWithSession, session, type SessionOptions } from '../../src/index.ts'
import { type Answer, visitor, type Visitor } from '../helpers/client.ts'
import { Clock, COOKIE, Gate, Log, serve } from './support.ts'

const [SECRET, NEXT_SECRET] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]
/** What fits into one cookie, into two, and into none. */
const [SMALL, MIDDLE, LARGE] = [100, 5_000, 20_000]

function routes (app: FastifyInstance): void {
  app.get('/visit', async () => `visit ${session().increment('visits')}`)
  app.get('/all', async () => session().all())
  app.get('/untouched', async () => 'untouched')
  app.post<{ Params: { bytes: number } }>('/fill/:bytes', async ({ params }) => { session({ filling: 'x'.repeat(params.bytes) }) })
  app.get('/size', async () => String(session('filling', '')).length)
  app.post<{ Params: { key: string } }>('/put/:key', async ({ params }) => { session({ [params.key]: true }) })
  app.post('/login', async () => { session().regenerate() })
  app.post('/logout', async () => { session().invalidate() })
  app.get('/id', async () => session().id)
  app.get('/name', async () => session().name)
  app.get('/created', async () => session().createdAt)
  app.post('/flash', async () => { session().flash('status', 'saved') })
  app.get('/status', async () => session('status', 'nothing'))
}

async function shop (t: Test, options: SessionOptions = {}, more: (app: FastifyInstance) => unknown = () => {}, log = new Log()): Promise<FastifyInstance> {
  return await serve(t, app => {
    routes(app)
    return more(app)
  }, { driver: 'cookie', secret: SECRET, ...options }, { logger: log })
}

function names (visitor: Visitor): string[] {
  return [...visitor.cookies.keys()]
}

function lineLengths ({ headers }: Answer): number[] {
  return headers.getSetCookie().map(line => line.length)
}

t.test('a session goes from request to request in the browser alone', async t => {
  const ada = visitor(await shop(t))
  t.equal((await ada.get('/visit')).text, 'visit 1')
  t.equal((await ada.get('/visit')).text, 'visit 2')
  t.same(names(ada), [COOKIE])
  t.equal((await ada.get('/name')).text, COOKIE)
  // Another server with the same secret has seen nothing of it, and needs not.
  const elsewhere = visitor(await shop(t))
  elsewhere.cookies.set(COOKIE, ada.cookies.get(COOKIE) ?? '')
  t.equal((await elsewhere.get('/visit')).text, 'visit 3')
})

t.test('every change sends the cookie, and nothing else does', async t => {
  const ada = visitor(await shop(t))
  for (const path of ['/untouched', '/all']) t.same((await ada.get(path)).setCookies, [], 'nothing is stored yet')
  t.equal((await ada.get('/visit')).setCookies.length, 1)
  t.equal((await ada.get('/visit')).setCookies.length, 1)
  for (const path of ['/untouched', '/all']) t.same((await ada.get(path)).setCookies, [])
})

t.test('a session that is only read is sent again when its expiry moves', async t => {
  const clock = new Clock(t)
  const ada = visitor(await shop(t, { lifetime: 10 }))
  await ada.get('/visit')
  clock.advance(5 * 60)
  t.match((await ada.get('/all')).setCookies, [{ attributes: { 'max-age': '600' } }])
  clock.advance(9 * 60)
  t.equal((await ada.get('/visit')).text, 'visit 2')
})

t.test('what is in the cookie cannot be read, nor changed, nor moved under another name', async t => {
  const log = new Log()
  const app = await shop(t, {}, app => { app.post('/secret', async () => { session({ email: 'ada@example.com' }) }) }, log)
  const ada = visitor(app)
  await ada.post('/secret')
  const value = ada.cookies.get(COOKIE) ?? ''
  t.match(value, /^1\.[\w-]+$/)
  t.notMatch(Buffer.from(value.split('.')[1] ?? '', 'base64url').toString('latin1'), /ada|email/)
  t.same((await ada.get('/all')).json, { email: 'ada@example.com' })
  const at = value.length - 30
  const changed = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1)
  for (const other of [changed, value.slice(0, -1), value.replace('1.', '2.'), 'nonsense', '1.', '%', '']) {
    t.same((await visitor(app).get('/all', { cookie: `${COOKIE}=${other}` })).json, {}, other.slice(0, 20))
  }
  const renamed = await shop(t, { cookie: 'other' })
  t.same((await visitor(renamed).get('/all', { cookie: `other=${value}` })).json, {})
  t.same((await visitor(app).get('/all', { cookie: `x${COOKIE}=1;  ${COOKIE}=${value} ; theme=dark` })).json, { email: 'ada@example.com' })
})

t.test('a larger session takes several cookies, each of at most 4096 bytes', async t => {
  const ada = visitor(await shop(t, { domain: 'example.com', sameSite: 'strict' }))
  const answer = await ada.post(`/fill/${MIDDLE}`)
  t.same(names(ada), [COOKIE, `${COOKIE}.1`])
  t.ok(lineLengths(answer).every(length => length <= 4096), String(lineLengths(answer)))
  t.equal((await ada.get('/size')).json, MIDDLE)
})

t.test('a session that shrinks clears the cookies that it does not need any more', async t => {
  const ada = visitor(await shop(t))
  await ada.post('/fill/8500')
  t.same(names(ada), [COOKIE, `${COOKIE}.1`, `${COOKIE}.2`])
  const answer = await ada.post(`/fill/${SMALL}`)
  t.match(answer.setCookies, [
    { name: COOKIE, value: /^1\./ },
    { name: `${COOKIE}.1`, value: '', attributes: { 'max-age': '0', path: '/' } },
    { name: `${COOKIE}.2`, value: '', attributes: { 'max-age': '0', path: '/' } }
  ])
  t.same(names(ada), [COOKIE])
  t.equal((await ada.get('/size')).json, SMALL)
})

t.test('the largest session that fits fits exactly, and a byte more is a SessionTooLargeError', async t => {
  const ada = visitor(await shop(t))
  let [fits, tooLarge] = [MIDDLE, LARGE]
  while (tooLarge - fits > 1) {
    const bytes = Math.floor((fits + tooLarge) / 2)
    if ((await ada.post(`/fill/${bytes}`)).status === 200) fits = bytes
    else tooLarge = bytes
  }
  t.ok(fits > 8_500, `${fits} bytes fit`)
  await ada.post(`/fill/${SMALL}`)
  const answer = await ada.post(`/fill/${fits}`)
  t.equal(answer.setCookies.length, 3)
  t.ok(lineLengths(answer).every(length => length <= 4096))
  t.equal((await ada.get('/size')).json, fits)
  const refused = await ada.post(`/fill/${tooLarge}`)
  t.match(refused.json, { statusCode: 500, code: 'ERR_SESSION_TOO_LARGE', message: /bytes in cookies, which hold \d+, so .* another driver/ })
  t.same(refused.setCookies, [])
  t.equal((await ada.get('/size')).json, fits, 'the browser keeps what it had')
})

t.test('a sign-out holds, even if what was put after it does not fit', async t => {
  const app = await shop(t, {}, app => {
    app.post('/logout/too-large', async () => {
      session().invalidate()
      session({ filling: 'x'.repeat(LARGE) })
    })
    app.post('/logout/saved', async () => {
      session().invalidate()
      session({ filling: 'x'.repeat(LARGE) })
      await session().save()
    })
  })
  for (const how of ['too-large', 'saved']) {
    const ada = visitor(app)
    await ada.post(`/fill/${MIDDLE}`)
    const answer = await ada.post(`/logout/${how}`)
    t.match(answer.json, { statusCode: 500, code: 'ERR_SESSION_TOO_LARGE' })
    t.same(names(ada), [])
    t.equal((await ada.get('/size')).json, 0)
  }
})

t.test('maxBytes may set a lower limit', async t => {
  const ada = visitor(await shop(t, { maxBytes: 3_000 }))
  t.match((await ada.post(`/fill/${MIDDLE}`)).json, { code: 'ERR_SESSION_TOO_LARGE', message: /maxBytes allows 3000/ })
})

t.test('a cookie of which a part is missing counts as none', async t => {
  const ada = visitor(await shop(t))
  await ada.post(`/fill/${MIDDLE}`)
  ada.cookies.delete(`${COOKIE}.1`)
  t.equal((await ada.get('/size')).json, 0)
  await ada.get('/visit')
  t.equal((await ada.get('/visit')).text, 'visit 2')
})

t.test('cookies of an older, longer session do not get into a new one', async t => {
  const ada = visitor(await shop(t))
  await ada.post('/fill/8500')
  ada.cookies.delete(COOKIE)
  await ada.post(`/fill/${SMALL}`)
  t.same(names(ada), [COOKIE])
})

t.test('idle and absolute timeout are in the sealed session, whatever the browser does with the cookie', async t => {
  const clock = new Clock(t)
  const app = await shop(t, { lifetime: 10, absoluteLifetime: 15 })
  const [idle, busy] = [visitor(app), visitor(app)]
  for (const each of [idle, busy]) await each.get('/visit')
  clock.advance(8 * 60)
  t.equal((await busy.get('/visit')).text, 'visit 2')
  clock.advance(3 * 60)
  t.equal((await idle.get('/visit')).text, 'visit 1', 'its cookie is still there, and has expired')
  t.equal((await busy.get('/visit')).text, 'visit 3')
  clock.advance(5 * 60)
  t.equal((await busy.get('/visit')).text, 'visit 1', 'fifteen minutes have passed since it began')
})

t.test('a session sealed with an older secret opens, and is sealed with the first one at its next change', async t => {
  const ada = visitor(await shop(t))
  await ada.get('/visit')
  const rotating = visitor(await shop(t, { secret: [NEXT_SECRET, SECRET] }))
  for (const [name, value] of ada.cookies) rotating.cookies.set(name, value)
  t.equal((await rotating.get('/visit')).text, 'visit 2')
  const rotated = visitor(await shop(t, { secret: NEXT_SECRET }))
  t.equal((await rotated.get('/visit', { cookie: rotating.cookieHeader })).text, 'visit 3')
  t.equal((await rotated.get('/visit', { cookie: ada.cookieHeader })).text, 'visit 1', 'what was never sealed again is lost')
})

t.test('regenerating gives another id and keeps the data and the time of creation', async t => {
  const ada = visitor(await shop(t))
  await ada.get('/visit')
  const [id, created] = [(await ada.get('/id')).text, (await ada.get('/created')).text]
  await ada.post('/login')
  t.not((await ada.get('/id')).text, id)
  t.equal((await ada.get('/created')).text, created)
  t.equal((await ada.get('/visit')).text, 'visit 2')
})

t.test('signing out clears every cookie', async t => {
  const ada = visitor(await shop(t))
  await ada.post(`/fill/${MIDDLE}`)
  const answer = await ada.post('/logout')
  t.match(answer.setCookies, [{ name: COOKIE, value: '' }, { name: `${COOKIE}.1`, value: '' }])
  t.same(names(ada), [])
  t.equal((await ada.get('/size')).json, 0)
})

t.test('a copied cookie stays good after signing out, as the documentation says', async t => {
  const ada = visitor(await shop(t))
  await ada.get('/visit')
  const thief = ada.copy()
  await ada.post('/logout')
  t.equal((await thief.get('/visit')).text, 'visit 2')
})

t.test('of two changes at the same time the later response wins, as the documentation says', async t => {
  const gate = new Gate()
  const app = await shop(t, {}, app => {
    app.post('/slow', async () => {
      session({ slow: true })
      await gate.pass()
    })
  })
  const ada = visitor(app)
  await ada.post('/put/first')
  const slow = ada.post('/slow')
  await gate.reached
  await ada.post('/put/quick')
  t.same((await ada.get('/all')).json, { first: true, quick: true })
  gate.open()
  await slow
  t.same((await ada.get('/all')).json, { first: true, slow: true })
})

t.test('flash data is there for one more request', async t => {
  const ada = visitor(await shop(t))
  await ada.post('/flash')
  t.equal((await ada.get('/status')).text, 'saved')
  t.equal((await ada.get('/status')).text, 'nothing')
})

t.test('the attributes are those of the options', async t => {
  const behindProxy = await serve(t, routes, { driver: 'cookie', secret: SECRET, sameSite: 'none', partitioned: true, domain: 'example.com', path: '/visit' }, { trustProxy: true })
  const app = visitor(behindProxy)
  t.match((await app.get('/visit', { 'x-forwarded-proto': 'https' })).setCookies, [
    { attributes: { domain: 'example.com', path: '/visit', httponly: true, secure: true, partitioned: true, samesite: 'None', 'max-age': '7200' } }
  ])
  const [plain] = (await visitor(behindProxy).get('/visit')).setCookies
  t.match(plain?.attributes, { samesite: 'Lax', secure: undefined, partitioned: undefined })
  const open = visitor(await shop(t, { expireOnClose: true, httpOnly: false, secure: true }))
  const [cookie] = (await open.get('/visit')).setCookies
  t.match(cookie?.attributes, { 'max-age': undefined, httponly: undefined, secure: true })
})

t.test('encrypt changes nothing: the session is sealed once', async t => {
  const [plain, encrypted] = [visitor(await shop(t)), visitor(await shop(t, { encrypt: true }))]
  for (const each of [plain, encrypted]) await each.get('/visit')
  t.equal((await plain.get('/visit', { cookie: encrypted.cookieHeader })).text, 'visit 2')
})

t.test('save() on a hijacked reply puts the cookies among the raw headers, the last state of the session at last', async t => {
  const app = await shop(t, {}, app => {
    app.get('/hijack', async (_req, reply) => {
      reply.hijack()
      session({ filling: 'x'.repeat(MIDDLE) })
      await session().save()
      session({ filling: 'x'.repeat(SMALL) })
      await session().save()
      reply.raw.end('raw')
    })
    app.get('/hijack-and-leave', async (_req, reply) => {
      reply.hijack()
      session({ filling: 'x' })
      await session().save()
      session().invalidate()
      await session().save()
      reply.raw.end('raw')
    })
  })
  const ada = visitor(app)
  t.equal((await ada.get('/hijack')).text, 'raw')
  t.same(names(ada), [COOKIE])
  t.equal((await ada.get('/size')).json, SMALL)
  await ada.get('/hijack-and-leave')
  t.same(names(ada), [])
})

t.test('a change after the headers have left is refused when it is saved', async t => {
  const outcomes: unknown[] = []
  const app = await shop(t, {}, app => {
    const late = (act: () => void) => async () => Readable.from((async function * () {
      yield 'first '
      act()
      await session().save().catch((error: unknown) => { outcomes.push((error as { code: string }).code) })
      yield 'last'
    })())
    app.get('/late', late(() => { session({ late: true }) }))
    app.get('/late-logout', late(() => { session().invalidate() }))
  })
  const ada = visitor(app)
  await ada.get('/visit')
  for (const path of ['/late', '/late-logout']) t.equal((await ada.get(path)).text, 'first last')
  t.same(outcomes, ['ERR_SESSION_HEADERS_SENT', 'ERR_SESSION_HEADERS_SENT'])
  t.same((await ada.get('/all')).json, { visits: 1 })
})

t.test('there is no stored session to run with', async t => {
  const app = await shop(t)
  const ada = visitor(app)
  await ada.get('/visit')
  const id = (await ada.get('/id')).text
  await t.rejects(runWithSession({ app, id }, () => {}), { code: 'ERR_SESSION_NOT_FOUND' })
})

/** A session that expires while its request runs. */
async function overdue (t: Test, act: (clock: Clock, request: FastifyRequest) => unknown, log = new Log()): Promise<Answer> {
  const clock = new Clock(t)
  const app = await shop(t, {}, app => {
    app.get('/overdue', async request => await act(clock, request) ?? 'done')
  }, log)
  const ada = visitor(app)
  await ada.get('/visit')
  return await ada.get('/overdue')
}

const OVERDUE = 2 * 60 * 60 + 1

t.test('what was changed in a session that has expired meanwhile is dropped', async t => {
  const log = new Log()
  const { status } = await overdue(t, clock => {
    session().increment('visits')
    clock.advance(OVERDUE)
  }, log)
  t.equal(status, 200)
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['visits'] }])
})

t.test('a session that was only read and has expired meanwhile is not sent again', async t => {
  const { status } = await overdue(t, clock => {
    t.equal(session('visits'), 1)
    clock.advance(OVERDUE)
  })
  t.equal(status, 200)
})

t.test('a session that has expired meanwhile can be signed out all the same', async t => {
  const { status } = await overdue(t, clock => {
    t.equal(session('visits'), 1)
    session().invalidate()
    clock.advance(OVERDUE)
  })
  t.equal(status, 200)
})

t.test('a session that expires between its commit and its cookie is not sent', async t => {
  const { setCookies } = await overdue(t, async clock => {
    session().increment('visits')
    const saved = session().save()
    clock.advance(OVERDUE)
    await saved
  })
  t.same(setCookies, [])
})

t.test('what a job has done to the session of a request and what the request does come together', async t => {
  const app = await shop(t, {}, app => {
    app.get('/both', async request => {
      session().increment('visits')
      await runWithSession(request, () => { session().increment('visits') })
    })
    app.get('/new-id', async request => {
      session().increment('visits')
      await runWithSession(request, () => { session().increment('visits') })
      session().regenerate()
    })
    app.get('/sign-out', async request => {
      session().increment('visits')
      await runWithSession(request, () => { session().increment('visits') })
      session().invalidate()
    })
  })
  const ada = visitor(app)
  await ada.get('/visit')
  t.equal((await ada.get('/both')).status, 200)
  t.same((await ada.get('/all')).json, { visits: 3 })
  t.equal((await ada.get('/new-id')).status, 200)
  t.same((await ada.get('/all')).json, { visits: 5 })
  t.equal((await ada.get('/sign-out')).status, 200)
  t.same(names(ada), [])
})

t.test('cookies whose names begin as its own do leave with it: the application\'s, and that of the CSRF token', async t => {
  const app = await shop(t, { cookie: 'shop', csrf: { cookie: 'shop.xsrf' } }, app => {
    app.get('/put', async (_request, reply) => {
      reply.header('set-cookie', 'shop.cart=3')
      session().put('a', csrfToken())
    })
  })
  t.same((await visitor(app).get('/put')).setCookies.map(({ name }) => name).sort(), ['shop', 'shop.cart', 'shop.xsrf'])
})
