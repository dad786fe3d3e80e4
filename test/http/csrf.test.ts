/** Cross-site request forgery: which requests are refused, over whole requests as browsers and other clients send them. */
import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import ambientSession, { csrfField, csrfToken, hasSession, runWithSession, session, SessionCsrfError, type SessionOptions, SessionStoreError } from '../../src/index.ts'
import { type Answer, Connection, visitor, type Visitor } from '../helpers/client.ts'
import { COOKIE, Gate, listening, serve, type Teardown } from './support.ts'
import { SpyStore } from './stores.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const XSRF = 'XSRF-TOKEN'

function routes (app: FastifyInstance): void {
  app.get('/form', async () => csrfField())
  app.get('/token', async () => csrfToken())
  app.get('/raw', async () => session().token())
  app.post('/change', async () => 'changed')
  app.post('/regenerate', async () => {
    session().regenerate()
    return 'regenerated'
  })
  app.post('/sign-out', async () => {
    session().invalidate()
    return 'signed out'
  })
}

type More = (app: FastifyInstance) => unknown

async function serveShop (t: Teardown, options: SessionOptions = {}, more: More = () => {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  return await serve(t, async app => {
    await app.register(formbody)
    await more(app)
    routes(app)
  }, { csrf: true, ...options }, server)
}

function isRefused (t: Test, answer: Answer, message: RegExp): void {
  t.equal(answer.status, 419)
  t.match(answer.json, { statusCode: 419, code: 'ERR_SESSION_CSRF', message })
}

const MISSING = /brings no CSRF token.*csrfField\(\).*csrfToken\(\)/
const WRONG = /not that of the session.*Load the page again/
const OTHER_ORIGIN = /page of another origin.*csrf\.origins.*csrf: false/

// Where the browser says where the request comes from ------------------------------------------------------------------

t.test('a request that the browser calls same-origin, or none, passes without a token or a session', async t => {
  const app = await serveShop(t)
  for (const site of ['same-origin', 'none']) {
    const answer = await visitor(app).post('/change', {}, { 'sec-fetch-site': site })
    t.equal(answer.text, 'changed', site)
  }
})

t.test('a request from a page of an origin that is named passes without a token, and no other does', async t => {
  const app = await serveShop(t, { csrf: { origins: ['https://spa.example', 'https://admin.example:8443'] } })
  for (const site of [undefined, 'same-site', 'cross-site']) {
    const from = async (origin: string): Promise<Answer> => await visitor(app).post('/change', {}, { origin, ...site !== undefined && { 'sec-fetch-site': site } })
    for (const origin of ['https://spa.example', 'https://admin.example:8443']) t.equal((await from(origin)).text, 'changed', origin)
    for (const origin of ['https://evil.example', 'http://spa.example', 'https://spa.example.evil.example', 'https://admin.example', 'null', '']) {
      isRefused(t, await from(origin), site === undefined ? MISSING : OTHER_ORIGIN)
    }
  }
})

t.test('a request that the browser calls anything else is refused, whatever it brings', async t => {
  const app = await serveShop(t)
  const ada = visitor(app)
  const { text: token } = await ada.get('/token')
  for (const site of ['cross-site', 'same-site', 'same-origin, cross-site', 'Same-Origin', '']) {
    isRefused(t, await ada.post('/change', { _token: token }, { 'sec-fetch-site': site, 'x-csrf-token': token }), OTHER_ORIGIN)
  }
})

t.test('a request that another page sends is refused before its body is read, and its files are received by nobody', async t => {
  let received = 0
  const app = Fastify()
  t.teardown(() => app.close())
  // In front of the check, in the order of the hooks.
  await app.register(multipart, {
    attachFieldsToBody: 'keyValues',
    onFile: async part => {
      received++
      await part.toBuffer()
    }
  })
  await app.register(ambientSession, { driver: 'memory', csrf: true })
  app.post('/pictures', async () => 'stored')
  await listening(app)
  const form = new FormData()
  form.set('picture', new Blob(['png']), 'a.png')
  for (const site of ['cross-site', 'same-site']) isRefused(t, await visitor(app).post('/pictures', form, { 'sec-fetch-site': site }), OTHER_ORIGIN)
  t.equal(received, 0)
  t.equal((await visitor(app).post('/pictures', form, { 'sec-fetch-site': 'same-origin' })).text, 'stored')
  t.equal(received, 1)
})

t.test('a value of Sec-Fetch-Site that is none does not come back in the message', async t => {
  const app = await serveShop(t)
  const answer = await visitor(app).post('/change', {}, { 'sec-fetch-site': '<script>' })
  isRefused(t, answer, OTHER_ORIGIN)
  t.notMatch(answer.text, /script/)
})

t.test('a request that is judged by the browser\'s word does not read the session', async t => {
  const driver = new SpyStore(true)
  const app = await serveShop(t, { driver })
  const ada = visitor(app)
  await ada.get('/token')
  driver.takeCalls()
  await ada.post('/change', {}, { 'sec-fetch-site': 'same-origin' })
  t.same(driver.calls, [])
})

// Where it says nothing ------------------------------------------------------------------------------------------------

const carriers: Record<string, (ada: Visitor, token: string) => Promise<Answer>> = {
  'the field _token of a form': (ada, token) => ada.post('/change', new URLSearchParams({ _token: token })),
  'the member _token of JSON': (ada, token) => ada.post('/change', { _token: token }),
  'the header X-CSRF-TOKEN': (ada, token) => ada.post('/change', {}, { 'x-csrf-token': token }),
  'the header X-XSRF-TOKEN': (ada, token) => ada.post('/change', {}, { 'x-xsrf-token': token }),
  'a header, with no body at all': (ada, token) => ada.post('/change', undefined, { 'x-csrf-token': token })
}

for (const [carrier, send] of Object.entries(carriers)) {
  t.test(`the token is accepted in ${carrier}, masked and as it is`, async t => {
    const ada = visitor(await serveShop(t))
    const [masked, raw] = [(await ada.get('/token')).text, (await ada.get('/raw')).text]
    t.not(masked, raw)
    for (const token of [masked, raw]) t.equal((await send(ada, token)).text, 'changed')
  })
}

t.test('a right token in one place is enough', async t => {
  const ada = visitor(await serveShop(t))
  const { text: token } = await ada.get('/token')
  t.equal((await ada.post('/change', { _token: token }, { 'x-csrf-token': 'of another time' })).text, 'changed')
})

t.test('every method that is not safe is checked', async t => {
  const app = await serveShop(t, {}, app => {
    app.route({ method: ['PUT', 'PATCH', 'DELETE'], url: '/item', handler: async () => 'changed' })
  })
  for (const method of ['PUT', 'PATCH', 'DELETE']) isRefused(t, await visitor(app).send('/item', { method }), MISSING)
})

t.test('GET, HEAD, OPTIONS and TRACE are not checked, whatever the browser says', async t => {
  const app = await serveShop(t, {}, app => {
    app.addHttpMethod('TRACE')
    app.route({ method: ['GET', 'HEAD', 'OPTIONS', 'TRACE'], url: '/item', handler: async () => 'read' })
  })
  const connection = await Connection.open(app)
  for (const method of ['GET', 'OPTIONS', 'TRACE']) {
    connection.request(`${method} /item`, { 'sec-fetch-site': 'cross-site' })
    t.equal((await connection.answer()).status, 200, method)
  }
  t.equal((await visitor(app).send('/item', { method: 'HEAD', headers: { 'sec-fetch-site': 'cross-site' } })).status, 200)
  connection.hangUp()
})

t.test('a request without a session and without a token is refused, and begins no session', async t => {
  const answer = await visitor(await serveShop(t)).post('/change', {})
  isRefused(t, answer, MISSING)
  t.same(answer.setCookies, [])
})

t.test('a request to a URL that does not exist is checked as well, as its handler may do anything', async t => {
  const app = await serveShop(t)
  t.equal((await visitor(app).post('/nowhere', {})).status, 419)
  t.equal((await visitor(app).post('/nowhere', {}, { 'sec-fetch-site': 'same-origin' })).status, 404)
})

// Bad tokens -----------------------------------------------------------------------------------------------------------

const wrong: Record<string, unknown> = {
  'a text that is none': 'guessed',
  '40 other characters': 'x'.repeat(40),
  'as many characters as a masked token has': 'x'.repeat(107),
  'as many characters, of which none is base64': '~'.repeat(107),
  'ten kilobytes': 'x'.repeat(10 * 1024),
  'a list': ['a', 'b'],
  'an object': { value: 'a' },
  'a number': 42,
  null: null,
  true: true
}

for (const [what, token] of Object.entries(wrong)) {
  t.test(`${what} for a token is refused`, async t => {
    const ada = visitor(await serveShop(t))
    await ada.get('/token')
    isRefused(t, await ada.post('/change', { _token: token }), WRONG)
  })
}

t.test('the token in a list is refused', async t => {
  const ada = visitor(await serveShop(t))
  const { text: token } = await ada.get('/token')
  isRefused(t, await ada.post('/change', { _token: [token] }), WRONG)
  isRefused(t, await ada.post('/change', `_token=${token}&_token=${token}`, FORM), WRONG)
})

t.test('a header that is sent twice is refused', async t => {
  const app = await serveShop(t)
  const ada = visitor(app)
  const { text: token } = await ada.get('/token')
  const connection = await Connection.open(app)
  connection.socket.write(`POST /change HTTP/1.1\r\nhost: x\r\ncookie: ${ada.cookieHeader}\r\nx-csrf-token: ${token}\r\nx-csrf-token: ${token}\r\ncontent-length: 0\r\n\r\n`)
  t.equal((await connection.answer()).status, 419)
  connection.hangUp()
})

t.test('ten kilobytes in a header are refused', async t => {
  isRefused(t, await visitor(await serveShop(t)).post('/change', {}, { 'x-csrf-token': 'x'.repeat(10 * 1024) }), WRONG)
})

t.test('an empty token is a missing one', async t => {
  isRefused(t, await visitor(await serveShop(t)).post('/change', { _token: '' }, { 'x-csrf-token': '' }), MISSING)
})

t.test('the token of another session is refused', async t => {
  const app = await serveShop(t)
  const [ada, bob] = [visitor(app), visitor(app)]
  await ada.get('/token')
  isRefused(t, await ada.post('/change', { _token: (await bob.get('/token')).text }), WRONG)
})

t.test('the token from before a new id is refused, and the new one accepted', async t => {
  const ada = visitor(await serveShop(t))
  const { text: old } = await ada.get('/token')
  t.equal((await ada.post('/regenerate', { _token: old })).text, 'regenerated')
  isRefused(t, await ada.post('/change', { _token: old }), WRONG)
  t.equal((await ada.post('/change', { _token: (await ada.get('/token')).text })).text, 'changed')
})

t.test('the token of a session that was signed out is refused', async t => {
  const ada = visitor(await serveShop(t))
  const { text: token } = await ada.get('/token')
  const otherTab = ada.copy()
  await ada.post('/sign-out', { _token: token })
  isRefused(t, await otherTab.post('/change', { _token: token }), WRONG)
})

t.test('a request with the cookie from before a new id is refused, with either token', async t => {
  const ada = visitor(await serveShop(t))
  const { text: old } = await ada.get('/token')
  const behind = ada.copy()
  await ada.post('/regenerate', { _token: old })
  const { text: young } = await ada.get('/token')
  for (const token of [old, young]) isRefused(t, await behind.post('/change', { _token: token }), WRONG)
})

t.test('the cookie with the token is no token', async t => {
  const ada = visitor(await serveShop(t))
  await ada.get('/token')
  t.ok(ada.cookies.has(XSRF))
  isRefused(t, await ada.post('/change', {}), MISSING)
})

// Pages ----------------------------------------------------------------------------------------------------------------

t.test('a form for a guest begins a session, and can be sent', async t => {
  const ada = visitor(await serveShop(t))
  const { text: field } = await ada.get('/form')
  const [, token = ''] = /^<input type="hidden" name="_token" value="([\w-]+)">$/.exec(field) ?? []
  t.ok(ada.cookies.has(COOKIE))
  t.equal((await ada.post('/change', new URLSearchParams({ _token: token }))).text, 'changed')
})

t.test('a page that was fetched in advance has a token that is good later', async t => {
  const ada = visitor(await serveShop(t))
  const { text: token } = await ada.get('/token', { 'sec-purpose': 'prefetch' })
  t.equal((await ada.post('/change', { _token: token })).text, 'changed')
})

t.test('each page has the token in another form', async t => {
  const ada = visitor(await serveShop(t))
  const pages = [(await ada.get('/token')).text, (await ada.get('/token')).text, (await ada.get('/token')).text]
  t.equal(new Set(pages).size, 3)
  t.equal(new Set(pages.map(page => page.slice(-20))).size, 3)
  t.equal((await ada.get('/raw')).text, (await ada.get('/raw')).text)
})

t.test('the name of the field is escaped', async t => {
  const app = await serveShop(t, { csrf: { field: '"><script>&' } })
  t.match((await visitor(app).get('/form')).text, /^<input type="hidden" name="&#34;&#62;&#60;script&#62;&#38;" value="[\w-]+">$/)
})

t.test('outside of a request the field has the name of the options, and its token is good in one', async t => {
  const app = await serveShop(t, { csrf: { field: 'shop_csrf' } })
  const ada = visitor(app)
  await ada.get('/token')
  for (const field of [() => csrfField(), () => csrfField(session())]) {
    const [, token] = /name="shop_csrf" value="([\w-]+)"/.exec(await runWithSession({ app, cookie: ada.cookieHeader }, field)) ?? []
    t.equal((await ada.post('/change', { shop_csrf: token })).text, 'changed')
  }
})

t.test('a read-only route checks the token, and gives the one that there is', async t => {
  const readonly = { config: { session: { readonly: true } } }
  const ada = visitor(await serveShop(t, {}, app => {
    app.get('/page', readonly, async () => csrfToken())
    app.post('/search', readonly, async () => 'found')
  }))
  t.match((await ada.get('/page')).json, { code: 'ERR_SESSION_READONLY' })
  await ada.get('/token')
  t.equal((await ada.post('/search', { _token: (await ada.get('/page')).text })).text, 'found')
  isRefused(t, await ada.post('/search', { _token: 'guessed' }), WRONG)
})

t.test('without the option csrf, the helpers give tokens that hasToken() accepts, and nothing is checked', async t => {
  const ada = visitor(await serveShop(t, { csrf: false }, app => {
    app.post<{ Body: { _token: string } }>('/own', async req => session().hasToken(req.body._token))
  }))
  t.equal((await ada.post('/own', { _token: (await ada.get('/token')).text })).json, true)
  t.match((await ada.get('/form')).text, /name="_token"/)
  t.equal((await ada.post('/change', {}, { 'sec-fetch-site': 'cross-site' })).text, 'changed')
  t.notOk(ada.cookies.has(XSRF))
})

t.test('a request that is refused ages no flash data', async t => {
  const ada = visitor(await serveShop(t, {}, app => {
    app.get('/flash', async () => { session().flash('status', 'saved') })
    app.get('/status', async () => session('status', 'none'))
  }))
  await ada.get('/token')
  await ada.get('/flash')
  isRefused(t, await ada.post('/change', { _token: 'guessed' }), WRONG)
  t.equal((await ada.get('/status')).text, 'saved')
})

// The cookie for scripts -----------------------------------------------------------------------------------------------

/** What axios and Angular do: the cookie's value goes into the header. */
function sendAsAxios (ada: Visitor, path: string): Promise<Answer> {
  return ada.post(path, {}, { 'x-xsrf-token': decodeURIComponent(ada.cookies.get(XSRF) ?? '') })
}

t.test('axios and Angular find the token in a cookie that scripts can read, and the cookie follows the token', async t => {
  const ada = visitor(await serveShop(t))
  const { setCookies } = await ada.get('/form')
  const [own, forScripts] = [COOKIE, XSRF].map(name => setCookies.find(cookie => cookie.name === name))
  const { httponly, ...shared } = own?.attributes ?? {}
  t.equal(httponly, true)
  t.same(forScripts?.attributes, shared)
  t.equal((await sendAsAxios(ada, '/change')).text, 'changed')
  t.equal((await sendAsAxios(ada, '/regenerate')).text, 'regenerated')
  t.equal((await sendAsAxios(ada, '/change')).text, 'changed')
  t.equal((await sendAsAxios(ada, '/sign-out')).text, 'signed out')
  t.same([...ada.cookies.keys()], [])
})

t.test('the cookie is not sent again while the browser has it', async t => {
  const ada = visitor(await serveShop(t))
  await ada.get('/form')
  t.same((await ada.get('/form')).setCookies, [])
  ada.cookies.set(XSRF, 'another')
  t.same((await ada.get('/form')).setCookies.map(({ name }) => name), [XSRF, COOKIE])
})

t.test('nor is it while another application has one of its name on the parent domain, which stays there', async t => {
  const app = await serveShop(t)
  const ada = visitor(app)
  await ada.get('/form')
  const [own, of] = [ada.cookies.get(XSRF) ?? '', `${COOKIE}=${ada.cookies.get(COOKIE) ?? ''}`]
  const both = await visitor(app).get('/form', { cookie: `${of}; ${XSRF}=another; ${XSRF}=${own}` })
  t.equal(both.status, 200)
  t.same(both.setCookies, [])
  const foreign = await visitor(app).get('/form', { cookie: `${of}; ${XSRF}=another` })
  t.same(foreign.setCookies.map(({ name }) => name), [XSRF, COOKIE])
})

t.test('a session without a token sends no such cookie', async t => {
  const ada = visitor(await serveShop(t, {}, app => { app.get('/put', async () => { session().put('a', 1) }) }))
  t.same((await ada.get('/put')).setCookies.map(({ name }) => name), [COOKIE])
})

t.test('the cookie has another name, or is not there', async t => {
  t.same((await visitor(await serveShop(t, { csrf: { cookie: 'csrf' } })).get('/form')).setCookies.map(({ name }) => name).toSorted(), [COOKIE, 'csrf'])
  t.same((await visitor(await serveShop(t, { csrf: { cookie: false } })).get('/form')).setCookies.map(({ name }) => name), [COOKIE])
})

t.test('a session in the browser has its token there as well', async t => {
  const ada = visitor(await serveShop(t, { driver: 'cookie', secret: 'a secret that is long enough for the cookie driver' }))
  await ada.get('/form')
  t.equal((await sendAsAxios(ada, '/change')).text, 'changed')
  t.equal((await ada.post('/change', {}, { 'x-csrf-token': 'guessed' })).status, 419)
})

// Multipart ------------------------------------------------------------------------------------------------------------

function upload (token?: string): FormData {
  const form = new FormData()
  if (token !== undefined) form.append('_token', token)
  form.append('photo', new Blob(['pixels'], { type: 'image/png' }), 'photo.png')
  return form
}

for (const attachFieldsToBody of [true, 'keyValues'] as const) {
  t.test(`a form with an upload, read with attachFieldsToBody: ${attachFieldsToBody}, is checked`, async t => {
    const ada = visitor(await serveShop(t, {}, app => app.register(multipart, { attachFieldsToBody })))
    const { text: token } = await ada.get('/token')
    t.equal((await ada.post('/change', upload(token))).text, 'changed')
    isRefused(t, await ada.post('/change', upload()), MISSING)
    isRefused(t, await ada.post('/change', upload('guessed')), WRONG)
    const twice = upload(token)
    twice.append('_token', token)
    isRefused(t, await ada.post('/change', twice), WRONG)
    const asFile = upload()
    asFile.append('_token', new Blob([token]), 'token.txt')
    isRefused(t, await ada.post('/change', asFile), WRONG)
  })
}

t.test('a form with an upload is checked although another plugin puts its hooks in the place of those of a route', async t => {
  const ada = visitor(await serveShop(t, {}, async app => {
    await app.register(multipart, { attachFieldsToBody: true })
    app.addHook('onRoute', route => { route.preValidation = async () => {} })
  }))
  t.equal((await ada.post('/change', upload((await ada.get('/token')).text))).text, 'changed')
  isRefused(t, await ada.post('/change', upload()), MISSING)
})

t.test('a form that is read in the handler passes by the browser\'s word or a header, and else is refused with what to write', async t => {
  const ada = visitor(await serveShop(t, {}, async app => {
    await app.register(multipart)
    app.post('/upload', async req => (await req.file())?.filename)
  }))
  const { text: token } = await ada.get('/token')
  t.equal((await ada.post('/upload', upload(), { 'sec-fetch-site': 'same-origin' })).text, 'photo.png')
  t.equal((await ada.post('/upload', upload(), { 'x-csrf-token': token })).text, 'photo.png')
  isRefused(t, await ada.post('/upload', upload(token)), /attachFieldsToBody.*session: \{ csrf: false \}.*hasToken/)
})

t.test('a handler that reads the form itself can check the token itself', async t => {
  const ada = visitor(await serveShop(t, {}, async app => {
    await app.register(multipart)
    app.post('/upload', { config: { session: { csrf: false } } }, async req => {
      for await (const part of req.parts()) {
        if (part.type === 'field' && part.fieldname === '_token' && !session().hasToken(part.value)) throw new SessionCsrfError('not ours')
        if (part.type === 'file') await part.toBuffer()
      }
      return 'uploaded'
    })
  }))
  t.equal((await ada.post('/upload', upload((await ada.get('/token')).text))).text, 'uploaded')
  t.equal((await ada.post('/upload', upload('guessed'))).status, 419)
})

// In the way of a request ----------------------------------------------------------------------------------------------

t.test('the check comes before validation, and before the application\'s own hooks of its kind', async t => {
  const seen: string[] = []
  const ada = visitor(await serveShop(t, {}, app => {
    app.addHook('preValidation', async () => { seen.push('preValidation') })
    app.post('/order', { schema: { body: { type: 'object', required: ['amount'] } } }, async () => 'ordered')
  }))
  isRefused(t, await ada.post('/order', {}), MISSING)
  t.same(seen, [])
  t.equal((await ada.post('/order', {}, { 'sec-fetch-site': 'same-origin' })).status, 400)
})

t.test('routes of plugins that are encapsulated are checked', async t => {
  const app = await serveShop(t, {}, app => app.register(async child => { child.post('/inner', async () => 'changed') }, { prefix: '/child' }))
  isRefused(t, await visitor(app).post('/child/inner', {}), MISSING)
})

t.test('an error handler sees the error, and the session with it', async t => {
  const app = await serveShop(t, {}, app => {
    app.setErrorHandler((error, _request, reply) => reply.code(419).send(`${error instanceof SessionCsrfError}: ${session('name', 'stranger')}`))
    app.get('/name', async () => { session().put('name', 'Ada') })
  })
  const ada = visitor(app)
  await ada.get('/name')
  t.equal((await ada.post('/change', {})).text, 'true: Ada')
})

t.test('a token that cannot be compared because the store fails is a 503', async t => {
  const driver = new SpyStore(true)
  const ada = visitor(await serveShop(t, { driver }))
  const { text: token } = await ada.get('/token')
  driver.read = () => { throw new SessionStoreError('the disk is gone') }
  t.equal((await ada.post('/change', { _token: token })).status, 503)
})

// What is not checked --------------------------------------------------------------------------------------------------

t.test('a route turns the check off', async t => {
  const app = await serveShop(t, {}, app => {
    app.post('/hook', { config: { session: { csrf: false } } }, async () => hasSession())
  })
  t.equal((await visitor(app).post('/hook', {}, { 'sec-fetch-site': 'cross-site' })).json, true)
})

t.test('a route cannot turn on what the plugin does not check', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory' })
  t.throws(() => app.post('/x', { config: { session: { csrf: true as false } } }, async () => 'x'),
    { code: 'ERR_SESSION_CONFIG', message: /POST \/x: csrf: expected false, got true; the option csrf of the plugin/ })
})

