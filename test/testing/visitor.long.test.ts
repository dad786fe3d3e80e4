/** Visitors of an application that is tested, as the application's own tests use them. */
import { AssertionError } from 'node:assert'
import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import ambientSession, { csrfField, MemoryStore, session, SessionConfigError, SessionEndedError, type SessionOptions, SessionUsageError } from '../../src/index.ts'
import { visitor, type Visitor, type VisitorOptions } from '../../src/testing.ts'
import { drivers } from '../http/each-driver.ts'
import { cert, key } from '../helpers/tls.ts'
import { Clock } from '../http/support.ts'

const SECRET = 'a secret that is long enough for all of this'

async function shop (t: Test, options: SessionOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false, ...options })
  await app.register(formbody)
  await app.register(multipart, { attachFieldsToBody: 'keyValues' })
  app.get('/profile', () => ({ user: session().userId ?? null, cart: session('cart', []) }))
  app.post('/cart', ({ body }) => {
    session().push('cart', (body as { item: string }).item)
    return session('cart')
  })
  app.get('/form', (_req, reply) => reply.type('text/html').send('<form>'))
  app.post('/form', (req, reply) => {
    session().flash({ errors: { email: ['The email is missing.', 'The email is too short.'] }, notice: 'Try again' })
    session().flashInput(req.body)
    return reply.redirect('/form/again?now=1', 303)
  })
  app.get('/form/again', (req, reply) => reply.type('text/html').send(`${req.url} ${session('notice', 'nothing')}`))
  app.post('/login', ({ body }) => {
    session().regenerate()
    session().setUser('ada')
    if ((body as { remember?: string }).remember !== undefined) session().setLifetime(60 * 24 * 30, { persistent: true })
    return {}
  })
  app.post('/logout', () => {
    session().invalidate()
    return {}
  })
  app.all('/echo', ({ method, headers, body, protocol, host }) => ({ method, headers, body, protocol, host }))
  return app
}

const ways: ReadonlyArray<[name: string, options: VisitorOptions]> = [['inject', {}], ['sockets', { socket: true }]]
const plain = drivers.map(({ name, skip, options }) => ({ name, skip, options, more: {} }))
const kept = drivers.find(({ name }) => name === 'file')?.options ?? (() => ({}))
const everyKind = [
  ...plain,
  { name: 'memory, secret', skip: false as const, options: () => ({ secret: SECRET }), more: {} },
  { name: 'file, secret and encrypt', skip: false as const, options: kept, more: { secret: [SECRET, `another ${SECRET}`], encrypt: true } }
]

for (const { name, skip, options, more } of everyKind) {
  for (const [way, visit] of ways) {
    t.test(`${name}, over ${way}`, { skip }, async t => {
      const app = await shop(t, { ...await Promise.resolve(options(t)), ...more })

      await t.test('a visitor keeps its session from request to request, and another has one of its own', async t => {
        const [ada, bob] = [visitor(app, visit), visitor(app, visit)]
        await ada.post('/cart', { item: 'pen' })
        await ada.post('/cart', { item: 'ink' })
        t.same((await ada.get('/profile')).json(), { user: null, cart: ['pen', 'ink'] })
        t.same((await bob.get('/profile')).json(), { user: null, cart: [] })
      })

      await t.test('a visit begins with a user and with data', async t => {
        const ada = visitor(app, visit).actingAs('ada').withSession({ cart: ['pen'] })
        t.same((await ada.get('/profile')).json(), { user: 'ada', cart: ['pen'] })
        await ada.post('/cart', { item: 'ink' })
        t.same((await ada.get('/profile')).json(), { user: 'ada', cart: ['pen', 'ink'] })
      })

      await t.test('what is stored can be read, as often as one likes', async t => {
        const ada = visitor(app, visit).actingAs(7)
        await ada.post('/form', new URLSearchParams({ email: 'a', password: 'secret' }))
        for (let n = 0; n < 2; n++) {
          const { exists, key, userId, data, flash, old, get, expiresAt } = await ada.session()
          t.equal(exists, true)
          t.match(key, /^[0-9a-f]{64}$/)
          t.equal(userId, '7')
          t.match(data, { notice: 'Try again' })
          t.same(Object.keys(flash).sort(), ['errors', 'notice'])
          t.same(old, { email: 'a' })
          t.equal(get('errors.email.1'), 'The email is too short.')
          t.ok(expiresAt !== undefined && expiresAt > new Date())
        }
      })

      await t.test('a session that was begun goes on in the middle of a visit', async t => {
        const ada = visitor(app, visit)
        await ada.post('/cart', { item: 'pen' })
        ada.actingAs('ada')
        t.same((await ada.get('/profile')).json(), { user: 'ada', cart: ['pen'] })
        await ada.post('/logout')
        t.equal((await ada.session()).exists, false)
        ada.withSession({ cart: ['new'] })
        t.same((await ada.get('/profile')).json(), { user: null, cart: ['new'] })
      })

      await t.test('requests at once begin one session', async t => {
        const ada = visitor(app, visit).actingAs('ada')
        const answers = await Promise.all(Array.from({ length: 5 }, () => ada.get('/profile')))
        t.same(answers.map(answer => answer.json()), Array.from({ length: 5 }, () => ({ user: 'ada', cart: [] })))
      })
    })
  }
}

