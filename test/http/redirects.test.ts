/** Back to the page before, with what it has to show. */
import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from 'fastify'
import t from 'tap'
import * as v from 'valibot'
import { z } from 'zod'
import { type FormErrorsInput, session, type SessionOptions } from '../../src/index.ts'
import { Connection, originOf, portOf, visitor, type Visitor } from '../helpers/client.ts'
import { Log, serve, type Teardown } from './support.ts'

const HTML = 'text/html,application/xhtml+xml,*/*;q=0.8'
const SECRET = 'a secret of at least 32 characters'

async function serveForms (
  t: Teardown, routes: (app: FastifyInstance) => unknown, options: SessionOptions = {}, server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  return await serve(t, async app => {
    await app.register(formbody)
    app.get('/shown', async () => ({ errors: session('errors', {}), old: session().old(), message: session('message', null) }))
    app.get('/page', async () => 'a page')
    app.all('/back', async (_req, reply) => reply.back('/fallback'))
    await routes(app)
  }, options, server)
}

const noMore = (): void => {}

/** Where the response leads, and how. */
async function redirectOf (visitor: Visitor, path: string, init: RequestInit = {}): Promise<[status: number, location: string | null]> {
  const { status, headers } = await visitor.send(path, init)
  return [status, headers.get('location')]
}

function form (fields: Record<string, string>): RequestInit {
  return { method: 'POST', body: new URLSearchParams(fields), headers: { accept: HTML } }
}

// back() --------------------------------------------------------------------------------------------------------------

t.test('back() leads to the page that the browser names, as a path with its query', async t => {
  const app = await serveForms(t, noMore)
  const referer = `${originOf(app)}/page?tab=2&q=%2F`
  t.same(await redirectOf(visitor(app), '/back', { method: 'POST', headers: { referer } }), [303, '/page?tab=2&q=%2F'])
})

for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
  t.test(`the redirect after ${method} is a 303, so that the browser goes on with GET`, async t => {
    t.same(await redirectOf(visitor(await serveForms(t, noMore)), '/back', { method }), [303, '/fallback'])
  })
}

for (const method of ['GET', 'HEAD']) {
  t.test(`the redirect after ${method} is a 302`, async t => {
    t.same(await redirectOf(visitor(await serveForms(t, noMore)), '/back', { method }), [302, '/fallback'])
  })
}

t.test('without a Referer back() leads to the recorded page, and without that to the fallback', async t => {
  const app = await serveForms(t, noMore, { previousUrl: true })
  const ada = visitor(app)
  t.same(await redirectOf(ada, '/back', { method: 'POST' }), [303, '/fallback'])
  await ada.get('/page?tab=3')
  t.same(await redirectOf(ada, '/back', { method: 'POST' }), [303, '/page?tab=3'])
})

t.test('the fallback is / by default', async t => {
  const app = await serveForms(t, app => { app.post('/like', async (_req, reply) => reply.back()) })
  t.same(await redirectOf(visitor(app), '/like', { method: 'POST' }), [303, '/'])
})

t.test('a page does not lead back to itself', async t => {
  const app = await serveForms(t, noMore)
  t.same(await redirectOf(visitor(app), '/back', { headers: { referer: `${originOf(app)}/back` } }), [302, '/fallback'])
})

t.test('back() works on a route without a session', async t => {
  const app = await serveForms(t, app => {
    app.post('/ping', { config: { session: false } }, async (_req, reply) => reply.back('/fallback'))
    app.post('/ping/errors', { config: { session: false } }, async (_req, reply) => reply.withErrors({ a: 'wrong' }).back())
  }, { previousUrl: true })
  const ada = visitor(app)
  await ada.get('/page')
  t.same(await redirectOf(ada, '/ping', { method: 'POST', headers: { referer: `${originOf(app)}/page` } }), [303, '/page'])
  t.same(await redirectOf(ada, '/ping', { method: 'POST' }), [303, '/fallback'])
  t.match((await ada.post('/ping/errors')).json, { statusCode: 500, code: 'ERR_SESSION_CONTEXT' })
})

t.test('behind a trusted proxy the origin is the one that the browser knows', async t => {
  const app = await serveForms(t, noMore, {}, { trustProxy: true })
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' }
  const ada = visitor(app)
  t.same(await redirectOf(ada, '/back', { method: 'POST', headers: { ...forwarded, referer: 'https://shop.example/page' } }), [303, '/page'])
  t.same(await redirectOf(ada, '/back', { method: 'POST', headers: { ...forwarded, referer: `${originOf(app)}/page` } }), [303, '/fallback'])
})

// No open redirects ---------------------------------------------------------------------------------------------------

/** @param origin the application's own */
function hostile (origin: string): string[] {
  const host = new URL(origin).host
  return [
    'https://evil.example/', 'http://evil.example/page', `${origin}.evil.example/`, `${origin}@evil.example/`, `http://evil.example/${origin}`,
    `http://${host.replace(':', '.')}:80/`, `https://${host}/page`, `ftp://${host}/page`, 'http://127.0.0.1/page', 'http://localhost/page',
    '//evil.example', '///evil.example', '/\\evil.example', '\\\\evil.example', '\\/evil.example', '/\t/evil.example', '\t//evil.example',
    '/.//evil.example', '/page/..//evil.example', '/%2e%2e//evil.example', `${origin}//evil.example/page`, `${origin}/\\evil.example`, `${origin}/.//evil.example`,
    `${origin}\\\\evil.example`, 'http:evil.example', 'http:\\\\evil.example', 'https:evil.example',
    'javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'java\tscript:alert(1)', 'javascript://%0aalert(1)', 'data:text/html,<script>alert(1)</script>',
    'vbscript:msgbox(1)', 'file:///etc/passwd', 'blob:http://evil.example/1', 'about:blank', 'null', 'http://[::1', 'http://', 'http://%00/'
  ]
}

