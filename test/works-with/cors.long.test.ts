/** @fastify/cors: an application whose pages come from another origin. */
import cors from '@fastify/cors'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import ambientSession, { session, SessionStoreError } from '../../src/index.ts'
import { type Answer, visitor } from '../helpers/client.ts'
import { listening } from '../http/support.ts'
import { SpyStore } from '../http/stores.ts'

const SPA = 'https://spa.example'

async function api (t: Test, driver = new SpyStore()): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(cors, { origin: SPA, credentials: true, methods: ['GET', 'POST'] })
  await app.register(ambientSession, { driver, sweep: false, csrf: { origins: [SPA] }, sameSite: 'none', partitioned: true })
  app.post('/name/:name', async (req: { params: unknown }) => { session({ name: (req.params as { name: string }).name }) })
  app.get('/name', async () => session('name', 'nobody'))
  return await listening(app)
}

function allowed ({ headers }: Answer): Array<string | null> {
  return ['access-control-allow-origin', 'access-control-allow-credentials'].map(name => headers.get(name))
}

t.test('its pages ask first, then write and read the session of each visitor; pages of other origins do not', async t => {
  const app = await api(t)
  const [ada, eve] = [visitor(app), visitor(app)]
  const from = (origin: string) => ({ origin, 'sec-fetch-site': 'cross-site' })
  const asked = await ada.send('/name/ada', { method: 'OPTIONS', headers: { ...from(SPA), 'access-control-request-method': 'POST' } })
  t.same([asked.status, ...allowed(asked)], [204, SPA, 'true'])
  t.equal((await ada.post('/name/ada', {}, from(SPA))).status, 200)
  t.equal((await eve.post('/name/eve', {}, from(SPA))).status, 200)
  const read = await ada.get('/name', from(SPA))
  t.same([read.text, ...allowed(read)], ['ada', SPA, 'true'])
  t.equal((await ada.post('/name/evil', {}, from('https://evil.example'))).status, 419)
  t.equal((await ada.get('/name', from(SPA))).text, 'ada')
})

t.test('its pages can read the status of a request that the session refuses', async t => {
  const store = new SpyStore(false)
  const app = await api(t, store)
  const ada = visitor(app)
  await ada.post('/name/ada', {}, { origin: SPA })
  store.before = () => { throw new SessionStoreError('the store is out of order') }
  const answer = await ada.get('/name', { origin: SPA })
  t.same([answer.status, ...allowed(answer)], [503, SPA, 'true'])
})