for (const [way, visit] of ways) {
  t.test(`over ${way}`, async t => {
    const app = await shop(t)
    const echo = async (ada: Visitor, ...args: Parameters<Visitor['request']>): Promise<Record<string, unknown>> => (await ada.request(...args)).json()

    await t.test('bodies are JSON, forms, forms with files, texts and bytes', async t => {
      const ada = visitor(app, visit)
      t.match(await echo(ada, 'POST', '/echo', { a: [1] }), { body: { a: [1] }, headers: { 'content-type': 'application/json', accept: 'application/json' } })
      t.match(await echo(ada, 'PUT', '/echo', new URLSearchParams({ a: 'ä b' })), { method: 'PUT', body: { a: 'ä b' }, headers: { accept: /text\/html/ } })
      const form = new FormData()
      form.set('title', 'ä')
      form.set('file', new Blob(['content'], { type: 'text/plain' }), 'a.txt')
      t.match(await echo(ada, 'PATCH', '/echo', form), { body: { title: 'ä', file: { type: 'Buffer', data: [...Buffer.from('content')] } } })
      t.match(await echo(ada, 'POST', '/echo', 'text'), { body: 'text' })
      t.match(await echo(ada, 'POST', '/echo', new Blob(['text'], { type: 'text/plain' })), { body: 'text' })
      t.match(await ada.post('/echo', new Blob(['text'])), { status: 415 }, 'a Blob without a type has none')
      t.match(await ada.post('/echo', new Uint8Array([1])), { status: 415 }, 'bytes need a parser')
      t.match(await echo(ada, 'DELETE', '/echo'), { method: 'DELETE' })
    })

    await t.test('every method has a name', async t => {
      const ada = visitor(app, visit)
      const answers = await Promise.all([ada.get('/echo'), ada.post('/echo'), ada.put('/echo', {}), ada.patch('/echo', {}), ada.delete('/echo')])
      t.same(answers.map(answer => answer.json<{ method: string }>().method), ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'])
    })

    await t.test('headers are those of a browser, and can be others', async t => {
      const ada = visitor(app, visit)
      await ada.get('/form')
      const { headers, host, protocol } = await echo(ada, 'POST', '/echo', {}) as { headers: Record<string, string>, host: string, protocol: string }
      t.equal(headers.referer, `${protocol}://${host}/form`, 'the page before is of the same origin')
      t.equal(headers['sec-fetch-site'], 'same-origin')
      const other = await echo(ada, 'POST', '/echo', {}, { headers: { Referer: undefined, 'sec-fetch-site': 'cross-site', 'x-own': '1' } })
      t.match(other.headers, { 'sec-fetch-site': 'cross-site', 'x-own': '1' })
      t.notOk(Object.hasOwn(other.headers as object, 'referer'))
    })

    await t.test('redirects are followed on demand', async t => {
      const ada = visitor(app, visit)
      const answer = await ada.post('/form', new URLSearchParams())
      t.match(answer, { status: 303, location: '/form/again?now=1', url: '/form' })
      const page = await ada.post('/form', new URLSearchParams(), { follow: true })
      t.match(page, { status: 200, location: undefined, url: '/form/again?now=1', text: '/form/again?now=1 Try again' })
    })

    await t.test('a visitor goes nowhere else', async t => {
      await t.rejects(visitor(app, visit).get('https://example.org/'), SessionUsageError)
      await t.rejects(visitor(app, visit).get('//example.org/'), SessionUsageError)
      await t.rejects(visitor(app, visit).get('http://['), SessionUsageError)
    })

    await t.test('an answer has its text, its bytes and its JSON', async t => {
      const { text, bytes, json, headers } = await visitor(app, visit).get('/profile')
      t.equal(text, '{"user":null,"cart":[]}')
      t.equal(bytes.toString(), text)
      t.same(json(), { user: null, cart: [] })
      t.match(headers.get('content-type'), 'application/json')
    })
  })
}

t.test('redirects', async t => {
  const app = await shop(t)
  app.post('/again', (_req, reply) => reply.redirect('/echo', 307))
  app.delete('/moved', (_req, reply) => reply.redirect('/echo', 302))
  app.post('/moved', (_req, reply) => reply.redirect('/echo', 302))
  app.put('/moved', (_req, reply) => reply.redirect('/echo', 303))
  app.get('/away', (_req, reply) => reply.redirect('https://example.org/'))
  app.get('/round', (_req, reply) => reply.redirect('/round'))
  app.get('/below/it', (_req, reply) => reply.redirect('it/all?x=1'))
  app.get('/below/it/all', req => req.url)
  app.get('/nowhere', (_req, reply) => reply.code(302).send())
  app.get('/broken', (_req, reply) => reply.code(302).header('location', 'http://[').send())
  const ada = visitor(app)
  t.match(await ada.get('/nowhere', { follow: true }), { status: 302, location: undefined }, 'one that leads nowhere is the answer')
  t.match(await ada.get('/broken', { follow: true }), { status: 302, location: 'http://[' }, 'and so is one that is no URL')
  t.match((await ada.post('/again', { a: 1 }, { follow: true })).json(), { method: 'POST', body: { a: 1 } }, '307 repeats the request')
  t.match((await ada.delete('/moved', undefined, { follow: true })).json(), { method: 'DELETE' }, '302 changes the method of POST alone')
  t.match((await ada.post('/moved', { a: 1 }, { follow: true })).json(), { method: 'GET' })
  t.match((await ada.put('/moved', { a: 1 }, { follow: true })).json(), { method: 'GET' }, '303 is for GET')
  t.match(await ada.get('/away', { follow: true }), { status: 302, location: 'https://example.org/' }, 'not to other servers')
  t.match(await ada.get('/below/it', { follow: true }), { text: '/below/it/all?x=1' }, 'relative ones count from where they are')
  await t.rejects(ada.get('/round', { follow: true }), { message: 'GET /round was redirected 20 times, and now to /round' })
})

t.test('the URL of a server will do for requests, and cannot reach what is stored', async t => {
  const app = await shop(t)
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const ada = visitor(url)
  await ada.post('/cart', { item: 'pen' })
  t.match((await ada.get('/profile')).json(), { cart: ['pen'] })
  await t.rejects(ada.session(), SessionUsageError)
  await t.rejects(visitor(url).actingAs('ada').get('/profile'), { message: /visitor\(app\)/ })
  t.equal((await visitor(app, { socket: true }).get('/profile')).status, 200, 'an application that listens goes on to')
})

t.test('what is stored is reached behind https as well', async t => {
  const app = Fastify({ https: { key, cert } })
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false, secure: 'auto' })
  const ada = visitor(app, { socket: true }).withSession({ cart: ['pen'] })
  t.same((await ada.session()).data, { cart: ['pen'] })
})

