/** The page a visitor was on, where the application asked to have it recorded. */
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { session } from '../../src/index.ts'
import { originOf, visitor } from '../helpers/client.ts'
import { serve } from './support.ts'

function routes (app: FastifyInstance): void {
  app.get('/page', async () => 'a page')
  app.get('/other', async () => 'another page')
  app.post('/form', async () => 'a form')
  app.get('/html', async (_req, reply) => await reply.type('text/html; charset=utf-8').send('<h1>a page</h1>'))
  app.get('/xhtml', async (_req, reply) => await reply.type('application/xhtml+xml').send('<h1>a page</h1>'))
  app.get('/image', async (_req, reply) => await reply.type('image/png').send(Buffer.from('png')))
  app.get('/script', async (_req, reply) => await reply.type('text/javascript').send('run()'))
  app.get('/style', async (_req, reply) => await reply.type('text/css').send('a {}'))
  app.get('/data', async () => ({ some: 'data' }))
  app.get('/bytes', async (_req, reply) => await reply.send(Buffer.from('bytes')))
  app.get('/download', async (_req, reply) => await reply.type('text/plain').header('content-disposition', 'attachment; filename="list.txt"').send('a list'))
  app.get('/nothing', async (_req, reply) => await reply.status(204).send())
  app.get('/redirect', async (_req, reply) => await reply.redirect('/page'))
  app.get('/fails', async () => { throw new Error('sorry') })
  app.setNotFoundHandler(async (_req, reply) => await reply.status(200).send('not found, and not said so'))
  app.get('/without', { config: { session: false } }, async () => 'no session')
  app.get('/previous', { config: { session: { readonly: true } } }, async () => session().previousUrl() ?? 'none')
}

t.test('the URL of a page is recorded, with its query', async t => {
  const app = await serve(t, routes, { previousUrl: true })
  const ada = visitor(app)
  await ada.get('/page?tab=2')
  t.equal((await ada.get('/previous')).text, `${originOf(app)}/page?tab=2`)
})

t.test('a Host header or a target that makes no URL of this server is not recorded', async t => {
  const app = await serve(t, routes, { previousUrl: true })
  const cookies = { ambient_session: String((await app.inject('/page')).cookies[0]?.value) }
  const { body: recorded } = await app.inject({ url: '/previous', cookies })
  await app.inject({ url: '/page?n=2', cookies, headers: { host: 'x"><script>' } })
  t.equal((await app.inject({ url: '/previous', cookies })).body, recorded)
})

t.test('a page sees the URL of the page before it', async t => {
  const app = await serve(t, app => {
    app.get('/page', async () => session().previousUrl() ?? 'none')
  }, { previousUrl: true })
  const ada = visitor(app)
  t.equal((await ada.get('/page?n=1')).text, 'none')
  t.equal((await ada.get('/page?n=2')).text, `${originOf(app)}/page?n=1`)
})

t.test('the URL is the one the browser knows, behind a trusted proxy', async t => {
  const app = await serve(t, routes, { previousUrl: true }, { trustProxy: true })
  const ada = visitor(app)
  const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' }
  await ada.get('/page', forwarded)
  t.equal((await ada.get('/previous')).text, 'https://shop.example/page')
})

t.test('unless the application asks for it nothing is recorded', async t => {
  const app = await serve(t, routes)
  const ada = visitor(app)
  t.same((await ada.get('/page')).setCookies, [])
  t.equal((await ada.get('/previous')).text, 'none')
})

t.test('an application can record where it likes', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.post('/wizard', async () => { session().setPreviousUrl('/wizard/2') })
  })
  const ada = visitor(app)
  await ada.post('/wizard')
  t.equal((await ada.get('/previous')).text, '/wizard/2')
})

