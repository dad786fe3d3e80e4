/** What templates of @fastify/view have of the session without being passed it. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fastifyView from '@fastify/view'
import formbody from '@fastify/formbody'
import ejs from 'ejs'
import { Eta } from 'eta'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import t from 'tap'
import ambientSession, { session, type SessionOptions, type ViewLocals } from '../../src/index.ts'
import { visitor, type Visitor } from '../helpers/client.ts'
import { deferred, listening, type Teardown } from './support.ts'
import { SpyStore } from './stores.ts'

interface Directory extends Teardown {
  testdir (): string
}

/** A template engine: how it is registered, and how its templates are written. */
interface Engine {
  readonly register: (app: FastifyInstance, root: string, options?: object) => Promise<unknown>
  /** @param expression printed, escaped as HTML */
  readonly print: (expression: string) => string
  readonly raw: (expression: string) => string
  readonly code: (statement: string) => string
}

const registerEjs = async (app: FastifyInstance, root: string, options: object = {}): Promise<unknown> =>
  await app.register(fastifyView, { engine: { ejs }, root, ...options })
const registerEta = async (app: FastifyInstance, root: string, options: object = {}): Promise<unknown> =>
  await app.register(fastifyView, { engine: { eta: new Eta() }, root, ...options })

const engines: Record<string, Engine> = {
  ejs: { register: registerEjs, print: expression => `<%= ${expression} %>`, raw: expression => `<%- ${expression} %>`, code: statement => `<% ${statement} %>` },
  eta: { register: registerEta, print: expression => `<%= it.${expression} %>`, raw: expression => `<%~ it.${expression} %>`, code: statement => `<% ${statement} %>` }
}

async function serveViews (
  t: Directory, engine: Engine, templates: Record<string, string>, routes: (app: FastifyInstance) => unknown,
  { options = {}, isFirst = false, view = {} }: { options?: SessionOptions, isFirst?: boolean, view?: object } = {}
): Promise<FastifyInstance> {
  const root = join(t.testdir(), 'views')
  mkdirSync(root)
  for (const [name, text] of Object.entries(templates)) writeFileSync(join(root, name), text)
  const app = Fastify()
  t.teardown(() => app.close())
  if (isFirst) await engine.register(app, root, view)
  await app.register(ambientSession, { driver: 'memory', sweep: false, ...options })
  if (!isFirst) await engine.register(app, root, view)
  await app.register(formbody)
  await routes(app)
  return await listening(app)
}

function formRoutes (file: string, app: FastifyInstance): void {
  app.get('/form', async (_req, reply) => await reply.viewAsync(file, { title: 'Form' }))
  app.post('/form', async (_req, reply) => {
    session().put('user', 'Ada')
    return reply.withErrors({ email: ['<no> address', 'too short'], name: 'wrong' }).withErrors({ password: 'unknown' }, 'login').withInput().back('/form')
  })
}

async function sendForm (visitor: Visitor, email = '"ada"'): Promise<void> {
  await visitor.post('/form', new URLSearchParams({ email, password: 'secret' }))
}