t.test('a change given as a function can be saved and given up as in a request', async t => {
  const app = await shop(t)
  let reloaded: Promise<void> | undefined
  const ada = visitor(app).withSession({ cart: ['pen'] }).withSession(session => {
    session.put('cart', [])
    reloaded = session.reload()
  })
  t.same((await ada.session()).data, {})
  await reloaded
})

t.test('a change given as a function has the name of the field in which the application looks for the token', async t => {
  let field = ''
  const app = await shop(t, { csrf: { field: 'shop_csrf' } })
  await visitor(app).withSession(session => { field = csrfField(session) }).session()
  t.match(field, /name="shop_csrf"/)
})

t.test('nothing can be put into a session that ends at that moment', async t => {
  const store = new MemoryStore()
  const app = await shop(t, { driver: store })
  const ada = visitor(app).withSession({ cart: ['pen'] })
  t.equal((await ada.session()).exists, true)
  ada.withSession(session => {
    session.put('cart', [])
    store.destroy(session.key, new Date(Date.now() + 60_000))
  })
  await t.rejects(ada.session(), SessionEndedError)
})

t.test('an application without sessions is named', async t => {
  await t.rejects(visitor(Fastify()).session(), SessionConfigError)
})

t.test('cookies', async t => {
  const app = await shop(t, { expireOnClose: true })
  app.get('/account/set', (_req, reply) => reply
    .header('set-cookie', ['all=1; Path=/; Secure', 'here=1', 'gone=1; Path=/; Max-Age=0', 'old=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT', 'soon=1; Path=/; Max-Age=60'])
    .send())
  const ada = visitor(app)
  await ada.get('/account/set')
  t.equal(await ada.cookieHeader(), 'all=1; soon=1')
  t.equal(await ada.cookieHeader('/account/x'), 'all=1; here=1; soon=1')
  t.equal(await ada.cookieHeader('/accounts'), 'all=1; soon=1')
  new Clock(t).advance(61)
  t.equal(await ada.cookieHeader(), 'all=1')
})