t.test('paths in `except` are not checked: one as it is, or with * at its end all that begin so', async t => {
  const app = await serveShop(t, { csrf: { except: ['/hook', '/hooks/*'] } }, app => {
    for (const url of ['/hook', '/hook/x', '/hooks/*', '/Hook']) app.post(url, async () => 'called')
  })
  const statusOf = async (path: string): Promise<number> => (await visitor(app).post(path, {})).status
  for (const path of ['/hook', '/hook?a=/b', '/hooks/', '/hooks/stripe/paid', '/hooks/a?b']) t.equal(await statusOf(path), 200, path)
  for (const path of ['/hook/x', '/Hook', '/change', '/change?/hook', '/change?x=/hooks/']) t.equal(await statusOf(path), 419, path)
})

t.test('a route without a session is not checked: it cannot know the visitor', async t => {
  const app = await serveShop(t, {}, app => { app.post('/health', { config: { session: false } }, async () => 'fine') })
  t.equal((await visitor(app).post('/health', {}, { 'sec-fetch-site': 'cross-site' })).text, 'fine')
})

t.test('a request outside of the option path is not checked, and one inside is', async t => {
  const app = await serveShop(t, { path: '/app' }, app => { app.post('/app/change', async () => 'changed') })
  t.equal((await visitor(app).post('/change', {})).text, 'changed')
  isRefused(t, await visitor(app).post('/app/change', {}), MISSING)
})

