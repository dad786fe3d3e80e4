/** Which requests use up flash data and move the expiry, and how long sessions live. */
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { session, type SessionOptions } from '../../src/index.ts'
import { visitor, type Visitor } from '../helpers/client.ts'
import { Clock, COOKIE, serve } from './support.ts'
import { SpyStore } from './stores.ts'

const MINUTE = 60

function routes (app: FastifyInstance): void {
  app.post('/flash', async () => { session().flash('status', 'saved') })
  app.get('/page', async () => session('status', 'nothing'))
  app.get('/user', async () => session().userId ?? 'nobody')
  app.get('/facts', async () => [session().id, session().key, session().name, session().isNew, session().isEnded, session().createdAt, session().expiresAt].length)
  app.post('/login', async () => { session().setUser('ada') })
  app.post<{ Body: { minutes: number | null, persistent?: boolean } }>('/lifetime', async ({ body }) => { session().setLifetime(body.minutes, { persistent: body.persistent }) })
  app.post('/regenerate', async () => { session().regenerate() })
  app.post('/invalidate', async () => { session().invalidate(); session().put('begun', 'anew') })
}

const others: Record<string, (ada: Visitor) => Promise<unknown>> = {
  'a prefetch': ada => ada.get('/page', { 'sec-purpose': 'prefetch' }),
  'a prerendering': ada => ada.get('/page', { 'sec-purpose': 'prefetch;prerender' }),
  'a prefetch of an older browser': ada => ada.get('/page', { purpose: 'prefetch' }),
  'a HEAD request': ada => ada.send('/page', { method: 'HEAD' }),
  'a request that reads the user': ada => ada.get('/user'),
  'a request that reads the id and other facts': ada => ada.get('/facts')
}

for (const isSynchronous of [true, false]) {
  for (const [what, request] of Object.entries(others)) {
    t.test(`${what} uses up no flash data: ${isSynchronous ? 'synchronous' : 'asynchronous'} store`, async t => {
      const ada = visitor(await serve(t, routes, { driver: new SpyStore(isSynchronous) }))
      await ada.post('/flash')
      await request(ada)
      t.equal((await ada.get('/page')).text, 'saved')
      t.equal((await ada.get('/page')).text, 'nothing')
    })
  }
}

t.test('a request that reads the user is use enough to keep the session alive', async t => {
  const clock = new Clock(t)
  const ada = visitor(await serve(t, routes, { lifetime: 30 }))
  await ada.post('/login')
  for (let visit = 0; visit < 4; visit++) {
    clock.advance(20 * MINUTE)
    t.equal((await ada.get('/user')).text, 'ada')
  }
})

// Lifetimes -----------------------------------------------------------------------------------------------------------

async function begun (t: Parameters<typeof serve>[0], options: SessionOptions = {}): Promise<Visitor> {
  const ada = visitor(await serve(t, routes, { lifetime: 30, ...options }))
  await ada.post('/login')
  return ada
}

t.test('a session with a longer lifetime of its own outlives the others, and says so in its cookie', async t => {
  const clock = new Clock(t)
  const ada = await begun(t, { expireOnClose: true })
  const [cookie] = (await ada.post('/lifetime', { minutes: 60 * 24 * 30, persistent: true })).setCookies
  t.match(cookie, { name: COOKIE, attributes: { 'max-age': String(60 * 60 * 24 * 30) } })
  clock.advance(29 * 24 * 60 * MINUTE)
  t.equal((await ada.get('/user')).text, 'ada')
})

t.test('a lifetime is kept through regenerate() and ends with invalidate()', async t => {
  const clock = new Clock(t)
  const ada = await begun(t)
  await ada.post('/lifetime', { minutes: 600, persistent: true })
  t.match((await ada.post('/regenerate')).setCookies, [{ attributes: { 'max-age': '36000' } }])
  clock.advance(500 * MINUTE)
  t.equal((await ada.get('/user')).text, 'ada')
  t.match((await ada.post('/invalidate')).setCookies, [{ attributes: { 'max-age': '1800' } }])
})

t.test('a shorter lifetime of its own ends a session earlier', async t => {
  const clock = new Clock(t)
  const ada = await begun(t)
  t.match((await ada.post('/lifetime', { minutes: 5 })).setCookies, [{ attributes: { 'max-age': '300' } }])
  clock.advance(6 * MINUTE)
  t.equal((await ada.get('/user')).text, 'nobody')
})

t.test('null gives the lifetime of the options back', async t => {
  const ada = await begun(t)
  await ada.post('/lifetime', { minutes: 600 })
  t.match((await ada.post('/lifetime', { minutes: null })).setCookies, [{ attributes: { 'max-age': '1800' } }])
})

t.test('persistent: false makes the cookie end with the browser', async t => {
  const ada = await begun(t)
  const [cookie] = (await ada.post('/lifetime', { minutes: null, persistent: false })).setCookies
  t.match(cookie, { name: COOKIE, attributes: { 'max-age': undefined } })
})

t.test('a lifetime that is none is refused', async t => {
  const ada = await begun(t)
  for (const minutes of [0, -1, '5', 1e12]) t.match((await ada.post('/lifetime', { minutes })).json, { code: 'ERR_SESSION_VALUE', message: /\(lifetime\)/ })
})

t.test('with the driver cookie a session has a lifetime of its own, too', async t => {
  const clock = new Clock(t)
  const ada = visitor(await serve(t, routes, { driver: 'cookie', secret: 'a secret of thirty-two characters', lifetime: 30 }))
  t.match((await ada.post('/lifetime', { minutes: 600, persistent: true })).setCookies, [{ attributes: { 'max-age': '36000' } }])
  await ada.post('/flash')
  clock.advance(500 * MINUTE)
  t.equal((await ada.get('/page')).text, 'saved')
})

t.test('after the option was shortened a session keeps its longer lifetime no more: it is shortened when it is read', async t => {
  const clock = new Clock(t)
  const driver = new SpyStore()
  const before = visitor(await serve(t, routes, { driver, lifetime: 600 }))
  await before.post('/flash')
  const ada = before.copy(await serve(t, routes, { driver, lifetime: 30 }))
  t.match((await ada.get('/facts')).setCookies, [{ attributes: { 'max-age': '1800' } }])
  clock.advance(31 * MINUTE)
  t.equal((await ada.get('/page')).text, 'nothing')
})

t.test('after the option was shortened a signed-in session that has been idle for longer is over at once', async t => {
  const clock = new Clock(t)
  const driver = new SpyStore()
  const before = visitor(await serve(t, routes, { driver, lifetime: 600 }))
  await before.post('/login')
  clock.advance(60 * MINUTE)
  const ada = before.copy(await serve(t, routes, { driver, lifetime: 30 }))
  t.equal((await ada.get('/user')).text, 'nobody')
})