t.test('"remember me" outlives the browser', async t => {
  const app = await shop(t, { expireOnClose: true })
  const [ada, bob] = [visitor(app), visitor(app)]
  await ada.post('/login', new URLSearchParams({ remember: 'on' }))
  await bob.post('/login', new URLSearchParams({}))
  for (const one of [ada, bob]) one.closeBrowser()
  t.match((await ada.get('/profile')).json(), { user: 'ada' })
  t.match((await bob.get('/profile')).json(), { user: null })
  t.equal((await visitor(app).actingAs('ada').session()).userId, 'ada')
})

t.test('a function can put what data cannot', async t => {
  const app = await shop(t)
  const ada = visitor(app).withSession(session => { session.flash('notice', 'Saved') })
  t.same((await ada.session()).flash, { notice: 'Saved' })
  t.equal((await ada.get('/form/again')).text, '/form/again Saved')
  t.equal((await ada.get('/form/again')).text, '/form/again nothing')
})

t.test('assertions', async t => {
  const app = await shop(t)
  const ada = visitor(app).actingAs('ada').withSession({ cart: { items: ['pen'] }, seen: null, since: new Date(0) })
  await ada.post('/form', new URLSearchParams({ email: '' }))
  const fails = async (assertion: Promise<void>, message: RegExp): Promise<void> => {
    const error = await assertion.then(() => undefined, (error: unknown) => error as Error)
    t.type(error, AssertionError)
    t.match(error?.message, message)
    const id = /ambient_session=([^;]+)/.exec(await ada.cookieHeader())?.[1] ?? 'none'
    t.notMatch(error?.message, id)
  }

  await t.test('hold', async () => {
    await ada.assertSessionHas('cart')
    await ada.assertSessionHas('cart.items', ['pen'])
    await ada.assertSessionHas('cart', { items: ['pen'] })
    await ada.assertSessionHas('seen', null)
    await ada.assertSessionHas('since', new Date(0))
    await ada.assertSessionMissing('basket')
    await ada.assertSessionHasErrors('email')
    await ada.assertSessionHasErrors(['email'])
    await ada.assertSessionHasErrors({ email: 'The email is missing.' })
    await ada.assertSessionHasErrors({ email: /short/g })
  })

  await t.test('or name what differs', async () => {
    await fails(ada.assertSessionHas('basket'), /^the session has no 'basket': it has 'cart', 'seen', 'since', 'errors', 'notice'$/)
    await fails(ada.assertSessionHas('seen'), /^the session has no 'seen'/)
    await fails(ada.assertSessionHas('basket', ['pen']), /^the session has no 'basket'/)
    await fails(ada.assertSessionHas('cart.items', ['ink']), /^the session has another 'cart.items' than expected[^]*'pen'[^]*'ink'/)
    await fails(ada.assertSessionMissing('seen'), /^the session has 'seen', which is expected to be missing: null$/)
    await fails(ada.assertSessionHasErrors('name'), /^the session has no errors for 'name'; it has { email: \[/)
    await fails(ada.assertSessionHasErrors({ email: 'The email is taken.' }), /^the errors for 'email' have no 'The email is taken.'; they are \[/)
    await fails(ada.assertSessionHasErrors('email', 'login'), /^the session has no 'errors.login': it has 'cart'/)
    await fails(visitor(app).assertSessionHas('cart'), /^the session has no 'cart': the visitor has no session$/)
    await fails(visitor(app).actingAs('ada').assertSessionHas('cart'), /^the session has no 'cart': it is empty$/)
    await fails(visitor(app).assertSessionHasErrors('email'), /^the session has no 'errors': the visitor has no session$/)
  })

  await t.test('with the errors of one of several forms', async () => {
    const bob = visitor(app).withSession(session => { session.flash('errors', { login: { email: ['Who?'] } }) })
    await bob.assertSessionHasErrors('email', 'login')
    await fails(bob.assertSessionHasErrors('email'), /no errors for 'email'/)
  })

  await t.test('with what is actual and what was expected, for the runner to show', async t => {
    const error = await ada.assertSessionHas('cart.items', ['ink']).then(() => undefined, (error: unknown) => error)
    t.match(error, { code: 'ERR_ASSERTION', actual: ['pen'], expected: ['ink'] })
  })
})