t.test('a route inside of the option path is checked in every spelling of its URL, also in those that have no session', async t => {
  const routerOptions = { caseSensitive: false, ignoreDuplicateSlashes: true }
  const app = await serveShop(t, { path: '/app/caf%C3%A9' }, app => { app.post('/app/café/change', async () => 'changed') }, { routerOptions })
  for (const path of ['/%61pp/caf%C3%A9/change', '/APP/caf%C3%A9/change', '/app//caf%C3%A9/change', '/app/caf%c3%a9/change']) {
    isRefused(t, await visitor(app).post(path, {}), /cannot be checked: .*outside of the option path/)
    isRefused(t, await visitor(app).post(path, {}, { 'sec-fetch-site': 'cross-site' }), OTHER_ORIGIN)
    t.equal((await visitor(app).post(path, {}, { 'sec-fetch-site': 'same-origin' })).text, 'changed', path)
  }
})

t.test('outside of the option path, a route is checked where its pattern also stands for URLs inside, and where none was found', async t => {
  const app = await serveShop(t, { path: '/app' }, app => {
    for (const url of ['/:section/edit', '/ap*', '/app-:name', '/apple/:x', '/']) app.post(url, async () => 'changed')
    app.post('/:section/hook', { config: { session: { csrf: false } } }, async () => 'changed')
  })
  const statusOf = async (path: string): Promise<number> => (await visitor(app).post(path, {})).status
  for (const path of ['/other/edit', '/apx', '/nowhere/at/all']) t.equal(await statusOf(path), 419, path)
  for (const path of ['/app-x', '/apple/x', '/', '/other/hook']) t.equal(await statusOf(path), 200, path)
})

