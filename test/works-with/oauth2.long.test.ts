/** @fastify/oauth2, against a provider on 127.0.0.1: the state may be kept in the session, and a callback belongs to its visitor. */
import formbody from '@fastify/formbody'
import oauth2, { type OAuth2Namespace } from '@fastify/oauth2'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { session } from '../../src/index.ts'
import { visitor, type Visitor } from '../helpers/client.ts'
import { COOKIE, listening, serve } from '../http/support.ts'

declare module 'fastify' {
  interface FastifyInstance {
    provider: OAuth2Namespace
  }
}

/** Hands out `token of CODE` for a code. */
async function provider (t: Test): Promise<string> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(formbody)
  app.post<{ Body: { code: string } }>('/oauth/token', async ({ body }) => ({ access_token: `token of ${body.code}`, token_type: 'bearer', expires_in: 3600 }))
  return (await listening(app)).listeningOrigin
}

const states = {
  'in a cookie of the plugin': {},
  'in the session': {
    generateStateFunction: () => {
      const state = crypto.randomUUID()
      session({ oauthState: state })
      return state
    },
    checkStateFunction: (req: { query: unknown }) => session().pull('oauthState') === (req.query as { state: string }).state
  }
}

async function application (t: Test, state: object) {
  const tokenHost = await provider(t)
  return await serve(t, async app => {
    await app.register(oauth2, {
      name: 'provider',
      credentials: { client: { id: 'app', secret: 'not a secret' }, auth: { tokenHost, tokenPath: '/oauth/token', authorizePath: '/oauth/authorize' } },
      startRedirectPath: '/login',
      callbackUri: 'http://127.0.0.1/login/callback',
      pkce: 'S256',
      ...state
    })
    app.get('/before', async () => { session({ cart: 'tea' }) })
    app.get('/login/callback', async (req, reply) => {
      const { token } = await app.provider.getAccessTokenFromAuthorizationCodeFlow(req, reply)
      session().regenerate()
      session({ accessToken: token.access_token })
      return reply.redirect('/')
    })
    app.get('/', async () => session().only(['accessToken', 'cart']))
  })
}

/** @returns the path to which the provider sends the browser back */
async function begin (browser: Visitor, code: string): Promise<string> {
  const { status, headers } = await browser.get('/login')
  const target = new URL(headers.get('location') ?? '')
  t.equal(status, 302)
  t.equal(target.pathname, '/oauth/authorize')
  return `/login/callback?code=${code}&state=${target.searchParams.get('state')}`
}

for (const [where, state] of Object.entries(states)) {
  t.test(`two visitors sign in, with the state ${where}`, async t => {
    const app = await application(t, state)
    const [ada, eve] = [visitor(app), visitor(app)]
    await ada.get('/before')
    const before = ada.cookies.get(COOKIE)
    const [adas, eves] = await Promise.all([begin(ada, 'ada'), begin(eve, 'eve')])
    t.equal((await eve.get(adas)).status, 500, 'the callback of another visitor')
    t.same((await eve.get('/')).json, {})
    t.equal((await ada.get(adas)).headers.get('location'), '/')
    t.not(ada.cookies.get(COOKIE), before)
    t.same((await ada.get('/')).json, { accessToken: 'token of ada', cart: 'tea' })
    const again = where === 'in the session' ? await begin(eve, 'eve') : eves
    t.equal((await eve.get(again)).status, where === 'in the session' ? 302 : 500)
  })
}
