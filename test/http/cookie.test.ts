/** The session's cookie as the browser gets it. */
import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t from 'tap'
import ambientSession, { session, type SessionOptions } from '../../src/index.ts'
import { type SentCookie, visitor } from '../helpers/client.ts'
import { COOKIE, listening, serve, type Teardown } from './support.ts'
import { SpyStore } from './stores.ts'

const SECRETS = ['the first secret, which has 40 characters', 'the second secret, which has more than 40']

function routes (app: FastifyInstance): void {
  app.post('/put', async () => { session().increment('count') })
  app.get('/count', async () => session('count', 0))
}

/** @returns the cookie that a first write sets */
async function sent (t: Teardown, options: SessionOptions, server: FastifyServerOptions = {}, headers: Record<string, string> = {}): Promise<SentCookie | undefined> {
  const app = await serve(t, routes, options, server)
  const { setCookies } = await visitor(app).post('/put', undefined, headers)
  return setCookies.find(({ name }) => name === (options.cookie ?? COOKIE))
}

t.test('by default it is for scripts out of reach, lax, for all paths and for the lifetime', async t => {
  const cookie = await sent(t, {})
  t.match(cookie?.value, /^[\w-]{43}$/)
  t.strictSame(cookie?.attributes, { 'max-age': '7200', path: '/', httponly: true, samesite: 'Lax' })
})

t.test('name, path, domain, sameSite and lifetime are those of the options', async t => {
  const cookie = await sent(t, { cookie: 'shop', path: '/put', domain: 'example.com', sameSite: 'strict', lifetime: 5 })
  t.strictSame(cookie?.attributes, { 'max-age': '300', path: '/put', domain: 'example.com', httponly: true, samesite: 'Strict' })
})

t.test('with httpOnly: false scripts can read it', async t => {
  t.notOk((await sent(t, { httpOnly: false }))?.attributes.httponly)
})

t.test('with expireOnClose it has no Max-Age and no Expires', async t => {
  const cookie = await sent(t, { expireOnClose: true })
  t.strictSame(cookie?.attributes, { path: '/', httponly: true, samesite: 'Lax' })
})

t.test('an absolute lifetime that is shorter bounds Max-Age', async t => {
  t.equal((await sent(t, { lifetime: 60, absoluteLifetime: 10 }))?.attributes['max-age'], '600')
})

t.test('with secure: auto it is Secure when a trusted proxy says that the visitor came by HTTPS', async t => {
  const cookie = await sent(t, {}, { trustProxy: true }, { 'x-forwarded-proto': 'https' })
  t.equal(cookie?.attributes.secure, true)
})

t.test('with secure: auto a trusted proxy may write the protocol in capitals, or that of a WebSocket', async t => {
  for (const protocol of ['HTTPS', 'wss']) {
    t.equal((await sent(t, {}, { trustProxy: true }, { 'x-forwarded-proto': protocol }))?.attributes.secure, true, protocol)
  }
})

t.test('with secure: auto the word of a proxy that is not trusted counts for nothing', async t => {
  t.notOk((await sent(t, {}, {}, { 'x-forwarded-proto': 'https' }))?.attributes.secure)
})

t.test('with secure: true it is Secure over plain HTTP, too', async t => {
  t.equal((await sent(t, { secure: true }))?.attributes.secure, true)
})

t.test('with secure: false it is never Secure', async t => {
  t.notOk((await sent(t, { secure: false }, { trustProxy: true }, { 'x-forwarded-proto': 'https' }))?.attributes.secure)
})

t.test('sameSite: none is kept over HTTPS', async t => {
  const cookie = await sent(t, { sameSite: 'none' }, { trustProxy: true }, { 'x-forwarded-proto': 'https' })
  t.match(cookie?.attributes, { samesite: 'None', secure: true })
})

t.test('sameSite: none becomes lax over plain HTTP, where browsers would refuse it', async t => {
  const cookie = await sent(t, { sameSite: 'none' })
  t.equal(cookie?.attributes.samesite, 'Lax')
  t.notOk(cookie?.attributes.secure)
})

t.test('a partitioned cookie says so', async t => {
  const cookie = await sent(t, { partitioned: true, secure: true })
  t.match(cookie?.attributes, { partitioned: true, secure: true })
})

t.test('partitioned is left out over plain HTTP, where browsers would refuse it', async t => {
  t.notOk((await sent(t, { partitioned: true }))?.attributes.partitioned)
  const cookie = await sent(t, { partitioned: true }, { trustProxy: true }, { 'x-forwarded-proto': 'https' })
  t.equal(cookie?.attributes.partitioned, true)
})

t.test('it is sent once and not again with every response', async t => {
  const app = await serve(t, routes)
  const ada = visitor(app)
  t.equal((await ada.post('/put')).setCookies.length, 1)
  t.equal((await ada.post('/put')).setCookies.length, 0)
  t.equal((await ada.get('/count')).setCookies.length, 0)
})

t.test('clearing it names the path and domain it was set with', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.post('/logout', async () => { session().invalidate() })
  }, { path: '/', domain: 'example.com' })
  const ada = visitor(app)
  await ada.post('/put')
  const [cleared] = (await ada.post('/logout')).setCookies
  t.match(cleared, { name: COOKIE, value: '', attributes: { 'max-age': '0', expires: 'Thu, 01 Jan 1970 00:00:00 GMT', path: '/', domain: 'example.com' } })
})