t.test('a request whose target is a whole URL is inside of the option path, or excepted, by its path', async t => {
  const app = await serve(t, app => {
    app.post('/app/change', async () => 'changed')
    app.post('/app/hook', async () => 'called')
    app.get('/app/count', async () => String(session().increment('n')))
  }, { path: '/app', csrf: { except: ['/app/hook'] } })
  const connection = await Connection.open(app)
  const answerTo = async (line: string): Promise<string> => {
    connection.request(line, { 'content-length': '0' })
    return (await connection.answer()).body
  }
  t.equal(await answerTo('GET http://shop.example/app/count'), '1')
  t.match(await answerTo('POST http://shop.example/app/change'), MISSING)
  t.match(await answerTo('POST http://shop.example?/app/change'), /cannot be checked/)
  t.equal(await answerTo('POST http://shop.example/app/hook'), 'called')
  connection.hangUp()
})

t.test('other headers and another field are looked at where the options say so, and those by default are not', async t => {
  const ada = visitor(await serveShop(t, { csrf: { headers: ['X-Shop-Token'], field: 'csrf' } }))
  const { text: token } = await ada.get('/token')
  t.match((await ada.get('/form')).text, /name="csrf"/)
  t.equal((await ada.post('/change', {}, { 'x-shop-token': token })).text, 'changed')
  t.equal((await ada.post('/change', { csrf: token })).text, 'changed')
  isRefused(t, await ada.post('/change', { _token: token }, { 'x-csrf-token': token }), /field csrf, or send csrfToken\(\) in the header X-Shop-Token/)
})