/** Those that are a path of this application, and lead nowhere else. */
const HARMLESS = ['null', 'http:evil.example']

function staysHere (location: string | null, origin: string): boolean {
  return location !== null && /^\/(?!\/)[!-~]*$/.test(location) && !location.includes('\\') && new URL(location, origin).origin === origin
}

t.test('a Referer never leads to another site', async t => {
  const app = await serveForms(t, noMore)
  const origin = originOf(app)
  for (const referer of hostile(origin)) {
    const connection = await Connection.open(app)
    connection.request('POST /back', { host: `127.0.0.1:${portOf(app)}`, referer, 'content-length': '0', connection: 'close' })
    const { status, head } = await connection.answer()
    const location = /^location: (.*)$/im.exec(head)?.[1]?.trim() ?? null
    t.equal(status, 303, referer)
    t.ok(staysHere(location, origin), `${referer} → ${String(location)}`)
    if (!HARMLESS.includes(referer)) t.equal(location, '/fallback', referer)
  }
})

t.test('a recorded page never leads to another site', async t => {
  const app = await serveForms(t, app => {
    app.post<{ Body: { url: string } }>('/record', async req => { session().setPreviousUrl(req.body.url) })
  })
  const ada = visitor(app)
  for (const url of hostile(originOf(app))) {
    await ada.post('/record', { url })
    const [status, location] = await redirectOf(ada, '/back', { method: 'POST' })
    t.equal(status, 303, url)
    t.ok(staysHere(location, originOf(app)), `${url} → ${String(location)}`)
    if (!HARMLESS.includes(url)) t.equal(location, '/fallback', url)
  }
})

t.test('an intended page never leads to another site', async t => {
  const app = await serveForms(t, app => {
    app.post<{ Body: { url: unknown } }>('/record', async req => { session().put('intendedUrl', req.body.url) })
    app.post('/login', async (_req, reply) => reply.intended('/fallback'))
  })
  const ada = visitor(app)
  for (const url of [...hostile(originOf(app)), 5, ['/page'], null]) {
    await ada.post('/record', { url })
    const [status, location] = await redirectOf(ada, '/login', { method: 'POST' })
    t.equal(status, 303, String(url))
    t.ok(staysHere(location, originOf(app)), `${String(url)} → ${String(location)}`)
  }
})

t.test('a fallback that leads to another site is an error that says what to write', async t => {
  const app = await serveForms(t, app => {
    app.post<{ Body: { url: string } }>('/to', async (req, reply) => reply.back(req.body.url))
    app.post<{ Body: { url: string } }>('/guest', async (req, reply) => reply.guest(req.body.url))
    app.post<{ Body: { url: string } }>('/intended', async (req, reply) => reply.intended(req.body.url))
  })
  const ada = visitor(app)
  for (const url of hostile(originOf(app)).filter(url => !HARMLESS.includes(url))) {
    for (const path of ['/to', '/guest', '/intended']) {
      const { json, headers } = await ada.post(path, { url })
      t.match(json, { statusCode: 500, code: 'ERR_SESSION_USAGE', message: /use reply\.redirect\(\)/ }, `${path} ${url}`)
      t.equal(headers.get('location'), null, url)
    }
  }
})

t.test('a forged Host gives no page of another site, and a Host that is none only the fallback', async t => {
  const app = await serveForms(t, noMore)
  for (const [host, referer, expected] of [
    ['evil.example', 'http://evil.example/page', '/page'],
    ['evil.example', 'http://evil.example//evil.example', '/fallback'],
    ['x"><script>', 'http://x/page', '/fallback'],
    ['evil.example/path', 'http://evil.example/page', '/fallback'],
    ['user@evil.example', 'http://evil.example/page', '/fallback']
  ] as const) {
    const { headers, statusCode } = await app.inject({ method: 'POST', url: '/back', headers: { host, referer } })
    t.equal(statusCode, 303)
    t.equal(headers.location, expected, host)
  }
})

