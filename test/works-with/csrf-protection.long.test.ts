/** @fastify/csrf-protection with each `sessionPlugin`: a token is good for its own visitor. */
import cookie from '@fastify/cookie'
import csrf from '@fastify/csrf-protection'
import t, { type Test } from 'tap'
import { visitor } from '../helpers/client.ts'
import { COOKIE, serve } from '../http/support.ts'

const sessionPlugins = ['@fastify/cookie', '@fastify/session', '@fastify/secure-session'] as const

async function application (t: Test, sessionPlugin: typeof sessionPlugins[number]) {
  const app = await serve(t, async app => {
    if (sessionPlugin === '@fastify/cookie') await app.register(cookie)
    await app.register(csrf, { sessionPlugin })
    app.get('/token', async (_req, reply) => reply.generateCsrf())
    app.get('/token/day', async (_req, reply) => reply.generateCsrf({ maxAge: 86_400 }))
    app.post('/act', { preHandler: (req, reply, done) => { app.csrfProtection(req, reply, done) } }, async () => 'done')
    app.get('/regenerate', async req => { await req.session.regenerate(); return 'new' })
    app.get('/destroy', async req => { await req.session.destroy(); return 'gone' })
  })
  return { ada: visitor(app), eve: visitor(app) }
}

for (const sessionPlugin of sessionPlugins) {
  t.test(`${sessionPlugin}: a token is good for its own visitor, in a header and in the body`, async t => {
    const { ada, eve } = await application(t, sessionPlugin)
    const { text: token } = await ada.get('/token')
    await eve.get('/token')
    t.equal((await ada.post('/act', { _csrf: token })).status, 200)
    t.equal((await ada.post('/act', undefined, { 'csrf-token': token })).status, 200)
    t.equal((await eve.post('/act', { _csrf: token })).status, 403)
    t.equal((await ada.post('/act', {})).status, 403)
  })
}

for (const sessionPlugin of ['@fastify/session', '@fastify/secure-session'] as const) {
  for (const how of ['regenerate', 'destroy']) {
    t.test(`${sessionPlugin}: after ${how}() a token from before is refused`, async t => {
      const { ada } = await application(t, sessionPlugin)
      const { text: token } = await ada.get('/token')
      await ada.get(`/${how}`)
      t.equal((await ada.post('/act', { _csrf: token })).status, 403)
      const { text: next } = await ada.get('/token')
      t.equal((await ada.post('/act', { _csrf: token })).status, 403)
      t.equal((await ada.post('/act', { _csrf: next })).status, 200)
    })
  }
}

t.test('@fastify/secure-session: options given to generateCsrf() are those of the session', async t => {
  const { ada } = await application(t, '@fastify/secure-session')
  const { setCookies } = await ada.get('/token/day')
  t.equal(setCookies.find(({ name }) => name === COOKIE)?.attributes['max-age'], '86400')
})

t.test('@fastify/cookie: a token has nothing to do with the session, and stays good under a new one', async t => {
  const { ada } = await application(t, '@fastify/cookie')
  const { text: token } = await ada.get('/token')
  await ada.get('/regenerate')
  t.equal((await ada.post('/act', { _csrf: token })).status, 200)
})