t.test('the field of the token is left out of old input, whatever its name', async t => {
  const ada = visitor(await serveShop(t, { csrf: { field: 'shop_csrf' } }, app => {
    app.post('/keep', async req => { session().flashInput(req.body) })
    app.get('/old', async () => session().old())
  }))
  const { text: token } = await ada.get('/token')
  await ada.post('/keep', { shop_csrf: token, name: 'Ada' })
  t.same((await ada.get('/old')).json, { name: 'Ada' })
})

// WebSockets -----------------------------------------------------------------------------------------------------------

async function serveSockets (t: Teardown, options: SessionOptions = {}, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  return await serveShop(t, options, async app => {
    await app.register(websocket)
    app.get('/live', { websocket: true }, () => {})
    app.get('/open', { websocket: true, config: { session: { csrf: false } } }, () => {})
  }, server)
}

async function handshake (app: FastifyInstance, headers: Record<string, string>, path = '/live'): Promise<number> {
  const connection = await Connection.open(app)
  connection.request(`GET ${path}`, {
    host: 'shop.example', connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', ...headers
  })
  const { status } = await connection.answer()
  connection.hangUp()
  return status
}

t.test('a WebSocket is opened by pages of the application, and by clients that are no browsers', async t => {
  const app = await serveSockets(t)
  t.equal(await handshake(app, {}), 101)
  for (const origin of ['http://shop.example', 'https://shop.example']) t.equal(await handshake(app, { origin }), 101, origin)
  t.equal(await handshake(app, { origin: 'http://shop.example:8080', host: 'Shop.example:8080' }), 101)
  t.equal(await handshake(app, { origin: 'https://shop.example', host: 'shop.example:443' }), 101, 'with the port that it has by default')
  t.equal(await handshake(app, { 'sec-fetch-site': 'same-origin', origin: 'http://elsewhere.example' }), 101)
})

