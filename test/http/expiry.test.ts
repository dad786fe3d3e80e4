/** What is stored when, how long it lives, and what an unused session costs. */
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { Clock, COOKIE, Gate, serve } from './support.ts'
import { SpyStore } from './stores.ts'

function routes (app: FastifyInstance): void {
  app.get('/static', async () => 'no session here')
  app.get('/name', async () => session('name', 'nobody'))
  app.post('/login', async () => { session({ name: 'ada' }) })
  app.post('/put/:value', async req => { session({ value: (req.params as { value: string }).value }) })
}

for (const isSynchronous of [true, false]) {
  const store = `a store that answers ${isSynchronous ? 'at once' : 'later'}`

  t.test(`a visitor without a cookie who only looks costs ${store} nothing and gets no cookie`, async t => {
    const driver = new SpyStore(isSynchronous)
    const app = await serve(t, routes, { driver })
    const someone = visitor(app)
    for (const path of ['/static', '/name', '/nowhere']) t.same((await someone.get(path)).setCookies, [])
    t.same(driver.calls, [])
  })
}

t.test('a route that does not use its session costs a synchronous store nothing although there is one', async t => {
  const driver = new SpyStore()
  const app = await serve(t, routes, { driver })
  const ada = visitor(app)
  await ada.post('/login')
  driver.takeCalls()
  await ada.get('/static')
  t.same(driver.calls, [])
})

t.test('a session that is only read is read once and not written', async t => {
  const driver = new SpyStore()
  const app = await serve(t, app => {
    routes(app)
    app.get('/twice', async () => [session('name'), session().all(), session().has('name')])
  }, { driver })
  const ada = visitor(app)
  await ada.post('/login')
  driver.takeCalls()
  await ada.get('/twice')
  t.same(driver.calls, ['read'])
})

t.test('putting what is there already writes nothing', async t => {
  const driver = new SpyStore()
  const app = await serve(t, routes, { driver })
  const ada = visitor(app)
  await ada.post('/login')
  driver.takeCalls()
  await ada.post('/login')
  t.same(driver.calls, ['read'])
})

t.test('a session in which nothing was put in the end is not stored and sets no cookie', async t => {
  const driver = new SpyStore()
  const app = await serve(t, app => {
    app.get('/', async () => {
      session({ a: 1 })
      session().forget('a')
      session().now('b', 2)
      return session().all()
    })
  }, { driver })
  const { json, setCookies } = await visitor(app).get('/')
  t.same(json, { b: 2 })
  t.same(setCookies, [])
  t.same(driver.calls, [])
})

t.test('a session ends after its idle timeout', async t => {
  const clock = new Clock(t)
  const app = await serve(t, routes, { lifetime: 10 })
  const ada = visitor(app)
  await ada.post('/login')
  clock.advance(9.9 * 60)
  t.equal((await ada.get('/name')).text, 'ada')
  clock.advance(10.1 * 60)
  t.equal((await ada.get('/name')).text, 'nobody')
})

t.test('every use puts the end off', async t => {
  const clock = new Clock(t)
  const app = await serve(t, routes, { lifetime: 10 })
  const ada = visitor(app)
  await ada.post('/login')
  for (let i = 0; i < 5; i++) {
    clock.advance(9 * 60)
    t.equal((await ada.get('/name')).text, 'ada')
  }
})

t.test('the absolute timeout ends a session whatever its use', async t => {
  const clock = new Clock(t)
  const app = await serve(t, routes, { lifetime: 10, absoluteLifetime: 30 })
  const ada = visitor(app)
  await ada.post('/login')
  for (const expected of ['ada', 'ada', 'ada', 'nobody']) {
    clock.advance(9 * 60)
    t.equal((await ada.get('/name')).text, expected)
  }
})

