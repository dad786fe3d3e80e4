/** What req.session is: the helper of one request, whose properties are keys of the session. */
import { inspect } from 'node:util'
import t from 'tap'
import type { FastifyRequest } from 'fastify'
import { session, type SessionOptions } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { Clock, COOKIE, elsewhere, Gate, Log, serve } from './support.ts'
import { SpyStore } from './stores.ts'

type Act = (req: FastifyRequest) => unknown

/** A visitor, and a way to have something done in a request of theirs. */
async function acting (t: Parameters<typeof serve>[0], options: SessionOptions = {}) {
  let act: Act = () => {}
  const app = await serve(t, app => {
    app.get('/', async req => await act(req) ?? null)
    app.get('/all', async () => session().all())
  }, options)
  const ada = visitor(app)
  const request = async (next: Act, from = ada) => {
    act = next
    return await from.get('/')
  }
  return { app, ada, request, all: async (from = ada) => (await from.get('/all')).json }
}

t.test('a property that is assigned is a key of this visitor\'s session, and of no other', async t => {
  const { app, request, all } = await acting(t)
  const eve = visitor(app)
  await request(req => { req.session.user = { name: 'ada' } })
  t.same(await all(), { user: { name: 'ada' } })
  t.same(await all(eve), {})
  await request(req => { t.same(req.session.user, { name: 'ada' }) })
  await request(req => { t.equal(req.session.user, undefined) }, eve)
})

t.test('name and length, which TypeScript knows of functions, are assigned and deleted as other keys are', async t => {
  const { request, all } = await acting(t)
  await request(req => {
    req.session.name = 'ada'
    req.session.length = 3
    delete req.session.length
  })
  t.same(await all(), { name: 'ada' })
})

t.test('what is below a property can be changed in place', async t => {
  const { request, all } = await acting(t)
  await request(req => { req.session.cart = { items: [] } })
  await request(req => { (req.session.cart as { items: string[] }).items.push('pen') })
  t.same(await all(), { cart: { items: ['pen'] } })
})

t.test('in, delete, Object.keys, spread and JSON.stringify see the keys', async t => {
  const { request, all } = await acting(t)
  await request(req => {
    Object.assign(req.session, { a: 1, b: null })
    t.ok('a' in req.session)
    t.notOk('c' in req.session)
    t.same(Object.keys(req.session), ['a', 'b'])
    t.same({ ...req.session }, { a: 1, b: null })
    t.equal(JSON.stringify(req.session), '{"a":1,"b":null}')
    delete req.session.a
  })
  t.same(await all(), { b: null })
})

t.test('it may be taken off the request, and is called as ever', async t => {
  const { request, all } = await acting(t)
  await request(req => {
    const { session } = req
    session({ u: 1 })
    t.equal(session('u'), 1)
    t.equal(session('missing', 'default'), 'default')
    t.equal(session().get('u'), 1)
    t.equal(req.session, session)
  })
  t.same(await all(), { u: 1 })
})

t.test('methods of the session work without the parentheses that were forgotten', async t => {
  const { request, all } = await acting(t)
  await request(req => {
    req.session.put('a', 1)
    req.session.increment('a')
    const { has } = req.session
    t.equal(has('a'), true)
  })
  t.same(await all(), { a: 2 })
})

t.test('a key may have the name of a method or a fact of the session', async t => {
  const { request, all } = await acting(t)
  const values = { userId: 7, name: 'ada', key: 'k', token: 'mine', push: 'x', length: 3, isNew: false }
  await request(req => { Object.assign(req.session, values) })
  t.same(await all(), values)
  await request(req => { for (const [key, value] of Object.entries(values)) t.equal(req.session[key], value, key) })
})

t.test('the names of the plugins mean what they mean there', async t => {
  const { ada, request, all } = await acting(t)
  await request(req => {
    req.session.set('a', 1)
    t.equal(req.session.get('a'), 1)
    t.same(req.session.data(), { a: 1 })
  })
  await request(req => {
    t.equal(req.session.sessionId, ada.cookies.get(COOKIE))
    t.equal(req.session.id, req.session.sessionId)
    req.session.delete('a')
    req.session.set('b', 2)
  })
  t.same(await all(), { b: 2 })
  await request(async req => {
    req.session.c = 3
    await req.session.save()
    req.session.c = 4
    await req.session.reload()
    t.equal(req.session.c, 3)
  })
})

