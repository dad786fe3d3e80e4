/** The session's cookie leaves with every response that needs it, beside the cookies of others, whatever the store. */
import { once } from 'node:events'
import csrf from '@fastify/csrf-protection'
import Fastify from 'fastify'
import t from 'tap'
import ambientSession, { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { type Driver, localDrivers } from './each-driver.ts'
import { namesIn, serve, testCookies } from './set-cookie-cases.ts'
import { Clock, COOKIE, listening } from './support.ts'

for (const driver of localDrivers) testCookies(driver)

t.test('no more than four sessions are looked for', async t => {
  const asked: string[] = []
  const [memory] = localDrivers
  const app = await serve(t, { ...memory as Driver, options: () => ({ driver: spied(asked) }) }, () => {})
  const ids = Array.from({ length: 10 }, (_, n) => `${COOKIE}=${String(n).repeat(42)}A`)
  await visitor(app).get('/user', { cookie: ids.join('; ') })
  t.equal(asked.length, 4)
})

function spied (asked: string[]) {
  return { readsSynchronously: true, read: (key: string) => { asked.push(key); return undefined }, compareAndSet: () => 'gone' as const, touch: () => false, destroy: () => 'gone' as const }
}

t.test('a token of @fastify/csrf-protection is one of the visitor: each has a secret of its own', async t => {
  const app = await serve(t, localDrivers[0] as Driver, async app => {
    await app.register(csrf, { sessionPlugin: '@fastify/session' })
    app.get('/form', async (_req, reply) => reply.generateCsrf())
    app.post('/form', { onRequest: (req, reply, done) => { app.csrfProtection(req, reply, done) } }, async () => 'accepted')
  })
  const [ada, eve] = [visitor(app), visitor(app)]
  const token = (await ada.get('/form')).text
  await eve.get('/form')
  t.equal((await eve.post('/form', undefined, { 'csrf-token': token })).status, 403)
  t.equal((await ada.post('/form', undefined, { 'csrf-token': token })).text, 'accepted')
})

t.test('without a cookie that outlives the browser an identical cookie is not sent again when the end moves', async t => {
  for (const driver of localDrivers.filter(({ name }) => name === 'memory' || name === 'asynchronous')) {
    const [app, clock] = [Fastify(), new Clock(t)]
    t.teardown(() => app.close())
    await app.register(ambientSession, { ...await driver.options(t), sweep: false, lifetime: 30, expireOnClose: true })
    app.get('/', async () => session().increment('visits'))
    await listening(app)
    const ada = visitor(app)
    t.same(namesIn(await ada.get('/')), [COOKIE])
    clock.advance(600)
    const again = await ada.get('/')
    t.equal(again.text, '2')
    t.same(namesIn(again), [])
  }
})

t.test('with path: outside of it a request has no session, and says so', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false, path: '/admin' })
  for (const path of ['/admin', '/admin/users', '/administrators', '/']) app.get(path, async () => session().increment('visits'))
  await listening(app)
  for (const path of ['/admin', '/admin?page=2', '/admin/users']) t.same(namesIn(await visitor(app).get(path)), [COOKIE], path)
  for (const path of ['/', '/administrators']) {
    t.match(await visitor(app).get(path), { status: 500, setCookies: [], json: { code: 'ERR_SESSION_CONTEXT', message: /outside of the option path, '\/admin'/ } }, path)
  }
})

t.test('where the plugin was registered without waiting for it, and on what is not found, changes of later onSend hooks are stored', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  const stored = once(app.server, 'stored')
  void app.register(ambientSession, { driver: 'memory', sweep: false })
  app.get('/begin', async () => session().put('user', 'nobody'))
  app.get('/user', async () => session('user'))
  app.addHook('onSend', async (req, _reply, payload) => {
    if (req.is404) session({ user: 'ada' })
    return payload
  })
  app.addHook('onResponse', async req => { if (req.is404) app.server.emit('stored') })
  await listening(app)
  const ada = visitor(app)
  await ada.get('/begin')
  await ada.get('/missing')
  await stored
  t.equal((await ada.get('/user')).text, 'ada')
})