t.test('a WebSocket is opened by pages of an origin that is named', async t => {
  const app = await serveSockets(t, { csrf: { origins: ['https://spa.example'] } })
  for (const site of [{}, { 'sec-fetch-site': 'cross-site' }]) t.equal(await handshake(app, { ...site, origin: 'https://spa.example' }), 101)
  t.equal(await handshake(app, { origin: 'https://evil.example' }), 419)
})

t.test('a WebSocket is not opened by pages of other origins', async t => {
  const app = await serveSockets(t)
  for (const origin of ['http://evil.example', 'http://evil.shop.example', 'http://shop.example:81', 'http://shop.example.evil.example', 'null', '', 'shop.example']) {
    t.equal(await handshake(app, { origin }), 419, origin)
  }
  for (const site of ['same-site', 'cross-site']) t.equal(await handshake(app, { 'sec-fetch-site': site, origin: 'http://shop.example' }), 419, site)
  t.equal(await handshake(app, { upgrade: 'WebSocket', origin: 'http://evil.example' }), 419)
})

t.test('a WebSocket behind a trusted proxy is opened by pages of the host that the proxy names', async t => {
  const app = await serveSockets(t, {}, { trustProxy: true })
  t.equal(await handshake(app, { host: 'backend', 'x-forwarded-host': 'shop.example', origin: 'https://shop.example' }), 101)
  t.equal(await handshake(app, { host: 'shop.example', 'x-forwarded-host': 'other.example', origin: 'https://shop.example' }), 419)
})