for (const how of ['promise', 'callback'] as const) {
  const run = (call: (callback?: (error?: unknown) => void) => Promise<void>): Promise<void> => {
    return how === 'promise' ? call() : new Promise((resolve, reject) => { void call(error => { if (error === undefined) resolve(); else reject(new Error('failed', { cause: error })) }) })
  }

  t.test(`regenerate() begins a session that is empty but for the keys named: ${how}`, async t => {
    const { ada, request, all } = await acting(t)
    await request(req => { req.session({ user: 'ada', cart: 1, returnTo: '/' }); req.session().setUser('ada') })
    const before = ada.cookies.get(COOKIE)
    await request(async req => { await run(callback => req.session.regenerate(['cart', 'returnTo'], callback)) })
    t.not(ada.cookies.get(COOKIE), before)
    t.same(await all(), { cart: 1, returnTo: '/' })
    await request(req => { t.equal(req.session().userId, undefined) })
    await request(async req => { await run(callback => callback === undefined ? req.session.regenerate() : req.session.regenerate(callback)) })
    t.same(await all(), {})
  })

  t.test(`destroy() ends the session: ${how}`, async t => {
    const { app, ada, request, all } = await acting(t)
    await request(req => { req.session.user = 'ada' })
    const old = ada.copy()
    await request(async req => {
      await run(callback => req.session.destroy(callback))
      t.equal(await app.sessions.count(), 0)
    })
    t.notOk(ada.cookies.has(COOKIE))
    t.same(await all(old), {})
  })
}

t.test('regenerate() keeps flash data for one more request, and nothing that was for this one only', async t => {
  const { request, all } = await acting(t)
  await request(async req => {
    req.session().flash('notice', 'hello')
    req.session().flash('form.status', 'saved')
    req.session().put('form.name', 'ada')
    req.session().now('once', 1)
    await req.session.regenerate(['notice', 'form', 'once'])
  })
  t.same(await all(), { notice: 'hello', form: { name: 'ada', status: 'saved' } })
  t.same(await all(), { form: { name: 'ada' } })
})

t.test('of two requests that end the session at once both have ended it', async t => {
  const { app, ada, request } = await acting(t)
  await request(req => { req.session.user = 'ada' })
  const { status } = await request(async req => {
    t.equal(req.session.user, 'ada')
    await elsewhere(key => app.sessions.destroy(key), req.session().key)
    await req.session.destroy()
    t.ok(req.session().isEnded)
  })
  t.equal(status, 200)
  t.same((await ada.get('/all')).json, {})
})

t.test('a sign-out whose page is recorded drops nothing, where another one has ended the session', async t => {
  const log = new Log()
  const app = await serve(t, app => {
    app.get('/in', async () => { session({ user: 'ada' }) })
    app.get('/out', async () => {
      t.equal(session('user'), 'ada')
      await elsewhere(key => app.sessions.destroy(key), session().key)
      session().invalidate()
      return 'bye'
    })
  }, { previousUrl: true }, { logger: log })
  const ada = visitor(app)
  await ada.get('/in')
  t.equal((await ada.get('/out', { accept: 'text/html' })).text, 'bye')
  t.same(log.lines, [])
})

t.test('to end a session that goes on under another id fails', async t => {
  const { ada, request, all } = await acting(t)
  await request(req => { req.session.user = 'ada' })
  const tab = ada.copy()
  let answer: unknown
  await request(async req => {
    t.equal(req.session.user, 'ada')
    await request(other => { other.session().regenerate() }, tab)
    answer = await req.session.destroy().catch((error: unknown) => error)
  })
  t.match(answer, { code: 'ERR_SESSION_ENDED' })
  t.same(await all(tab), { user: 'ada' })
})

t.test('delete() without a key ends the session', async t => {
  const { ada, request } = await acting(t)
  await request(req => { req.session.user = 'ada' })
  await request(req => { req.session.delete() })
  t.notOk(ada.cookies.has(COOKIE))
})