t.test('reading moves the expiry at most once a minute, and only then sends the cookie', async t => {
  const clock = new Clock(t)
  const driver = new SpyStore()
  const app = await serve(t, routes, { driver })
  const ada = visitor(app)
  await ada.post('/login')
  driver.takeCalls()

  clock.advance(50)
  t.same((await ada.get('/name')).setCookies, [])
  t.same(driver.takeCalls(), ['read'], 'after 50 seconds')

  clock.advance(11)
  const [cookie] = (await ada.get('/name')).setCookies
  t.equal(cookie?.attributes['max-age'], '7200')
  t.same(driver.takeCalls(), ['read', 'touch', 'read'], 'after 61 seconds')

  t.same((await ada.get('/name')).setCookies, [])
  t.same(driver.takeCalls(), ['read'], 'right after that')
})

t.test('a short lifetime is extended when a twentieth of it has passed', async t => {
  const clock = new Clock(t)
  const driver = new SpyStore()
  const app = await serve(t, routes, { driver, lifetime: 1 })
  const ada = visitor(app)
  await ada.post('/login')
  driver.takeCalls()
  clock.advance(4)
  t.equal((await ada.get('/name')).setCookies.length, 1)
  t.same(driver.takeCalls(), ['read', 'touch', 'read'])
})

t.test('a write within the minute is stored and sends no cookie', async t => {
  const clock = new Clock(t)
  const driver = new SpyStore()
  const app = await serve(t, routes, { driver })
  const ada = visitor(app)
  await ada.post('/put/1')
  driver.takeCalls()
  clock.advance(30)
  t.same((await ada.post('/put/2')).setCookies, [])
  t.same(driver.takeCalls(), ['read', 'compareAndSet'])
})

t.test('a write after more than a minute sends the cookie anew', async t => {
  const clock = new Clock(t)
  const app = await serve(t, routes)
  const ada = visitor(app)
  await ada.post('/put/1')
  clock.advance(61)
  const [cookie] = (await ada.post('/put/2')).setCookies
  t.match(cookie, { name: COOKIE, value: ada.cookies.get(COOKIE), attributes: { 'max-age': '7200' } })
})

t.test('the application can ask when its session began and when it ends', async t => {
  const clock = new Clock(t)
  const app = await serve(t, app => {
    routes(app)
    app.get('/times', async () => ({ isNew: session().isNew, createdAt: session().createdAt, expiresAt: session().expiresAt }))
  }, { lifetime: 10 })
  const ada = visitor(app)
  t.same((await ada.get('/times')).json, { isNew: true })
  const before = Date.now()
  await ada.post('/login')
  clock.advance(5)
  const { isNew, createdAt, expiresAt } = (await ada.get('/times')).json as { isNew: boolean, createdAt: string, expiresAt: string }
  t.equal(isNew, false)
  t.ok(Date.parse(createdAt) >= before && Date.parse(createdAt) < before + 5000)
  t.equal(Date.parse(expiresAt) - Date.parse(createdAt), 600_000)
})

for (const [what, minutes, lives] of [['longer', 43_200, true], ['shorter', 5, false]] as const) {
  t.test(`a slow request that only reads leaves a session its ${what} lifetime`, async t => {
    const [clock, gate, driver] = [new Clock(t), new Gate(), new SpyStore(false)]
    const app = await serve(t, app => {
      routes(app)
      app.get('/slow', async () => { session('name'); await gate.pass() })
      app.post('/lifetime', async () => { session().setLifetime(minutes) })
    }, { driver })
    const ada = visitor(app)
    await ada.post('/login')
    clock.advance(600)
    const slow = ada.get('/slow')
    await gate.reached
    await ada.post('/lifetime')
    gate.open()
    t.same((await slow).setCookies, [])
    clock.advance(3600)
    t.equal((await ada.get('/name')).text, lives ? 'ada' : 'nobody')
    clock.advance(3 * 3600)
    t.equal((await ada.get('/name')).text, lives ? 'ada' : 'nobody')
  })
}