for (const [name, engine] of Object.entries(engines)) {
  const { print, raw, code } = engine
  const file = `form.${name}`
  const errors = name === 'eta' ? 'it.errors' : 'errors'
  const template = [
    print('title'), print('session("user", "nobody")'), print('session.user ?? ""'), print('old("email", "none")'), print('errors.first("email")'), print('errors.has("email")'),
    print('errors.has("other")'), print('errors.get("email").length'), print('errors.all().join()'), print('errors.email ?? ""'), print('errors.bag("login").first("password")'),
    `${code(`for (const [field, messages] of Object.entries(${errors})) {`)}${name === 'eta' ? '<%= field + messages.length %>' : print('field + messages.length')}${code('}')}`
  ].join('|')

  for (const isFirst of [false, true]) {
    const order = isFirst ? 'registered before ambient-session' : 'registered after ambient-session'

    await t.test(`${name}, ${order}: every template has session, old and errors`, async t => {
      const ada = visitor(await serveViews(t, engine, { [file]: template }, app => { formRoutes(file, app) }, { isFirst }))
      t.equal((await ada.get('/form')).text, 'Form|nobody||none||false|false|0||||')
      await sendForm(ada)
      t.equal((await ada.get('/form')).text,
        'Form|Ada|Ada|&#34;ada&#34;|&lt;no&gt; address|true|false|2|&lt;no&gt; address,too short,wrong|&lt;no&gt; address,too short|unknown|email2name1'
          .replaceAll('&#34;', name === 'eta' ? '&quot;' : '&#34;'))
      t.equal((await ada.get('/form')).text, 'Form|Ada|Ada|none||false|false|0||||')
    })

    await t.test(`${name}, ${order}: the token is there as a text and as a field`, async t => {
      const app = await serveViews(t, engine, { [file]: `${print('csrfToken')}|${raw('csrfField')}|${raw('csrfField()')}` }, app => {
        formRoutes(file, app)
        app.post<{ Body: { _token: string } }>('/check', async req => session().hasToken(req.body._token))
      }, { isFirst })
      const ada = visitor(app)
      const [, token = '', field] = /^([\w-]{40,})\|(<input [^>]*>)\|<input/.exec((await ada.get('/form')).text) ?? []
      t.match(field, /^<input type="hidden" name="_token" value="[\w-]{40,}">$/)
      t.equal((await ada.post('/check', new URLSearchParams({ _token: token }))).text, 'true')
      t.equal((await visitor(app).post('/check', new URLSearchParams({ _token: token }))).text, 'false')
    })
  }

  await t.test(`${name}: a layout has them, too`, async t => {
    const layout = { [`layout.${name}`]: `${print('session("user", "nobody")')}|${raw('body')}|${print('errors.first("name")')}`, [file]: print('old("email", "none")') }
    const ada = visitor(await serveViews(t, engine, layout, app => { formRoutes(file, app) }, { view: { layout: `layout.${name}` } }))
    await sendForm(ada, 'a@b')
    t.equal((await ada.get('/form')).text, 'Ada|a@b|wrong')
  })

  await t.test(`${name}: two visitors at once have each their own, in templates that wait`, async t => {
    const awaited = name === 'eta' ? '<% await it.wait() %>' : '<% await wait() %>'
    const app = await serveViews(t, engine, { [file]: `${print('session("user", "nobody")')}|${awaited}${print('old("email", "none")')}|${print('session().get("user")')}` }, app => {
      const gates = { ada: deferred(), grace: deferred() }
      app.post('/form', async (_req, reply) => {
        session().put('user', session().old('email', '') || (_req.body as { email: string }).email)
        return reply.withInput().back('/form')
      })
      app.get<{ Params: { name: 'ada' | 'grace' } }>('/slow/:name', async (req, reply) => {
        // Each waits until the other has begun to render.
        gates[req.params.name].resolve()
        return await reply.viewAsync(file, { wait: async () => { await Promise.all([gates.ada.promise, gates.grace.promise]) } })
      })
    }, { view: { options: { async: true } } })
    const [ada, grace] = [visitor(app), visitor(app)]
    await sendForm(ada, 'ada')
    await sendForm(grace, 'grace')
    const [first, second] = await Promise.all([ada.get('/slow/ada'), grace.get('/slow/grace')])
    t.equal(first.text, 'ada|ada|ada')
    t.equal(second.text, 'grace|grace|grace')
  })
}

const { ejs: engine } = engines as { ejs: Engine }

t.test('a page of an error and one that is not found have them', async t => {
  const ada = visitor(await serveViews(t, engine, { 'page.ejs': '<%= session("user", "nobody") %>' }, app => {
    formRoutes('page.ejs', app)
    app.setErrorHandler(async (_error, _req, reply) => await reply.code(500).viewAsync('page.ejs'))
    app.setNotFoundHandler(async (_req, reply) => await reply.code(404).viewAsync('page.ejs'))
    app.get('/fails', async () => { throw new Error('sorry') })
  }))
  await sendForm(ada)
  for (const path of ['/fails', '/nowhere']) t.equal((await ada.get(path)).text, 'Ada', path)
})

for (const isFirst of [false, true]) {
  t.test(`a page that uses none of them uses no session (view registered ${isFirst ? 'first' : 'second'})`, async t => {
    const driver = new SpyStore(true)
    const ada = visitor(await serveViews(t, engine, { 'plain.ejs': 'plain', 'form.ejs': '<%= errors.first("name") %>' }, app => {
      formRoutes('form.ejs', app)
      app.get('/plain', async (_req, reply) => await reply.viewAsync('plain.ejs'))
    }, { options: { driver }, isFirst }))
    await sendForm(ada)
    driver.takeCalls()
    const { headers, setCookies, text } = await ada.get('/plain')
    t.equal(text, 'plain')
    t.equal(headers.get('vary'), null)
    t.same(setCookies, [])
    t.same(driver.calls, [])
    t.equal((await ada.get('/form')).text, 'wrong')
  })
}

t.test('a visitor without a session gets none from a page without a token', async t => {
  const ada = visitor(await serveViews(t, engine, { 'page.ejs': '<%= session("user") %><%= errors.has("a") %><%= old("a", "none") %>' }, app => { formRoutes('page.ejs', app) }))
  const { text, setCookies } = await ada.get('/form')
  t.equal(text, 'falsenone')
  t.same(setCookies, [])
})

t.test('on a route without a session there are no errors and no input, and session() says why', async t => {
  const app = await serveViews(t, engine, { 'page.ejs': '<%= errors.has() %><%= old("a", "none") %><%= Object.keys(old()).length %>', 'form.ejs': '<%= csrfToken %>' }, app => {
    app.get('/page', { config: { session: false } }, async (_req, reply) => await reply.viewAsync('page.ejs'))
    app.get('/form', { config: { session: false } }, async (_req, reply) => await reply.viewAsync('form.ejs'))
  })
  t.equal((await visitor(app).get('/page')).text, 'falsenone0')
  t.match((await visitor(app).get('/form')).text, /this route has no session/)
})

type Locals = Record<string, unknown>
const localsOf = (reply: FastifyReply): Locals => (reply as unknown as { locals: Locals }).locals

for (const isFirst of [false, true]) {
  t.test(`reply.locals is the application's as well, and so are the names in it (view registered ${isFirst ? 'first' : 'second'})`, async t => {
    const ada = visitor(await serveViews(t, engine, { 'page.ejs': '<%= errors.first("name") %>|<%= title %>|<%= session.name ?? session %>|<%= old("email") %>' }, app => {
      formRoutes('page.ejs', app)
      app.get('/added', async (_req, reply) => {
        Object.assign(localsOf(reply), { title: 'added', session: 'mine' })
        return await reply.viewAsync('page.ejs')
      })
      app.get('/replaced', async (_req, reply) => {
        if (!isFirst) Object.assign(reply, { locals: { title: 'replaced' } })
        else Object.assign(localsOf(reply), { title: 'replaced' })
        return await reply.viewAsync('page.ejs', { session: 'passed' })
      })
    }, { isFirst }))
    await sendForm(ada, 'a@b')
    t.equal((await ada.get('/added')).text, 'wrong|added|mine|a@b')
    await sendForm(ada, 'a@b')
    t.equal((await ada.get('/replaced')).text, 'wrong|replaced|passed|a@b')
  })
}

t.test('a hook that runs before the session has begun may set and render', async t => {
  const root = t.testdir({ 'page.ejs': '<%= session === undefined %>|<%= errors.has() %>|<%= title %>' })
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', async (_req, reply) => {
    Object.assign(localsOf(reply), { title: 'early' })
    return await reply.send(await reply.viewAsync('page.ejs'))
  })
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  await registerEjs(app, root)
  app.get('/', async () => 'never')
  await listening(app)
  t.equal((await visitor(app).get('/')).text, 'true|false|early')
})