t.test('touch() moves the end and sends the cookie again', async t => {
  const { request } = await acting(t)
  await request(req => { req.session.a = 1 })
  t.same((await request(req => req.session.a)).setCookies, [])
  t.match((await request(req => { req.session.touch() })).setCookies, [{ name: COOKIE, attributes: { 'max-age': '7200' } }])
})

t.test('touch() while a save() is under way is not lost', async t => {
  const { request } = await acting(t, { driver: new SpyStore(false) })
  await request(req => { req.session.a = 1 })
  const { setCookies } = await request(async req => {
    req.session.a = 2
    const saving = req.session.save()
    req.session.touch()
    await saving
  })
  t.match(setCookies, [{ name: COOKIE, attributes: { 'max-age': '7200' } }])
})

t.test('cookie.maxAge and options({ maxAge }) give this session a lifetime of its own', async t => {
  const clock = new Clock(t)
  const { ada, request, all } = await acting(t, { lifetime: 30, expireOnClose: true })
  await request(req => { req.session.user = 'ada' })
  await request(req => { t.equal(Math.ceil((req.session.cookie.maxAge ?? 0) / 60_000), 30) })
  t.match((await request(req => { req.session.cookie.maxAge = 86_400_000 })).setCookies, [{ attributes: { 'max-age': '86400' } }])
  clock.advance(80_000)
  t.same(await all(), { user: 'ada' })
  t.match((await request(req => { req.session.options({ maxAge: 3600 }) })).setCookies, [{ attributes: { 'max-age': '3600' } }])
  const [shortened] = (await request(req => { req.session.cookie.maxAge = null })).setCookies
  t.match(shortened, { name: COOKIE, attributes: { 'max-age': undefined } })
  clock.advance(1900)
  t.same(await all(ada), {})
})

t.test('what cannot be a key is refused, with what to write', async t => {
  const { request } = await acting(t)
  for (const name of ['cookie', 'sessionId', 'save', 'get']) {
    await request(req => { t.throws(() => { (req.session as Record<string, unknown>)[name] = 1 }, { name: 'SessionValueError', message: `session().put('${name}', …)` }) })
  }
  await request(req => { t.throws(() => { (req.session as unknown as Record<symbol, unknown>)[Symbol('s')] = 1 }, { name: 'SessionValueError' }) })
  await request(req => { t.throws(() => Object.defineProperty(req.session, 'x', { get: () => 1 }), { name: 'SessionValueError' }) })
  await request(req => { t.throws(() => Object.freeze(req.session), TypeError) })
  await request(req => { t.throws(() => { req.session.fn = () => {} }, { name: 'SessionValueError', message: /'fn' is a function/ }) })
})

t.test('req.session itself cannot be replaced, and says what to write', async t => {
  const { request } = await acting(t)
  await request(req => {
    t.throws(() => { (req as { session: unknown }).session = null }, { name: 'TypeError', message: /invalidate\(\)/ })
  })
})

