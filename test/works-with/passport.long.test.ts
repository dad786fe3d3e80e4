/** @fastify/passport: what it keeps in the session, and that a sign-in begins a session with a new id. */
import { Authenticator } from '@fastify/passport'
import { Strategy } from 'passport-local'
import t, { type Test } from 'tap'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { type Driver, drivers } from '../http/each-driver.ts'
import { COOKIE, serve } from '../http/support.ts'

type Options = ConstructorParameters<typeof Authenticator>[0]

/** An application whose users sign in with their name as the password. */
async function application (t: Test, options: Options = {}, driver: Driver | undefined = drivers[0]) {
  const passport = new Authenticator(options)
  passport.use(new Strategy((name, password, done) => { done(null, name === password ? { name } : false, { type: 'error', message: `wrong password for ${name}` } as { message: string }) }))
  passport.registerUserSerializer(async ({ name }: { name: string }) => name)
  passport.registerUserDeserializer(async (name: string) => ({ name }))
  const app = await serve(t, async app => {
    await app.register(passport.initialize())
    await app.register(passport.secureSession())
    const common = { successReturnToOrRedirect: '/', failureRedirect: '/login', failureMessage: true, failureFlash: true } as const
    app.post('/login', { preValidation: passport.authenticate('local', common) }, async () => 'in')
    app.post('/login/keep', { preValidation: passport.authenticate('local', { ...common, keepSessionInfo: true }) }, async () => 'in')
    app.post('/login/json', { preValidation: passport.authenticate('local', { successMessage: 'welcome', successFlash: 'hello' }) }, async req => req.user)
    app.post('/logout', async req => { await req.logOut(); return 'out' })
    app.get('/', async req => ({ user: req.user ?? null, in: req.isAuthenticated() }))
    app.get('/all', async () => session().all())
    app.get('/messages', async (req, reply) => ({ messages: req.session.messages, flash: reply.flash('error') }))
    app.get('/put', async req => { Object.assign(req.session, { cart: ['tea'], returnTo: '/cart' }); return 'put' })
    app.get('/token', async () => session().token())
  }, await driver?.options(t))
  return { app, ada: visitor(app), eve: visitor(app) }
}

const as = (name: string, password = name) => ({ username: name, password })

for (const driver of drivers) {
  t.test(`${driver.name}: two visitors sign in, are who they are, and sign out`, { skip: driver.skip }, async t => {
    const { app, ada, eve } = await application(t, {}, driver)
    t.equal((await ada.post('/login', as('ada'))).headers.get('location'), '/')
    t.equal((await eve.post('/login', as('eve'))).headers.get('location'), '/')
    t.same((await ada.get('/')).json, { user: { name: 'ada' }, in: true })
    t.same((await eve.get('/')).json, { user: { name: 'eve' }, in: true })
    t.same((await visitor(app).get('/')).json, { user: null, in: false })
    await ada.post('/logout')
    t.same((await ada.get('/')).json, { user: null, in: false })
    t.same((await eve.get('/')).json, { user: { name: 'eve' }, in: true })
  })
}

t.test('the cookies from before the sign-in and from before the sign-out are worth nothing', async t => {
  const { ada } = await application(t)
  await ada.get('/put')
  const before = ada.copy()
  await ada.post('/login', as('ada'))
  t.not(ada.cookies.get(COOKIE), before.cookies.get(COOKIE))
  t.same((await before.get('/')).json, { user: null, in: false })
  const signedIn = ada.copy()
  await ada.post('/logout')
  t.same((await signedIn.get('/')).json, { user: null, in: false })
})

t.test('a sign-in leaves nothing of the old session: neither its data nor its CSRF token', async t => {
  const { ada } = await application(t)
  await ada.get('/put')
  const { text: token } = await ada.get('/token')
  await ada.post('/login/json', as('ada'))
  t.same((await ada.get('/all')).json, { passport: 'ada' })
  t.not((await ada.get('/token')).text, token)
})

t.test('clearSessionIgnoreFields and keepSessionInfo name what a sign-in keeps', async t => {
  const { ada, eve } = await application(t, { clearSessionIgnoreFields: ['cart'] })
  await ada.get('/put')
  await ada.post('/login', as('ada'))
  t.same((await ada.get('/all')).json, { passport: 'ada', cart: ['tea'] })
  await eve.get('/put')
  const { text: token } = await eve.get('/token')
  const before = eve.cookies.get(COOKIE)
  t.equal((await eve.post('/login/keep', as('eve'))).headers.get('location'), '/cart')
  t.same((await eve.get('/all')).json, { passport: 'eve', cart: ['tea'] })
  t.not((await eve.get('/token')).text, token)
  t.not(eve.cookies.get(COOKIE), before)
})

t.test('clearSessionOnLogin: false keeps the data, under a new id all the same', async t => {
  const { ada } = await application(t, { clearSessionOnLogin: false })
  await ada.get('/put')
  const { text: token } = await ada.get('/token')
  const before = ada.copy()
  t.equal((await ada.post('/login', as('ada'))).headers.get('location'), '/cart')
  t.same((await ada.get('/all')).json, { passport: 'ada', cart: ['tea'] })
  t.not((await ada.get('/token')).text, token)
  t.same((await before.get('/')).json, { user: null, in: false })
  await ada.post('/logout')
  t.same((await ada.get('/all')).json, { cart: ['tea'] })
})

t.test('messages of a successful sign-in are kept where they are named', async t => {
  const { ada, eve } = await application(t, { clearSessionIgnoreFields: ['messages', 'flash'] })
  await ada.post('/login/json', as('ada'))
  t.same((await ada.get('/all')).json, { passport: 'ada', messages: ['welcome'], flash: { success: ['hello'] } })
  await eve.post('/login/json', as('eve'))
  t.same((await eve.get('/all')).json, { passport: 'eve', messages: ['welcome'], flash: { success: ['hello'] } })
})

t.test('returnTo is kept where it is named, and forgotten once it was used', async t => {
  const { ada } = await application(t, { clearSessionIgnoreFields: ['returnTo'] })
  await ada.get('/put')
  t.equal((await ada.post('/login', as('ada'))).headers.get('location'), '/cart')
  t.equal((await ada.post('/login', as('ada'))).headers.get('location'), '/')
})

t.test('messages of a failed sign-in are those of this visitor', async t => {
  const { ada, eve } = await application(t)
  t.equal((await ada.post('/login', as('ada', 'guess'))).headers.get('location'), '/login')
  await ada.post('/login', as('ada', 'guess'))
  t.same((await eve.get('/messages')).json, { flash: [] })
  const twice = ['wrong password for ada', 'wrong password for ada']
  t.same((await ada.get('/messages')).json, { messages: twice, flash: twice })
  t.same((await ada.get('/messages')).json, { messages: twice, flash: [] })
})
