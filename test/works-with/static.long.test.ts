/** @fastify/static: files cost no session, and a guard may ask it. */
import fastifyStatic from '@fastify/static'
import t, { type Test } from 'tap'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { serve } from '../http/support.ts'

async function application (t: Test) {
  const root = t.testdir({ 'page.html': 'a page', private: { 'ada.txt': 'ada\'s', 'eve.txt': 'eve\'s' } })
  return await serve(t, async app => {
    await app.register(fastifyStatic, { root, prefix: '/public/' })
    app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
    app.get('/all', async () => session().all())
    app.get('/mine', (_req, reply) => {
      session().increment('downloads')
      return reply.sendFile(`private/${session('name', 'nobody') as string}.txt`)
    })
    await app.register(async app => {
      app.addHook('onRequest', async (_req, reply) => {
        if (session().missing('name')) return await reply.code(401).send()
      })
      await app.register(fastifyStatic, { root: `${root}/private`, prefix: '/private/', decorateReply: false })
    })
  })
}

t.test('a file is sent without a cookie and may be cached by everyone; its ETag is good with a session', async t => {
  const app = await application(t)
  const ada = visitor(app)
  await ada.get('/in/ada')
  const { status, headers, text, setCookies } = await ada.get('/public/page.html')
  t.same([status, text, setCookies], [200, 'a page', []])
  t.equal(headers.get('cache-control'), 'public, max-age=0')
  t.equal(headers.get('vary')?.includes('Cookie') ?? false, false)
  t.equal((await ada.get('/public/page.html', { 'if-none-match': headers.get('etag') ?? '', 'cache-control': 'max-age=0' })).status, 304)
  t.equal((await ada.get('/public/page.html', { range: 'bytes=0-0' })).text, 'a')
})

t.test('files behind a guard are for visitors with a session, and no shared cache may give them to others', async t => {
  const app = await application(t)
  const ada = visitor(app)
  t.equal((await ada.get('/private/ada.txt')).status, 401)
  await ada.get('/in/ada')
  const { status, text, headers } = await ada.get('/private/ada.txt')
  t.same([status, text], [200, 'ada\'s'])
  t.match(headers.get('vary'), 'Cookie')
})

t.test('sendFile() in a handler commits what the handler changed, for each visitor', async t => {
  const app = await application(t)
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.get('/in/ada')
  await eve.get('/in/eve')
  t.equal((await ada.get('/mine')).text, 'ada\'s')
  t.equal((await eve.get('/mine')).text, 'eve\'s')
  t.equal((await ada.get('/mine')).text, 'ada\'s')
  t.same((await ada.get('/all')).json, { name: 'ada', downloads: 2 })
  t.same((await eve.get('/all')).json, { name: 'eve', downloads: 1 })
})