t.test('assigning to the global session helper is refused: all visitors would share it', async t => {
  t.throws(() => { (session as unknown as Record<string, unknown>)['user'] = 'ada' }, { name: 'TypeError', message: /session\(\)\.put\('user'/ })
  t.throws(() => Object.defineProperty(session, 'user', { value: 'ada' }), { name: 'TypeError' })
  t.notOk('user' in session)
})

t.test('on a route that is read-only a property cannot be assigned', async t => {
  const app = await serve(t, app => {
    app.get('/', { config: { session: { readonly: true } } }, async req => { req.session.user = 'ada' })
  })
  t.match(await visitor(app).get('/'), { status: 500, json: { code: 'ERR_SESSION_READONLY' } })
})

t.test('an argument that is undefined is no key: the whole session is not given for it', async t => {
  const { request } = await acting(t)
  await request(req => {
    const key = undefined as unknown as string
    for (const helper of [session, req.session]) t.throws(() => helper(key), { code: 'ERR_SESSION_VALUE', message: /has to be a key, or a plain object.*not undefined/ })
    t.equal(session(), req.session())
  })
})

t.test('logs name it', async t => {
  const { request } = await acting(t)
  await request(req => { t.equal(inspect(req.session), '[Function: session]') })
})

t.test('attributes of the cookie that are options are refused, and not ignored', async t => {
  const { request } = await acting(t)
  await request(req => {
    const cookie = req.session.cookie as unknown as Record<string, unknown>
    for (const name of ['secure', 'httpOnly', 'path', 'domain', 'sameSite', 'partitioned']) {
      t.equal(cookie[name], undefined)
      t.throws(() => { cookie[name] = true }, { code: 'ERR_SESSION_USAGE', message: `the option ${name} of ambient-session` })
    }
  })
})

t.test('cookie.expires is when the session ends, and gives it a lifetime of its own', async t => {
  const { request } = await acting(t, { lifetime: 30 })
  await request(req => { req.session.user = 'ada' })
  await request(req => {
    const { cookie } = req.session
    t.same(cookie.expires, req.session().expiresAt)
    t.equal(Math.ceil((cookie.originalMaxAge ?? 0) / 60_000), 30)
  })
  const [longer] = (await request(req => { req.session.cookie.expires = new Date(Date.now() + 86_400_000) })).setCookies
  t.match(Number(longer?.attributes['max-age']), 86_400)
  const [shortened] = (await request(req => { req.session.cookie.expires = false })).setCookies
  t.match(shortened, { name: COOKIE, attributes: { 'max-age': undefined } })
})

t.test('of a session that has not begun the cookie says neither an age nor an end', async t => {
  const { request } = await acting(t)
  await request(req => {
    const { maxAge, originalMaxAge, expires } = req.session.cookie
    t.same({ maxAge, originalMaxAge, expires }, { maxAge: null, originalMaxAge: null, expires: null })
  })
})

t.test('an attribute of the cookie is refused by options(), and not left out silently', async t => {
  const { request } = await acting(t)
  const answer = await request(req => { req.session.options({ maxAge: 60, secure: true } as { maxAge: number }) })
  t.match(answer.json, { code: 'ERR_SESSION_USAGE', message: /options\(\{ secure \}\) cannot be set for one session: set the option secure/ })
})

t.test('an option that is left out of options() changes nothing', async t => {
  const { request } = await acting(t)
  await request(req => { req.session.user = 'ada' })
  t.same((await request(req => { req.session.options({}) })).setCookies, [])
})

t.test('symbols and other prototypes are not the session\'s', async t => {
  const { request } = await acting(t)
  await request(req => {
    t.notOk(Symbol.iterator in req.session)
    t.notOk(Object.hasOwn(req.session, Symbol.iterator))
    t.notOk(Object.hasOwn(req.session, 'missing'))
    t.throws(() => { Object.setPrototypeOf(req.session, {}) }, TypeError)
    t.equal((req.session as Record<string, unknown>)['constructor'], undefined)
    t.equal((req.session as unknown as Record<symbol, unknown>)[Symbol.iterator], undefined)
    Object.defineProperty(req.session, 'a', { value: 1 })
    t.equal(req.session.a, 1)
  })
})

t.test('a callback is told why a session could not be saved', async t => {
  const { request } = await acting(t)
  await request(req => { req.session.user = 'ada' })
  await request(async req => {
    req.session.user = 'bob'
    await elsewhere(key => req.server.sessions.destroy(key), req.session().key)
    const error = await new Promise<unknown>(resolve => { void req.session.save(resolve) })
    t.match(error, { code: 'ERR_SESSION_ENDED' })
  })
})

t.test('spreading req.session gives no id where the session has a key of that name', async t => {
  const app = await serve(t, app => {
    app.get('/', async req => {
      req.session({ id: 7, name: 'ada' })
      return { spread: { ...req.session }, all: req.session().all() }
    })
  })
  t.same((await visitor(app).get('/')).json, { spread: { name: 'ada' }, all: { id: 7, name: 'ada' } })
})

t.test('of two requests at once that end their session by req.session.regenerate() none fails', async t => {
  const gate = new Gate()
  const app = await serve(t, app => {
    app.get('/begin', async req => { req.session.user = 'ada' })
    app.get('/slow', async req => { req.session('user'); await gate.pass(); await req.session.regenerate(); await req.session.save(); return 'ended' })
    app.get('/end', async req => { await req.session.regenerate(); return 'ended' })
  })
  const ada = visitor(app)
  await ada.get('/begin')
  const slow = ada.get('/slow')
  await gate.reached
  await ada.get('/end')
  gate.open()
  t.equal((await slow).text, 'ended')
})