const noPages: Record<string, [path: string, init: RequestInit]> = {
  'a form that is posted': ['/form', { method: 'POST' }],
  'an image, of a browser that does not say what it asks for': ['/image', {}],
  'a script': ['/script', {}],
  'a style sheet': ['/style', {}],
  data: ['/data', {}],
  'bytes of an unknown kind': ['/bytes', {}],
  'a page in the place of an image': ['/html', { headers: { accept: 'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5' } }],
  'a page in the place of a style sheet': ['/html', { headers: { accept: 'text/css,*/*;q=0.1' } }],
  'a page that a script asked for as data': ['/html', { headers: { accept: 'application/json' } }],
  'a download': ['/download', {}],
  'a download that the browser calls a document': ['/download', { headers: { 'sec-fetch-dest': 'document' } }],
  'an answer without content': ['/nothing', { headers: { 'sec-fetch-dest': 'document' } }],
  'a frame': ['/html', { headers: { 'sec-fetch-dest': 'iframe' } }],
  'a HEAD request': ['/other', { method: 'HEAD' }],
  'what is not found': ['/nowhere', {}],
  'a redirect': ['/redirect', {}],
  'an error': ['/fails', {}],
  'an XMLHttpRequest': ['/other', { headers: { 'x-requested-with': 'XMLHttpRequest' } }],
  'a fetch() of a script': ['/other', { headers: { 'sec-fetch-dest': 'empty' } }],
  'an image': ['/other', { headers: { 'sec-fetch-dest': 'image' } }],
  'a prefetch': ['/other', { headers: { 'sec-purpose': 'prefetch' } }],
  'a prerender': ['/other', { headers: { 'sec-purpose': 'prefetch;prerender' } }],
  'a prefetch of an older browser': ['/other', { headers: { purpose: 'prefetch' } }],
  'a prefetch of an older Firefox': ['/other', { headers: { 'x-moz': 'prefetch' } }],
  'a route without session': ['/without', {}]
}

for (const [what, [path, init]] of Object.entries(noPages)) {
  t.test(`${what} is no page to go back to`, async t => {
    const app = await serve(t, routes, { previousUrl: true })
    const ada = visitor(app)
    await ada.get('/page')
    await ada.send(path, init)
    t.equal((await ada.get('/previous')).text, `${originOf(app)}/page`)
  })
}

t.test('what a browser calls a document is a page', async t => {
  const app = await serve(t, routes, { previousUrl: true })
  const ada = visitor(app)
  for (const path of ['/other', '/image', '/data']) {
    await ada.get(path, { 'sec-fetch-dest': 'document', accept: '*/*' })
    t.equal((await ada.get('/previous')).text, `${originOf(app)}${path}`)
  }
})

t.test('what looks like a page is one where the browser does not say: HTML or text, which was asked for as a page', async t => {
  const app = await serve(t, routes, { previousUrl: true })
  const ada = visitor(app)
  for (const [path, accept] of [
    ['/html', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
    ['/xhtml', 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'],
    ['/other', 'text/html, text/plain'],
    ['/html', '*/*']
  ] as const) {
    await ada.get(path, { accept })
    t.equal((await ada.get('/previous')).text, `${originOf(app)}${path}`)
  }
})

t.test('behind a trusted proxy only http and https are protocols, and only hosts are hosts', async t => {
  const app = await serve(t, routes, { previousUrl: true }, { trustProxy: true })
  const ada = visitor(app)
  await ada.get('/page', { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' })
  for (const headers of [
    ...['javascript', 'data', 'file', 'ftp', 'https://evil.example/?'].map(proto => ({ 'x-forwarded-proto': proto, 'x-forwarded-host': 'x.example' })),
    ...['a/b', 'user@x.example', 'x.example?', 'x.example#', 'a b', 'x.example:99999', 'x.example:', '[::1', 'x"><script>', '\\\\x.example'].map(host => ({ 'x-forwarded-proto': 'https', 'x-forwarded-host': host }))
  ]) {
    await ada.get('/page?wrong', headers)
    t.equal((await ada.get('/previous')).text, 'https://shop.example/page', JSON.stringify(headers))
  }
})

t.test('hosts with a port, of IPv6 and of one word are hosts', async t => {
  const app = await serve(t, routes, { previousUrl: true }, { trustProxy: true })
  const ada = visitor(app)
  for (const host of ['x.example:8443', '[::1]:8443', '192.0.2.1', 'intranet', 'a_b.example']) {
    await ada.get('/page', { 'x-forwarded-proto': 'https', 'x-forwarded-host': host })
    t.equal((await ada.get('/previous')).text, `https://${host}/page`)
  }
})

t.test('a response without a type is no page', async t => {
  const app = await serve(t, app => {
    app.get('/empty', async (_req, reply) => await reply.send())
    app.get('/previous', async () => ({ url: session().previousUrl() }))
  }, { previousUrl: true })
  const ada = visitor(app)
  t.equal((await ada.get('/empty')).headers.get('content-type'), null)
  t.same((await ada.get('/previous')).json, {})
})