t.test('a WebSocket is opened by every page where its route, or `except`, turns the check off, and without the option', async t => {
  t.equal(await handshake(await serveSockets(t), { origin: 'http://evil.example' }, '/open'), 101)
  t.equal(await handshake(await serveSockets(t, { csrf: { except: ['/live'] } }), { origin: 'http://evil.example' }), 101)
  t.equal(await handshake(await serveSockets(t, { csrf: false }), { origin: 'http://evil.example' }), 101)
})

t.test('an application that takes tokens from no header is not told to send one', async t => {
  const app = await serveShop(t, { csrf: { headers: [] } })
  const answer = await visitor(app).post('/change', {})
  isRefused(t, answer, /csrfField\(\) into the form, which is the field _token\. If it is not sent by a browser/)
})

t.test('of two requests at once that make the first token, both tell the browser the one that is stored', async t => {
  const gate = new Gate()
  const app = await serveShop(t, {}, app => {
    app.post('/begin', { config: { session: { csrf: false } } }, async () => { session({ visits: 1 }) })
    app.get('/slow', async () => { const token = session().token(); await gate.pass(); return token })
  })
  const ada = visitor(app)
  await ada.post('/begin')
  const late = visitor(app)
  for (const [name, value] of ada.cookies) late.cookies.set(name, value)
  const slow = late.get('/slow')
  await gate.reached
  await ada.get('/form')
  gate.open()
  await slow
  t.equal(late.cookies.get(XSRF), ada.cookies.get(XSRF))
})

t.test('a read-only route does not move the expiry for the sake of the token\'s cookie', async t => {
  const app = await serveShop(t, {}, app => {
    app.get('/poll', { config: { session: { readonly: true } } }, async () => session().expiresAt)
  })
  const ada = visitor(app)
  await ada.get('/form')
  const { text } = await ada.get('/poll')
  for (const value of ['another', undefined]) {
    if (value === undefined) ada.cookies.delete(XSRF)
    else ada.cookies.set(XSRF, value)
    const answer = await ada.get('/poll')
    t.equal(answer.text, text)
    t.same(answer.setCookies, [])
  }
  t.same((await ada.get('/form')).setCookies.map(({ name }) => name), [XSRF, COOKIE], 'another route sends it')
})