t.test('cookies that the application sets itself go out beside it', async t => {
  const app = await serve(t, async app => {
    await app.register(cookie)
    app.get('/', async (_req, reply) => {
      session({ a: 1 })
      reply.setCookie('theme', 'dark', { path: '/' })
      reply.header('x-other', 'kept')
      return 'ok'
    })
    app.get('/raw', async (_req, reply) => {
      session({ a: 1 })
      reply.header('set-cookie', 'theme=light')
      return 'ok'
    })
  })
  t.same((await visitor(app).get('/')).setCookies.map(({ name }) => name).sort(), [COOKIE, 'theme'])
  t.same((await visitor(app).get('/raw')).setCookies.map(({ name }) => name).sort(), [COOKIE, 'theme'])
})

t.test('it is found among other cookies, and one whose name only contains its name is another', async t => {
  const app = await serve(t, routes)
  const ada = visitor(app)
  await ada.post('/put')
  ada.cookies.set(`not_${COOKIE}`, 'x')
  ada.cookies.set('theme', 'dark')
  t.equal((await ada.get('/count')).text, '1')
  ada.cookies.delete(COOKIE)
  t.equal((await ada.get('/count')).text, '0')
})

t.test('with a secret it is signed, and still holds no more than the id', async t => {
  const cookie = await sent(t, { secret: SECRETS })
  t.match(cookie?.value, /^[\w-]{43}\.[\w+/]{43}$/)
})

t.test('a signed cookie is accepted and not sent again', async t => {
  const app = await serve(t, routes, { secret: SECRETS })
  const ada = visitor(app)
  await ada.post('/put')
  const { text, setCookies } = await ada.get('/count')
  t.equal(text, '1')
  t.same(setCookies, [])
})

t.test('a cookie signed with an older secret is accepted and sent again with the newest one', async t => {
  const store = new SpyStore()
  const [newest = '', oldest = ''] = SECRETS
  const before = await serve(t, routes, { secret: oldest, driver: store })
  const ada = visitor(before)
  await ada.post('/put')

  const after = visitor(await serve(t, routes, { secret: [newest, oldest], driver: store }))
  after.cookies.set(COOKIE, ada.cookies.get(COOKIE) ?? '')
  const { text, setCookies } = await after.get('/count')
  t.equal(text, '1')
  t.equal(setCookies.length, 1)
  t.not(setCookies[0]?.value, ada.cookies.get(COOKIE))
  t.same((await after.get('/count')).setCookies, [], 'once is enough')

  const later = visitor(await serve(t, routes, { secret: newest, driver: store }))
  later.cookies.set(COOKIE, after.cookies.get(COOKIE) ?? '')
  t.equal((await later.get('/count')).text, '1')
})

t.test('a cookie signed with an older secret is sent again only once on a hijacked reply that is saved twice', async t => {
  const store = new SpyStore()
  const [newest = '', oldest = ''] = SECRETS
  const ada = visitor(await serve(t, routes, { secret: oldest, driver: store }))
  await ada.post('/put')
  const after = await serve(t, app => {
    app.get('/', async (_req, reply) => {
      reply.hijack()
      session().increment('count')
      await session().save()
      session().increment('count')
      await session().save()
      reply.raw.end(session('count', 0).toString())
    })
  }, { secret: [newest, oldest], driver: store })
  const answer = await visitor(after).get('/', { cookie: ada.cookieHeader })
  t.equal(answer.text, '3')
  t.equal(answer.setCookies.length, 1)
})

t.test('an application that has @fastify/cookie already keeps it, with its own secret', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cookie, { secret: 'of the application alone' })
  await app.register(ambientSession, { driver: 'memory', secret: SECRETS })
  routes(app)
  app.post('/own', async (_req, reply) => { reply.setCookie('own', 'value', { signed: true, path: '/' }) })
  app.get('/own', async req => req.unsignCookie(String(req.cookies.own)).value)
  await listening(app)
  const ada = visitor(app)
  await ada.post('/put')
  await ada.post('/own')
  t.equal((await ada.get('/own')).text, 'value')
  t.equal((await ada.get('/count')).text, '1')
})

for (const hook of ['preParsing', 'preHandler', false] as const) {
  t.test(`an application whose @fastify/cookie parses ${hook === false ? 'nothing' : `in ${hook}`} has sessions all the same`, async t => {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(cookie, { hook })
    await app.register(ambientSession, { driver: new SpyStore(false) })
    routes(app)
    app.addHook('preParsing', async () => { session('count') })
    await listening(app)
    const ada = visitor(app)
    t.equal((await ada.post('/put')).setCookies.length, 1)
    t.equal((await ada.get('/count')).text, '1')
  })
}

t.test('a new session gets its cookie although the request failed before @fastify/cookie had its turn', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cookie, { hook: 'preHandler' })
  await app.register(ambientSession, { driver: 'memory' })
  routes(app)
  app.setErrorHandler(async (error: Error) => { session().flash('error', error.message) })
  app.get('/error', async () => session('error'))
  await listening(app)
  const ada = visitor(app)
  t.equal((await ada.post('/put', '{', { 'content-type': 'application/json' })).setCookies.length, 1)
  t.match((await ada.get('/error')).text, 'JSON')
})

t.test('a signed cookie is read back whatever decoder the application has chosen for its cookies', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cookie, { parseOptions: { decode: (value: string) => value } as object })
  await app.register(ambientSession, { driver: 'memory', secret: SECRETS })
  routes(app)
  await listening(app)
  for (let i = 0; i < 8; i++) {
    const someone = visitor(app)
    await someone.post('/put')
    t.equal((await someone.get('/count')).text, '1')
  }
})