t.test('what cannot be an error of a form is none, and no prototype is reached', async t => {
  const values: unknown[] = [undefined, null, 'text', 5, ['list'], { a: 5, b: { c: 'bag' }, d: ['ok'], e: 'one' }]
  let value: unknown
  const ada = visitor(await serveViews(t, engine, { 'page.ejs': '<%- JSON.stringify(errors) %>|<%= errors.constructor %>|<%= errors.get("toString").length %>|<%= errors.bag("b").first("c") %>|<%= errors.bag("constructor").has() %>|<%= "d" in errors %>' }, app => {
    app.get('/', async (_req, reply) => {
      session().now('errors', value)
      return await reply.viewAsync('page.ejs')
    })
  }))
  const shown: string[] = []
  for (value of values) shown.push((await ada.get('/')).text)
  const none = '{}||0||false|false'
  t.same(shown, [none, none, none, none, none, '{"d":["ok"],"e":["one"]}||0|bag|false|true'])
})

t.test('the data of a template has a type', async t => {
  const print = ({ errors, old, csrfField }: ViewLocals): string => `${errors.first('a')}${errors.a?.[0] ?? ''}${String(old('a', ''))}${String(csrfField)}`
  t.type(print, 'function')
})

t.test('errors can be asked for as any object of lists can, and not changed', async t => {
  const app = await serveViews(t, engine, {}, app => {
    app.get('/', async (_req, reply) => {
      session().now('errors', { name: ['wrong', 'too long'] })
      const errors = localsOf(reply)['errors'] as ViewLocals['errors']
      return {
        keys: Object.keys(errors),
        spread: { ...errors },
        missing: Object.getOwnPropertyDescriptor(errors, 'missing') === undefined,
        anyFirst: errors.first(),
        noFirst: errors.first('missing'),
        isSet: Reflect.set(errors, 'name', [])
      }
    })
  })
  t.same((await visitor(app).get('/')).json, {
    keys: ['name'], spread: { name: ['wrong', 'too long'] }, missing: true, anyFirst: 'wrong', noFirst: '', isSet: false
  })
})