t.test('a forged X-Forwarded-Host behind no trusted proxy changes nothing', async t => {
  const app = await serveForms(t, noMore)
  const headers = { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https', referer: 'https://evil.example/page' }
  t.same(await redirectOf(visitor(app), '/back', { method: 'POST', headers }), [303, '/fallback'])
})

// intended() and guest() ----------------------------------------------------------------------------------------------

function guarded (app: FastifyInstance): void {
  app.addHook('preHandler', async (req, reply) => {
    if (req.url.startsWith('/orders') && session().userId === undefined) return reply.with('message', 'Please sign in.').guest('/sign-in')
  })
  app.get('/orders', async () => 'orders')
  app.post('/orders', async () => 'ordered')
  app.post('/sign-in', async (_req, reply) => {
    session().regenerate()
    session().setUser('ada')
    return reply.intended('/home')
  })
}

t.test('a guest signs in and gets the page that it wanted, once', async t => {
  const ada = visitor(await serveForms(t, guarded))
  t.same(await redirectOf(ada, '/orders?page=2'), [302, '/sign-in'])
  t.match((await ada.get('/shown')).json, { message: 'Please sign in.' })
  t.same(await redirectOf(ada, '/sign-in', { method: 'POST' }), [303, '/orders?page=2'])
  t.equal((await ada.get('/orders?page=2')).text, 'orders')
  t.same(await redirectOf(ada, '/sign-in', { method: 'POST' }), [303, '/home'])
})

t.test('a guest that sent a form gets the page of the form', async t => {
  const app = await serveForms(t, guarded)
  const ada = visitor(app)
  t.same(await redirectOf(ada, '/orders', { method: 'POST', headers: { referer: `${originOf(app)}/cart` } }), [303, '/sign-in'])
  t.same(await redirectOf(ada, '/sign-in', { method: 'POST' }), [303, '/cart'])
})

t.test('what a script or an image asked for is no page that was wanted', async t => {
  const ada = visitor(await serveForms(t, guarded))
  for (const [name, value] of [['accept', 'application/json'], ['sec-fetch-dest', 'image'], ['x-requested-with', 'XMLHttpRequest']] as const) {
    t.same(await redirectOf(ada, '/orders', { headers: { [name]: value } }), [302, '/sign-in'])
  }
  t.same(await redirectOf(ada, '/sign-in', { method: 'POST' }), [303, '/home'])
})

t.test('what a browser fetches in advance, and the page for signing in, are no pages that were wanted', async t => {
  const app = await serveForms(t, app => {
    guarded(app)
    app.get('/sign-in', async () => 'sign in')
  })
  const ada = visitor(app)
  await ada.get('/orders?page=2')
  for (const [method, headers] of [
    ['GET', { 'sec-purpose': 'prefetch', 'sec-fetch-dest': 'document' }],
    ['POST', { referer: `${originOf(app)}/sign-in?tries=1` }]
  ] as const) t.equal((await redirectOf(ada, '/orders', { method, headers }))[1], '/sign-in')
  t.same(await redirectOf(ada, '/sign-in', { method: 'POST' }), [303, '/orders?page=2'])
})

t.test('a URL of more than 2,000 characters is not kept', async t => {
  const app = await serveForms(t, app => {
    guarded(app)
    app.get('/found', async () => 'found')
  }, { driver: 'cookie', secret: SECRET, previousUrl: true })
  const ada = visitor(app)
  const query = `?q=${'x'.repeat(12_000)}`
  t.equal((await ada.get(`/found${query}`)).text, 'found')
  t.same(await redirectOf(ada, '/back', { method: 'POST' }), [303, '/fallback'])
  t.same(await redirectOf(ada, `/orders${query}`), [302, '/sign-in'])
  t.same(await redirectOf(ada, '/sign-in', { method: 'POST' }), [303, '/home'])
})

t.test('what was flashed for a page that a guest may not see is there on the page for signing in, and then gone', async t => {
  const ada = visitor(await serveForms(t, app => {
    guarded(app)
    app.post('/sign-out', async (_req, reply) => {
      session().invalidate()
      return reply.with('message', 'Signed out.').withInput().withErrors({ name: 'wrong' }).redirect('/orders')
    })
    app.route({ method: ['GET', 'POST'], url: '/reports', preHandler: async (_req, reply) => reply.guest('/sign-in'), handler: async () => 'reports' })
  }))
  const flashed = { errors: { name: ['wrong'] }, old: { name: 'Ada' }, message: 'Signed out.' }
  await ada.post('/sign-in')
  await ada.post('/sign-out', { name: 'Ada' })
  t.same(await redirectOf(ada, '/reports'), [302, '/sign-in'])
  t.same(await redirectOf(ada, '/reports'), [302, '/sign-in'])
  t.same((await ada.get('/shown')).json, flashed)
  t.same((await ada.get('/shown')).json, { errors: {}, old: {}, message: null })
  await ada.post('/sign-out', { name: 'Ada' })
  t.same(await redirectOf(ada, '/orders'), [302, '/sign-in'])
  t.same((await ada.get('/shown')).json, { ...flashed, message: 'Please sign in.' }, 'what the guard says comes first')
  await ada.post('/sign-out', { name: 'Ada' })
  t.same(await redirectOf(ada, '/reports', { method: 'POST' }), [303, '/sign-in'], 'of a form nobody knows the page')
  t.same((await ada.get('/shown')).json, flashed)
})

t.test('two guests at once get each the page of its own', async t => {
  const app = await serveForms(t, guarded)
  const visitors = Array.from({ length: 10 }, () => visitor(app))
  await Promise.all(visitors.map((visitor, n) => visitor.get(`/orders?page=${n}`)))
  const locations = await Promise.all(visitors.map(visitor => redirectOf(visitor, '/sign-in', { method: 'POST' })))
  t.same(locations, visitors.map((_, n) => [303, `/orders?page=${n}`]))
})

// The chain -----------------------------------------------------------------------------------------------------------

const orders: Record<string, (reply: FastifyReply) => FastifyReply> = {
  'back() last': reply => reply.with('message', 'hello').withErrors({ name: 'wrong' }).withInput().back('/form'),
  'back() first': reply => reply.back('/form').withInput().withErrors({ name: 'wrong' }).with({ message: 'hello' }),
  'back() between': reply => reply.withErrors({ name: 'wrong' }).back('/form').with('message', 'hello').withInput(),
  'the last back() of two': reply => reply.back('/other').withErrors({ name: 'wrong' }).back('/form').with('message', 'hello').withInput()
}

for (const [name, chain] of Object.entries(orders)) {
  t.test(`the order of the chain is free: ${name}`, async t => {
    const ada = visitor(await serveForms(t, app => {
      app.post('/async', async (_req, reply) => chain(reply))
      app.post('/sync', (_req, reply) => chain(reply))
      app.post('/unreturned', (_req, reply) => { chain(reply) })
    }))
    for (const path of ['/async', '/sync', '/unreturned']) {
      t.same(await redirectOf(ada, path, form({ name: 'Ada', password: 'secret' })), [303, '/form'])
      t.same((await ada.get('/shown')).json, { errors: { name: ['wrong'] }, old: { name: 'Ada' }, message: 'hello' })
      t.same((await ada.get('/shown')).json, { errors: {}, old: {}, message: null })
    }
  })
}

t.test('a guard that does not return the reply answers once', async t => {
  let handled = 0
  const log = new Log()
  const app = await serveForms(t, app => {
    app.post('/guarded', { preHandler: async (_req, reply) => { reply.withErrors({ name: 'wrong' }).back('/form') } }, async () => {
      handled++
      return 'handled'
    })
  }, {}, { logger: { level: 'warn', stream: log.stream } })
  t.same(await redirectOf(visitor(app), '/guarded', { method: 'POST' }), [303, '/form'])
  t.equal(handled, 0)
  t.same(log.entries, [])
})

t.test('a chain that is returned and answers nothing is an error at once', async t => {
  const flash = (reply: FastifyReply): FastifyReply => reply.with('message', 'hello').withErrors({ name: 'wrong' }).withInput()
  const app = await serveForms(t, app => {
    app.post('/async', async (_req, reply) => flash(reply))
    app.post('/sync', (_req, reply) => flash(reply))
    app.post('/awaited', async (_req, reply) => {
      await reply.with('message', 'hello')
      return 'never'
    })
    app.post('/guarded', { preHandler: async (_req, reply) => reply.with('message', 'hello') }, async () => 'never')
    app.post('/unreturned', async (_req, reply) => {
      reply.with('message', 'hello')
      return 'sent'
    })
  })
  for (const path of ['/async', '/sync', '/awaited', '/guarded']) {
    const answer = await visitor(app).send(path, { method: 'POST', signal: AbortSignal.timeout(2000) })
    t.match(answer.json, { statusCode: 500, code: 'ERR_SESSION_USAGE', message: /answer nothing: go on with \.back\(\)/ }, path)
  }
  t.equal((await visitor(app).post('/unreturned')).text, 'sent')
})

t.test('a chain goes on to whatever answers, at once or later', async t => {
  let given: FastifyReply | undefined
  const app = await serveForms(t, app => {
    app.decorateReply('later', function (this: FastifyReply) {
      setTimeout(() => { this.send('later') }, 5)
      return this
    })
    app.addHook('onSend', async (req, reply) => {
      if (req.url === '/redirect') t.equal(reply, given, 'hooks get the reply itself')
      await new Promise(resolve => { setTimeout(resolve, 5) })
    })
    app.post('/redirect', async (_req, reply) => {
      given = reply
      return reply.with('message', 'hello').redirect('/shown', 303)
    })
    app.post('/send', (_req, reply) => reply.with('message', 'hello').code(422).header('x-name', 'Ada').send({ sent: true }))
    app.post('/held', async (_req, reply) => {
      const chain = reply.with('message', 'hello')
      chain.type('text/plain').send('held')
      return chain
    })
    app.post('/later', async (_req, reply) => (reply.with('message', 'hello') as FastifyReply & { later (): FastifyReply }).later())
    app.post('/reply', async (_req, reply) => {
      reply.with('message', 'hello')
      setTimeout(() => { reply.redirect('/shown') }, 5)
      return reply
    })
  })
  const ada = visitor(app)
  const shown = async (): Promise<unknown> => (await ada.get('/shown')).json
  for (const [path, status, text] of [
    ['/redirect', 303, ''], ['/send', 422, '{"sent":true}'], ['/held', 200, 'held'], ['/later', 200, 'later'], ['/reply', 302, '']
  ] as const) {
    const answer = await ada.post(path)
    t.same([answer.status, answer.text], [status, text], path)
    t.match(await shown(), { message: 'hello' }, path)
  }
})

t.test('an error after back() is the answer', async t => {
  const app = await serveForms(t, app => {
    app.post('/fails', (_req, reply) => {
      reply.back()
      throw new Error('sorry')
    })
  })
  t.match((await visitor(app).post('/fails')).json, { statusCode: 500, message: 'sorry' })
})

t.test('a redirect in an onError hook is an error in the log, as any reply there is', async t => {
  const log = new Log()
  const app = await serveForms(t, app => {
    app.addHook('onError', async (_req, reply) => { reply.back() })
    app.post('/fails', async () => { throw new Error('sorry') })
  }, {}, { logger: { level: 'error', stream: log.stream } })
  t.equal((await visitor(app).post('/fails')).status, 500)
  t.match(log.entries.find(({ msg }) => /onError/.test(msg)), { level: 50 })
})

t.test('two visitors at once have each their own errors and input', async t => {
  const app = await serveForms(t, app => {
    app.post<{ Body: { name: string } }>('/form', async (req, reply) => reply.withErrors({ name: `not ${req.body.name}` }).withInput().back())
  })
  const visitors = Array.from({ length: 10 }, (_, n) => ({ name: `visitor ${n}`, visitor: visitor(app) }))
  await Promise.all(visitors.map(({ name, visitor }) => visitor.send('/form', form({ name }))))
  const shown = await Promise.all(visitors.map(async ({ visitor }) => (await visitor.get('/shown')).json))
  t.same(shown, visitors.map(({ name }) => ({ errors: { name: [`not ${name}`] }, old: { name }, message: null })))
})

// withErrors() --------------------------------------------------------------------------------------------------------

/** @returns what the next page finds under `errors` */
async function shownFor (t: Teardown, chain: (reply: FastifyReply) => FastifyReply, options: SessionOptions = {}): Promise<unknown> {
  const ada = visitor(await serveForms(t, app => { app.post('/form', async (_req, reply) => chain(reply).back()) }, options))
  await ada.post('/form')
  return ((await ada.get('/shown')).json as { errors: unknown }).errors
}

const zodError = z.object({ email: z.email('no address'), address: z.object({ city: z.string('no city') }), tags: z.array(z.string('no text')) })
  .safeParse({ email: 'ada', address: {}, tags: ['a', 5] }).error as z.ZodError
const valibotResult = v.safeParse(
  v.object({ email: v.pipe(v.string(), v.email('no address')), address: v.object({ city: v.string('no city') }) }), { email: 'ada', address: { city: 5 } })

const sources: Record<string, [errors: FormErrorsInput, expected: unknown]> = {
  'a message by field': [{ email: 'no address' }, { email: ['no address'] }],
  'messages by field': [{ email: ['no address', 'too short'], name: undefined }, { email: ['no address', 'too short'] }],
  'no errors': [{}, {}],
  'an error of zod': [zodError, { email: ['no address'], 'address.city': ['no city'], 'tags.1': ['no text'] }],
  'the issues of zod': [zodError.issues, { email: ['no address'], 'address.city': ['no city'], 'tags.1': ['no text'] }],
  'the flat errors of zod': [z.flattenError(zodError).fieldErrors, { email: ['no address'], address: ['no city'], tags: ['no text'] }],
  'the issues of valibot': [valibotResult.issues ?? [], { email: ['no address'], 'address.city': ['no city'] }],
  'an error of valibot': [new v.ValiError(valibotResult.issues as [v.BaseIssue<unknown>]), { email: ['no address'], 'address.city': ['no city'] }],
  'errors of Ajv': [[
    { instancePath: '/email', message: 'no address' }, { instancePath: '/a~1b/0/c~0d', message: 'no text' }, { instancePath: '/email', message: 'no address' },
    { instancePath: '', params: { missingProperty: 'name' }, message: 'must have required property \'name\'' },
    { instancePath: '/address', params: { additionalProperty: 'planet' }, message: 'must NOT have additional properties' }
  ], { email: ['no address'], 'a/b.0.c~d': ['no text'], name: ['must have required property \'name\''], 'address.planet': ['must NOT have additional properties'] }],
  'an issue of the whole form, and one without a message': [[{ path: [], message: 'too late' }, { path: ['a'] }], { '': ['too late'], a: ['is not valid'] }],
  'fields with names of methods': [{ constructor: 'wrong', toString: 'wrong' }, { constructor: ['wrong'], toString: ['wrong'] }],
  'a field that a client has called __proto__': [[{ message: 'no' }, { path: ['__proto__'], message: 'unknown' }, { path: ['name'], message: 'short' }], { '': ['no', 'unknown'], name: ['short'] }],
  'fields called issues and validation': [{ issues: 'wrong', validation: ['wrong', 'very'] }, { issues: ['wrong'], validation: ['wrong', 'very'] }]
}

for (const [name, [errors, expected]] of Object.entries(sources)) {
  t.test(`withErrors() takes ${name}`, async t => {
    t.same(await shownFor(t, reply => reply.withErrors(errors)), expected)
  })
}

t.test('errors of several forms are kept apart by bags, in any order', async t => {
  const expected = { email: ['a', 'b'], login: { name: ['unknown'] } }
  t.same(await shownFor(t, reply => reply.withErrors({ email: ['a', 'b'] }).withErrors({ name: 'unknown' }, 'login')), expected)
  t.same(await shownFor(t, reply => reply.withErrors({ name: 'unknown' }, 'login').withErrors({ email: ['a', 'b'] })), expected)
})

t.test('errors that are given one after the other are all kept, with a bag and without; those of one field are the last', async t => {
  for (const bag of [undefined, 'login', 'toString']) {
    const errors = { a: ['second'], b: ['b'], c: ['c'] }
    const shown = await shownFor(t, reply => reply.withErrors({ a: 'first', b: 'b' }, bag).withErrors({ a: 'second', c: 'c' }, bag))
    t.same(shown, bag === undefined ? errors : { [bag]: errors })
  }
  t.same(await shownFor(t, reply => reply.withErrors({ login: 'a field' }).withErrors({ name: 'unknown' }, 'login')), { login: { name: ['unknown'] } })
})

const unstorable: Record<string, [errors: unknown, message: RegExp]> = {
  'an error without issues': [new Error('secret'), /has to be an object of messages by field/],
  'a text': ['secret', /has to be an object of messages by field/],
  nothing: [undefined, /has to be an object of messages by field/],
  'a field that is no message': [{ ok: 'x', address: { city: 'secret' } }, /errors\.address' has to be a message or a list of messages/]
}

for (const [name, [errors, message]] of Object.entries(unstorable)) {
  t.test(`errors that cannot be stored are left out with a warning: ${name}`, async t => {
    const log = new Log()
    const ada = visitor(await serveForms(t, app => {
      app.post('/form', async (_req, reply) => reply.withErrors(errors as FormErrorsInput).withInput().with('message', 'kept').back('/form'))
    }, {}, { logger: { level: 'warn', stream: log.stream } }))
    t.same(await redirectOf(ada, '/form', form({ name: 'Ada' })), [303, '/form'])
    t.same((await ada.get('/shown')).json, { errors: {}, old: { name: 'Ada' }, message: 'kept' })
    const [warning] = await log.warnings(1)
    t.match(warning, { code: 'AMBIENT_SESSION_FORM', keys: ['errors'], msg: message })
    t.notMatch(log.lines.join(), /secret/)
  })
}

t.test('a read-only route refuses to flash', async t => {
  const app = await serveForms(t, app => {
    app.post('/form', { config: { session: { readonly: true } } }, async (_req, reply) => reply.withErrors({ a: 'wrong' }).back())
  })
  t.match((await visitor(app).post('/form')).json, { statusCode: 500, code: 'ERR_SESSION_READONLY' })
})

// withInput() ---------------------------------------------------------------------------------------------------------

const selections: Array<[selection: Parameters<FastifyReply['withInput']>[0], expected: unknown]> = [
  [undefined, { name: 'Ada', email: 'a@b', note: 'hi' }],
  [{ only: ['name', 'email', 'password'] }, { name: 'Ada', email: 'a@b' }],
  [{ only: 'name' }, { name: 'Ada' }],
  [{ except: ['note'] }, { name: 'Ada', email: 'a@b' }],
  [{ except: 'note' }, { name: 'Ada', email: 'a@b' }],
  [{ only: ['name', 'note'], except: ['note'] }, { name: 'Ada' }],
  [{ only: [] }, {}]
]

for (const [selection, expected] of selections) {
  t.test(`withInput(${JSON.stringify(selection) ?? ''}) keeps ${JSON.stringify(expected)}`, async t => {
    const ada = visitor(await serveForms(t, app => { app.post('/form', async (_req, reply) => reply.withInput(selection).back()) }))
    await ada.send('/form', form({ name: 'Ada', email: 'a@b', note: 'hi', password: 'secret', _token: 'token' }))
    t.same((await ada.get('/shown')).json, { errors: {}, old: expected, message: null })
  })
}

t.test('input that is no form is left out with a warning, and an empty one is an empty form', async t => {
  const log = new Log()
  const ada = visitor(await serveForms(t, app => { app.post('/form', async (_req, reply) => reply.withErrors({ a: 'wrong' }).withInput().back('/form')) },
    {}, { logger: { level: 'warn', stream: log.stream } }))
  t.same(await redirectOf(ada, '/form', { method: 'POST' }), [303, '/form'])
  t.same(log.entries, [])
  t.same(await redirectOf(ada, '/form', { method: 'POST', body: 'secret', headers: { 'content-type': 'text/plain' } }), [303, '/form'])
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_FORM', keys: ['old input'], msg: /the old input of a form could not be stored/ }])
  t.notMatch(log.lines.join(), /secret/)
  t.match((await ada.get('/shown')).json, { errors: { a: ['wrong'] }, old: {} })
})

t.test('a multipart form that the handler has read is left out with a warning that names flashInput(), which takes its fields', async t => {
  const log = new Log()
  const ada = visitor(await serveForms(t, async app => {
    await app.register(multipart)
    app.post('/lost', async (req, reply) => {
      await (await req.file())?.toBuffer()
      return reply.withErrors({ photo: 'too dark' }).withInput().back('/form')
    })
    app.post('/kept', async (req, reply) => {
      const photo = await req.file()
      await photo?.toBuffer()
      session().flashInput(photo?.fields)
      return reply.withErrors({ photo: 'too dark' }).back('/form')
    })
  }, {}, { logger: { level: 'warn', stream: log.stream } }))
  const upload = (): RequestInit => {
    const body = new FormData()
    body.set('title', 'Dawn')
    body.set('photo', new Blob(['x']), 'dawn.png')
    return { method: 'POST', body }
  }
  t.same(await redirectOf(ada, '/kept', upload()), [303, '/form'])
  t.match((await ada.get('/shown')).json, { errors: { photo: ['too dark'] }, old: { title: 'Dawn' } })
  t.same(log.entries, [])
  t.same(await redirectOf(ada, '/lost', upload()), [303, '/form'])
  t.same((await ada.get('/shown')).json, { errors: { photo: ['too dark'] }, old: {}, message: null })
  const msg = /session\(\)\.flashInput\(fields\).*attachFieldsToBody/
  t.match(log.entries, [{ code: 'AMBIENT_SESSION_FORM', keys: ['old input'], msg }])
})

for (const [driver, options, size] of [
  ['memory', { driver: 'memory', maxBytes: 4096 }, 5000], ['cookie', { driver: 'cookie', secret: SECRET }, 20_000]
] as const) {
  t.test(`input that is too large for the session is left out with a warning, and the errors are kept: ${driver}`, async t => {
    const log = new Log()
    const ada = visitor(await serveForms(t, app => {
      app.post('/form', async (_req, reply) => reply.withInput().withErrors({ text: 'too long' }).with('message', 'kept').back('/form'))
    }, options, { logger: { level: 'warn', stream: log.stream } }))
    t.same(await redirectOf(ada, '/form', form({ text: 'x'.repeat(size) })), [303, '/form'])
    t.same((await ada.get('/shown')).json, { errors: { text: ['too long'] }, old: {}, message: 'kept' })
    t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_FORM', keys: ['old input'], msg: /would take/ }])
    t.equal(log.entries.length, 1)
  })

  t.test(`errors that are too large are left out as well, and other data is an error: ${driver}`, async t => {
    const log = new Log()
    const ada = visitor(await serveForms(t, app => {
      app.post('/form', async (_req, reply) => reply.withErrors({ text: 'x'.repeat(size) }).withInput().back('/form'))
      app.post('/large', async (_req, reply) => reply.with('large', 'x'.repeat(size)).withErrors({ a: 'wrong' }).back('/form'))
    }, options, { logger: { level: 'warn', stream: log.stream } }))
    t.same(await redirectOf(ada, '/form', form({ text: 'short' })), [303, '/form'])
    t.match((await ada.get('/shown')).json, { errors: {}, old: {} })
    t.match(await log.warnings(2), [{ keys: ['old input'] }, { keys: ['errors'] }])
    t.match((await ada.post('/large')).json, { statusCode: 500, code: 'ERR_SESSION_TOO_LARGE' })
  })
}

// flashValidation -----------------------------------------------------------------------------------------------------

const schema = {
  body: { type: 'object', required: ['name', 'email'], properties: { name: { type: 'string', minLength: 1 }, email: { type: 'string', minLength: 5 } } },
  querystring: { type: 'object', properties: { page: { type: 'integer' } } }
}

async function serveSchema (t: Teardown, options: SessionOptions, config = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  return await serveForms(t, async app => {
    await app.register(multipart, { attachFieldsToBody: 'keyValues' })
    app.post('/form', { schema, config }, async () => 'fine')
  }, options, server)
}

function multipartForm (fields: Record<string, string>): RequestInit {
  const body = new FormData()
  for (const [name, value] of Object.entries(fields)) body.append(name, value)
  return { method: 'POST', body, headers: { accept: HTML } }
}

for (const [what, options, config] of [
  ['the plugin\'s option', { flashValidation: true }, {}],
  ['the route\'s option', {}, { session: { flashValidation: true } }]
] as const) {
  for (const [kind, send] of [['urlencoded', form], ['multipart', multipartForm]] as const) {
    t.test(`a form that fails its schema goes back with errors and input: ${what}, ${kind}`, async t => {
      const app = await serveSchema(t, options, config, { ajv: { customOptions: { allErrors: true } } })
      const ada = visitor(app)
      const init = send({ email: 'ada', password: 'secret' })
      const headers = { ...init.headers, referer: `${originOf(app)}/form/new` }
      t.same(await redirectOf(ada, '/form', { ...init, headers }), [303, '/form/new'])
      t.same((await ada.get('/shown')).json, {
        errors: { name: ['must have required property \'name\''], email: ['must NOT have fewer than 5 characters'] },
        old: { email: 'ada' },
        message: null
      })
      t.equal((await ada.send('/form', send({ name: 'Ada', email: 'ada@example.com' }))).text, 'fine')
    })
  }
}

t.test('without a Referer a form that fails its schema goes to the page of its own URL, if there is one', async t => {
  const app = await serveForms(t, app => {
    app.get('/forms/:name', async req => ({ url: req.url, errors: session('errors') }))
    app.post('/forms/:name', { schema }, async () => 'fine')
    app.post('/only', { schema }, async () => 'fine')
    app.get('/*', async () => 'any page')
    app.post('/*', { schema }, async () => 'fine')
  }, { flashValidation: true }, { ajv: { customOptions: { allErrors: true } } })
  const ada = visitor(app)
  t.same(await redirectOf(ada, '/forms/a?page=2', form({ name: 'Ada' })), [303, '/forms/a?page=2'])
  t.match((await ada.get('/forms/a?page=2')).json, { errors: { email: ['must have required property \'email\''] } })
  t.same(await redirectOf(ada, '/only', form({})), [303, '/'])
  const from = (referer: string): RequestInit => ({ ...form({}), headers: { accept: HTML, referer } })
  t.same(await redirectOf(ada, '/only', from(`${originOf(app)}/elsewhere`)), [303, '/elsewhere'])
  t.same(await redirectOf(ada, '/forms/a', from('http://evil.example/')), [303, '/forms/a'])
  const connection = await Connection.open(app)
  connection.request('POST //evil.example', {
    'content-type': 'application/x-www-form-urlencoded', accept: 'text/html', 'content-length': '3', connection: 'close'
  }, 'a=b')
  t.match((await connection.answer()).head, /^HTTP\/1\.1 303 [^]*location: \/\r/i)
})

const clients: Record<string, [path: string, init: RequestInit]> = {
  JSON: ['/form', { method: 'POST', body: '{}', headers: { accept: HTML, 'content-type': 'application/json' } }],
  'a form of a script, which accepts anything': ['/form', { method: 'POST', body: new URLSearchParams({ name: '' }), headers: { accept: '*/*' } }],
  'a form of a script that says so': ['/form', { ...form({ name: '' }), headers: { accept: HTML, 'x-requested-with': 'XMLHttpRequest' } }],
  'a query that is wrong': ['/form?page=x', form({ name: 'Ada', email: 'ada@example.com' })]
}

for (const [what, [path, init]] of Object.entries(clients)) {
  t.test(`Fastify's 400 is the answer to ${what}`, async t => {
    const { status, json } = await visitor(await serveSchema(t, { flashValidation: true })).send(path, init)
    t.equal(status, 400)
    t.match(json, { statusCode: 400, code: 'FST_ERR_VALIDATION' })
  })
}

t.test('without the option, and on a route that says no, a form gets Fastify\'s 400', async t => {
  t.equal((await visitor(await serveSchema(t, {})).send('/form', form({}))).status, 400)
  t.equal((await visitor(await serveSchema(t, { flashValidation: true }, { session: { flashValidation: false } })).send('/form', form({}))).status, 400)
})

t.test('on a route without a session a form gets Fastify\'s 400', async t => {
  t.equal((await visitor(await serveSchema(t, { flashValidation: true }, { session: false })).send('/form', form({}))).status, 400)
})

t.test('a request outside of the session\'s path gets Fastify\'s 400', async t => {
  const app = await serveSchema(t, { flashValidation: true, path: '/shop' })
  t.equal((await visitor(app).send('/form', form({}))).status, 400)
})

t.test('on a read-only route, which cannot flash, a form gets Fastify\'s 400', async t => {
  t.equal((await visitor(await serveSchema(t, { flashValidation: true }, { session: { readonly: true } })).send('/form', form({}))).status, 400)
})

t.test('all other errors are the application\'s and the route\'s, as if the option were not there', async t => {
  const app = await serveForms(t, app => {
    app.setErrorHandler((error: Error, _req, reply) => reply.code(418).send(`application: ${error.message}`))
    app.post('/fails', async () => { throw new Error('sorry') })
    app.post('/own', { schema, errorHandler: (error, _req, reply) => { void reply.code(418).send(`route: ${error.message}`) } }, async () => { throw new Error('sorry') })
    app.post('/attached', { schema, attachValidation: true }, async req => req.validationError?.message)
  }, { flashValidation: true })
  const ada = visitor(app)
  t.equal((await ada.post('/fails')).text, 'application: sorry')
  t.equal((await ada.post('/own', { name: 'Ada', email: 'ada@example.com' })).text, 'route: sorry')
  t.match((await ada.post('/own', {})).text, /^route: body must have required property/)
  t.same(await redirectOf(ada, '/own', form({})), [303, '/'])
  t.match((await ada.send('/attached', form({}))).text, /^body must have required property/)
})

t.test('an error of a library that names no fields goes back as that of the whole form', async t => {
  const app = await serveForms(t, app => {
    app.setValidatorCompiler(() => () => ({ error: new Error('"name" is required') }))
    app.post('/form', { schema: { body: {} } }, async () => 'never')
  }, { flashValidation: true })
  const ada = visitor(app)
  t.same(await redirectOf(ada, '/form', form({ name: '' })), [303, '/'])
  t.match((await ada.get('/shown')).json, { errors: { '': ['"name" is required'] }, old: { name: '' } })
})

t.test('a schema of zod goes back with its messages', async t => {
  const body = z.object({ email: z.email('This is no address.') })
  const app = await serveForms(t, app => {
    app.setValidatorCompiler<typeof body>(({ schema }) => data => {
      const { data: value, error } = schema.safeParse(data)
      return error === undefined ? { value } : { error }
    })
    app.post('/form', { schema: { body } }, async () => 'fine')
  }, { flashValidation: true })
  const ada = visitor(app)
  t.same(await redirectOf(ada, '/form', form({ email: 'ada' })), [303, '/'])
  t.match((await ada.get('/shown')).json, { errors: { email: ['This is no address.'] }, old: { email: 'ada' } })
  t.equal((await ada.send('/form', form({ email: 'ada@example.com' }))).text, 'fine')
})

t.test('an issue that says neither where it is nor what it is belongs to the form as a whole', async t => {
  t.same(await shownFor(t, reply => reply.withErrors([{}])), { '': ['is not valid'] })
})
