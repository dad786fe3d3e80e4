/** @fastify/rate-limit: a limit may be counted for each user. */
import rateLimit from '@fastify/rate-limit'
import t from 'tap'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { serve } from '../http/support.ts'

t.test('each user has a limit of their own, and guests share that of their address, whatever cookies they bring', async t => {
  const keys: string[] = []
  const app = await serve(t, async app => {
    await app.register(rateLimit, {
      max: 2,
      timeWindow: 60_000,
      keyGenerator: req => session().userId ?? req.ip,
      onExceeded: (_req, key) => { keys.push(key) }
    })
    app.get<{ Params: { name: string } }>('/in/:name', { config: { rateLimit: false } }, async req => {
      session({ name: req.params.name })
      if (req.params.name !== 'a guest') session().setUser(req.params.name)
    })
    app.get('/', async () => session('name', 'no one'))
  })
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.get('/in/ada')
  await eve.get('/in/eve')
  const statuses = async (browser = ada, count = 3) => await Promise.all(Array.from({ length: count }, async () => (await browser.get('/')).status))
  t.same((await statuses()).sort(), [200, 200, 429])
  t.equal((await eve.get('/')).text, 'eve')
  t.same((await statuses(visitor(app))).sort(), [200, 200, 429])
  for (const guest of [visitor(app), visitor(app)]) {
    await guest.get('/in/a guest')
    t.same(await statuses(guest, 2), [429, 429], 'another session is no other guest')
  }
  t.equal((await ada.get('/')).status, 429)
  t.same([...new Set(keys)].sort(), ['127.0.0.1', 'ada'])
})
