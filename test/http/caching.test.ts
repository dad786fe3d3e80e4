/** What caches are told of a response that was made with a session. */
import t from 'tap'
import { session } from '../../src/index.ts'
import { type Answer, visitor } from '../helpers/client.ts'
import { SpyStore } from './stores.ts'
import { COOKIE, serve, type Teardown } from './support.ts'

/** @returns the answer of a page that reads its session and sets these headers */
async function pageWith (t: Teardown, headers: Record<string, string | string[]>): Promise<Answer> {
  const app = await serve(t, app => {
    app.get('/', async (_req, reply) => {
      session({ name: 'ada' })
      reply.headers(headers)
      return 'page'
    })
  })
  return await visitor(app).get('/')
}

t.test('a response that sets the cookie varies by it, and is private', async t => {
  const { headers } = await pageWith(t, {})
  t.equal(headers.get('vary'), 'Cookie')
  t.equal(headers.get('cache-control'), 'private')
})

t.test('a response that sets no cookie can be kept for the one that sent it', async t => {
  const app = await serve(t, app => { app.get('/', async () => session('name', 'nobody')) })
  const { headers } = await visitor(app).get('/')
  t.equal(headers.get('vary'), 'Cookie')
  t.equal(headers.get('cache-control'), null)
})

t.test('a response that was made without the session says nothing of it', async t => {
  const app = await serve(t, app => { app.get('/', async () => 'page') })
  const { headers } = await visitor(app).get('/')
  t.equal(headers.get('vary'), null)
  t.equal(headers.get('cache-control'), null)
})

t.test('what the application says itself is kept beside it', async t => {
  const { headers } = await pageWith(t, { vary: 'Accept-Encoding', 'cache-control': 'private, max-age=60' })
  t.equal(headers.get('vary'), 'Accept-Encoding, Cookie')
  t.equal(headers.get('cache-control'), 'private, max-age=60')
})

t.test('several Vary headers are joined', async t => {
  const { headers } = await pageWith(t, { vary: ['Accept', 'Accept-Language'] })
  t.equal(headers.get('vary'), 'Accept, Accept-Language, Cookie')
})

for (const vary of ['*', 'cookie', 'Accept, Cookie', 'Cookie,Accept']) {
  t.test(`a Vary of ${vary} is left as it is`, async t => {
    t.equal((await pageWith(t, { vary })).headers.get('vary'), vary)
  })
}

t.test('a Vary that only resembles Cookie is not mistaken for it', async t => {
  t.equal((await pageWith(t, { vary: 'X-Cookie' })).headers.get('vary'), 'X-Cookie, Cookie')
})

for (const control of ['no-store', 'private', 'private, No-Store', 'max-age=60, Private']) {
  t.test(`a Cache-Control of ${control} is left as it is`, async t => {
    t.equal((await pageWith(t, { 'cache-control': control })).headers.get('cache-control'), control)
  })
}

const madePrivate: Record<string, string> = {
  public: 'private',
  'public, max-age=600': 'max-age=600, private',
  'max-age=60, s-maxage=600': 'max-age=60, private',
  'no-cache': 'no-cache, private',
  'no-cache="Set-Cookie"': 'no-cache="Set-Cookie", private',
  'no-cache="Set-Cookie, X-Private", public': 'no-cache="Set-Cookie, X-Private", private',
  'private="X-User"': 'private'
}

for (const [control, expected] of Object.entries(madePrivate)) {
  t.test(`with a Cache-Control of ${control} the cookie stays out of shared caches`, async t => {
    t.equal((await pageWith(t, { 'cache-control': control })).headers.get('cache-control'), expected)
  })
}

for (const isSynchronous of [true, false]) {
  t.test(`of a web response, too, on a store that answers ${isSynchronous ? 'at once' : 'later'}`, async t => {
    const app = await serve(t, app => {
      app.get('/', async () => {
        session({ name: 'ada' })
        return new Response('page', { status: 201, headers: { 'cache-control': 'public, max-age=600', vary: 'Accept', 'set-cookie': 'theme=dark', 'content-type': 'text/html' } })
      })
      app.get('/empty', async () => { session({ name: 'ada' }); return new Response(null, { status: 204, headers: { 'cache-control': 'public' } }) })
    }, { driver: new SpyStore(isSynchronous) })
    const answer = await visitor(app).get('/')
    t.match(answer, { status: 201, text: 'page' })
    t.match(Object.fromEntries(answer.headers), { 'cache-control': 'max-age=600, private', vary: 'Accept, Cookie', 'content-type': 'text/html' })
    t.same(answer.setCookies.map(({ name }) => name).sort(), [COOKIE, 'theme'])
    const empty = await visitor(app).get('/empty')
    t.match(empty, { status: 204, text: '' })
    t.equal(empty.headers.get('cache-control'), 'private')
  })
}

t.test('a cookie that was sent early stays out of shared caches, whatever the application says afterwards', async t => {
  const app = await serve(t, app => {
    app.setErrorHandler(async (_error, _req, reply) => { reply.header('cache-control', 'public').code(500); return 'failed' })
    app.get('/save', async (req, reply) => {
      req.session.user = 'ada'
      await req.session.save()
      reply.header('cache-control', 'public, max-age=600')
      return 'saved'
    })
    app.get('/fail', async req => {
      req.session.user = 'ada'
      await req.session.save()
      throw new Error('sorry')
    })
    app.get('/destroy', async (req, reply) => {
      await req.session.destroy()
      reply.header('cache-control', 's-maxage=600')
      return 'destroyed'
    })
  })
  const ada = visitor(app)
  for (const [path, expected] of [['/save', 'max-age=600, private'], ['/destroy', 'private'], ['/fail', 'private']] as const) {
    const { headers, setCookies } = await ada.get(path)
    t.equal(setCookies.length, 1, path)
    t.equal(headers.get('cache-control'), expected, path)
  }
})

for (const isSynchronous of [true, false]) {
  t.test(`of a web response that could not be committed nothing is sent, on a store that answers ${isSynchronous ? 'at once' : 'later'}`, async t => {
    const app = await serve(t, app => {
      app.get('/', async (_req, reply) => {
        reply.headers({ etag: '"before"', 'set-cookie': ['theme=dark', 'size=2'] })
        session({ large: 'x'.repeat(300) })
        const headers = { 'content-encoding': 'gzip', 'cache-control': 'public, immutable', etag: '"after"', 'set-cookie': 'signed_in=yes', 'content-type': 'text/html' }
        return new Response('page', { status: 202, headers })
      })
    }, { driver: new SpyStore(isSynchronous), maxBytes: 200 })
    const { status, headers, setCookies, json } = await visitor(app).get('/')
    t.equal(status, 500)
    t.match(json, { code: 'ERR_SESSION_TOO_LARGE' })
    t.match(Object.fromEntries(headers), { etag: '"before"', 'content-encoding': undefined, 'cache-control': undefined })
    t.same(setCookies.map(({ name }) => name), ['theme', 'size'])
  })
}

t.test('a web response whose body has been read is Fastify\'s to refuse', async t => {
  const app = await serve(t, app => {
    app.get('/', async () => {
      session({ name: 'ada' })
      const response = new Response('page')
      await response.text()
      return response
    })
  })
  t.match(await visitor(app).get('/'), { status: 500, json: { code: 'FST_ERR_REP_RESPONSE_BODY_CONSUMED' } })
})
