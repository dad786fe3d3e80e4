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
  await ada.get('/other', { 'sec-fetch-dest': 'document' })
  t.equal((await ada.get('/previous')).text, `${originOf(app)}/other`)
})
