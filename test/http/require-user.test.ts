/** The guard for what only users may see. */
import Fastify, { type FastifyInstance } from 'fastify'
import t from 'tap'
import { requireUser, session } from '../../src/index.ts'
import { visitor } from '../../src/testing.ts'
import { serve, type Teardown } from './support.ts'
import { SpyStore } from './stores.ts'

const HTML = { headers: { accept: 'text/html' } }

async function shop (t: Teardown, driver: 'memory' | SpyStore = 'memory'): Promise<FastifyInstance> {
  return await serve(t, app => {
    app.get('/account', { preHandler: requireUser('/sign-in') }, () => `You are ${session().userId}`)
    app.post('/orders', { onRequest: requireUser('/sign-in') }, () => 'ordered')
    app.get('/unread', { preHandler: requireUser('/sign-in'), config: { session: { readonly: true } } }, () => 'none')
    app.get('/api', { preHandler: requireUser() }, () => 'data')
    app.get('/sign-in', () => session('message', 'sign in'))
    app.post('/sign-in', (_request, reply) => {
      session().regenerate()
      session().setUser('ada')
      return reply.intended('/')
    })
  }, { driver })
}

for (const driver of ['memory', new SpyStore(false)] as const) {
  t.test(`with ${typeof driver === 'string' ? driver : 'an asynchronous store'} a user passes, and a guest comes back to the page after signing in`, async t => {
    const ada = visitor(await shop(t, driver), { socket: true })
    t.match(await ada.get('/account?tab=2'), { status: 302, location: '/sign-in' })
    t.match(await ada.post('/sign-in'), { status: 303, location: '/account?tab=2' })
    t.equal((await ada.get('/account?tab=2')).text, 'You are ada')
    t.equal((await ada.post('/orders')).text, 'ordered')
  })
}

t.test('a guest who sends a form is led to the page for signing in as well', async t => {
  const guest = visitor(await shop(t), { socket: true })
  t.match(await guest.post('/orders', new URLSearchParams({ item: 'pen' })), { status: 303, location: '/sign-in' })
})

for (const driver of ['memory', new SpyStore(false)] as const) {
  t.test(`a hook with a callback that sends a guest away keeps the handler from running, with ${typeof driver === 'string' ? driver : 'an asynchronous store'}`, async t => {
    const ran: string[] = []
    const app = await serve(t, app => {
      app.get('/secret', {
        preHandler: (_request, reply, done) => {
          reply.guest('/sign-in')
          done()
        }
      }, () => ran.push('handler'))
      app.get('/unreturned', (_request, reply) => {
        reply.guest('/sign-in')
        return 'secret'
      })
    }, { driver })
    for (const path of ['/secret', '/unreturned']) t.match(await visitor(app).get(path, HTML), { status: 302, location: '/sign-in', text: '' })
    t.same(ran, [])
  })
}

t.test('a script gets a 401', async t => {
  const script = visitor(await shop(t), { socket: true })
  const answers = [
    await script.post('/orders', { item: 'pen' }),
    await script.get('/account', { headers: { accept: 'application/json' } }),
    await script.get('/account', { headers: { ...HTML.headers, 'x-requested-with': 'XMLHttpRequest' } })
  ]
  for (const { status, json } of answers) {
    t.equal(status, 401)
    t.match(json(), { code: 'ERR_SESSION_USER', message: 'sign in first: this is for users, and the session has none' })
  }
})

t.test('without a page for signing in everybody gets a 401', async t => {
  const app = await shop(t)
  t.equal((await visitor(app, { socket: true }).get('/api', HTML)).status, 401)
  t.equal((await visitor(app, { socket: true }).actingAs('ada').get('/api', HTML)).text, 'data')
})

t.test('a read-only page leads to the page for signing in, and records nothing', async t => {
  const guest = visitor(await shop(t), { socket: true })
  t.match(await guest.get('/unread'), { status: 302, location: '/sign-in' })
  t.notOk((await guest.session()).exists)
})

t.test('a page for signing in that leads elsewhere is an error', async t => {
  const app = await serve(t, app => { app.get('/', { preHandler: requireUser('https://example.com/') }, () => 'x') })
  t.match(await visitor(app, { socket: true }).get('/'), { status: 500 })
})

t.test('requireUser in the place of the hook that it makes is refused', async t => {
  t.throws(() => requireUser({} as never), { name: 'SessionUsageError', message: /preHandler: requireUser\('\/sign-in'\)/ })
})

t.test('an application that has not registered the plugin is told so', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/account', { preHandler: requireUser('/sign-in') }, () => 'secret')
  t.match((await app.inject('/account')).json(), { code: 'ERR_SESSION_CONFIG', message: /requireUser\(\).*has not registered ambient-session/s })
})
