/** What caches are told of a response that was made with a session. */
import t from 'tap'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import type { Answer } from '../helpers/client.ts'
import { serve } from './support.ts'
import type { Teardown } from './support.ts'

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

t.test('a response that was made with the session varies by cookie, and keeps its Set-Cookie out of caches', async t => {
  const { headers } = await pageWith(t, {})
  t.equal(headers.get('vary'), 'Cookie')
  t.equal(headers.get('cache-control'), 'no-cache="Set-Cookie"')
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
  t.equal(headers.get('cache-control'), 'private, max-age=60, no-cache="Set-Cookie"')
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

for (const control of ['no-store', 'no-cache', 'private, No-Store']) {
  t.test(`a Cache-Control of ${control} is left as it is`, async t => {
    t.equal((await pageWith(t, { 'cache-control': control })).headers.get('cache-control'), control)
  })
}