for (const isFirst of [false, true]) {
  t.test(`reply.locals says which names are in it (view registered ${isFirst ? 'first' : 'second'})`, async t => {
    const app = await serveViews(t, engine, {}, app => {
      app.get('/in', async (_req, reply) => ['session' in localsOf(reply), 'missing' in localsOf(reply)])
      app.get('/keys', async (_req, reply) => Object.keys(localsOf(reply)))
      app.get('/descriptor', async (_req, reply) => Object.getOwnPropertyDescriptor(localsOf(reply), 'old')?.enumerable)
    }, { isFirst })
    t.same((await visitor(app).get('/in')).json, [true, false])
    t.same((await visitor(app).get('/keys')).json, ['session', 'old', 'errors', 'csrfToken', 'csrfField'])
    t.equal((await visitor(app).get('/descriptor')).json, true)
  })
}

t.test('reply.locals that were set to null are made anew', async t => {
  const app = await serveViews(t, engine, {}, app => {
    app.get('/', async (_req, reply) => {
      Object.assign(localsOf(reply), { title: 'gone' })
      Object.assign(reply, { locals: null })
      return Object.keys(localsOf(reply))
    })
  })
  t.same((await visitor(app).get('/')).json, ['session', 'old', 'errors', 'csrfToken', 'csrfField'])
})

t.test('reply.locals that the application has decorated itself are filled for each request', async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.decorateReply('locals', null)
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  app.get('/', async (_req, reply) => Object.keys(localsOf(reply)))
  await listening(app)
  t.same((await visitor(app).get('/')).json, ['session', 'old', 'errors', 'csrfToken', 'csrfField'])
})

t.test('old() without a field is all of the old input', async t => {
  const app = await serveViews(t, engine, { 'page.ejs': '<%- JSON.stringify(old()) %>' }, app => {
    app.post('/form', async req => { session().flashInput(req.body) })
    app.get('/page', async (_req, reply) => await reply.viewAsync('page.ejs'))
  })
  const ada = visitor(app)
  await ada.post('/form', { email: 'a@b' })
  t.equal((await ada.get('/page')).text, '{"email":"a@b"}')
})
