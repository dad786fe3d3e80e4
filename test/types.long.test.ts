/**
 * What declaring session data gives to those who write TypeScript. Every case is a module of one program, which is compiled
 * once; a case fails with the compiler's messages about it, `@ts-expect-error` without an error among them.
 */
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const root = join(import.meta.dirname, '..')

const declarations = `
  import type {} from 'ambient-session'

  declare module 'ambient-session' {
    interface SessionData {
      userId: string
      user: { name: string, age?: number, roles: string[], address: { city: string } | null }
      cart: { items: Array<{ id: number, title: string }> }
      tags: readonly string[]
      visits: number
      seen: boolean
      nothing: null
      theme: 'light' | 'dark'
      history?: string[]
      letters: string[] | string
      point: [number, number]
      untyped: any
      raw: unknown
      problems: Record<string, string[]>
      token?: string
    }
  }
`

const prelude = `
  import Fastify from 'fastify'
  import ambientSession, { defineConfig, hasSession, runWithSession, session, Session } from 'ambient-session'
  import type { SessionData, SessionHelper, SessionKey, SessionStore, ValueAt } from 'ambient-session'
  import 'ambient-session/global'

  type Equal<A, B> = (<T> () => T extends A ? 1 : 2) extends (<T> () => T extends B ? 1 : 2) ? true : false
  type Item = SessionData['cart']['items'][number]
  declare function typeOf<Expected> (): <Actual> (value: Actual, isExpected: Equal<Actual, Expected>) => void
  const app = Fastify()
`

const cases: Record<string, string> = {
  'get gives the declared type, or undefined': `
    typeOf<string | undefined>()(session().get('userId'), true)
    typeOf<number | undefined>()(session().get('visits'), true)
    // @ts-expect-error it may be missing
    session().get('userId').length
  `,
  'get with a default gives the declared type or the default\'s, and never undefined': `
    typeOf<string>()(session().get('userId', 'nobody'), true)
    typeOf<string | null>()(session().get('userId', null), true)
    typeOf<number>()(session().get('visits', () => 0), true)
  `,
  'dots walk into declared objects': `
    typeOf<string | undefined>()(session().get('user.name'), true)
    typeOf<number | undefined>()(session().get('user.age'), true)
    typeOf<string | undefined>()(session().get('user.address.city'), true)
    typeOf<string>()(session().get('user.name', 'nobody'), true)
  `,
  'dots walk into declared lists': `
    typeOf<Item | undefined>()(session().get('cart.items.0'), true)
    typeOf<string | undefined>()(session().get('cart.items.0.title'), true)
    typeOf<string | undefined>()(session().get('user.roles.0'), true)
  `,
  'dots walk into declared records': `
    typeOf<string[] | undefined>()(session().get('problems.email'), true)
    typeOf<string | undefined>()(session().get('problems.email.0'), true)
    typeOf<string>()(session().get('problems.email.0', ''), true)
    typeOf<unknown>()(session().get('problems.email.first'), true)
    session().push('problems.email', 'missing')
    // @ts-expect-error a text
    session().push('problems.email.0', 'missing')
  `,
  'undeclared keys and paths stay usable, and are unknown': `
    typeOf<unknown>()(session().get('anything'), true)
    typeOf<unknown>()(session().get('user.unknown'), true)
    typeOf<unknown>()(session().get('anything.at.all'), true)
    typeOf<number>()(session().get('anything', 0), true)
    session().put('anything', { at: 'all' })
    session().forget(['anything', 'userId'])
    const key: string = String(Math.random())
    typeOf<unknown>()(session().get(key), true)
  `,
  'pull and remove give the declared type': `
    typeOf<string | undefined>()(session().pull('userId'), true)
    typeOf<string>()(session().pull('userId', 'nobody'), true)
    typeOf<string | undefined>()(session().remove('user.name'), true)
  `,
  'put takes the declared type': `
    session().put('userId', 'ada')
    session().put('user.name', 'Ada')
    session().put('user.address', null)
    session().put('userId', undefined)
  `,
  'put of another type is an error': `
    // @ts-expect-error a number for a text
    session().put('userId', 1)
    // @ts-expect-error null for a text
    session().put('userId', null)
    // @ts-expect-error a text for a number, along dots
    session().put('user.age', 'thirty-six')
    // @ts-expect-error an object that lacks a member
    session().put('cart', {})
  `,
  'put of several values takes declared types and undeclared keys': `
    session().put({ userId: 'ada', anything: true })
    session({ visits: 1, anything: true })
    // @ts-expect-error a number for a text
    session().put({ userId: 1 })
    // @ts-expect-error a number for a text
    session({ userId: 1 })
    // @ts-expect-error a text for a number
    session().replace({ visits: 'many' })
  `,
  'push takes the elements of a declared list': `
    session().push('tags', 'new')
    session().push('cart.items', { id: 1, title: 'Notes' })
    session().push('anything', 1)
    // @ts-expect-error a number for a text
    session().push('tags', 1)
    // @ts-expect-error an object that lacks a member
    session().push('cart.items', { id: 1 })
    session().push('tags', 'new', 'newer', ...['newest'])
    // @ts-expect-error a number for a text, among others
    session().push('tags', 'new', 1)
  `,
  'push takes keys of lists, and those that are not declared': `
    session().push('history', '/')
    session().push('user.roles', 'admin')
    session().push('point', 1)
    session().push('untyped', 1)
    session().push('raw', 1)
    session().push('user.unknown', 1)
    session().push('anything.at.all', 1, 'two')
    session().push(String(Math.random()), 1)
    const list: 'tags' | 'anything' = Math.random() > 0.5 ? 'tags' : 'anything'
    session().push(list, 'new')
    // @ts-expect-error a text
    session().push('theme', 'x')
    // @ts-expect-error a number
    session().push('visits', 1)
    // @ts-expect-error a text, along dots
    session().push('user.name', 'Ada')
    // @ts-expect-error an object
    session().push('cart', { id: 1, title: 'Notes' })
    // @ts-expect-error it may be a text
    session().push('letters', 'a')
    // @ts-expect-error null
    session().push('nothing', 1)
    // @ts-expect-error one of them is a number
    session().push(Math.random() > 0.5 ? 'tags' : 'visits', 'new')
  `,
  'flash takes the declared type, and a key alone where true fits': `
    session().flash('userId', 'ada')
    session().flash('user.name', 'Ada')
    session().flash('seen')
    session().flash('seen', false)
    session().flash('anything')
    session().flash('anything', { at: 'all' })
    session().flash({ userId: 'ada', 'errors.email': 'missing' })
    // @ts-expect-error a number for a text
    session().flash('userId', 1)
    // @ts-expect-error true for a text
    session().flash('userId')
    // @ts-expect-error a number for a text, along dots
    session().flash('user.name', 1)
    // @ts-expect-error a number for a text
    session().flash({ userId: 1 })
  `,
  'with takes what flash takes, and gives the reply': `
    app.post('/with', async (_req, reply) => {
      reply.with('userId', 'ada').with('user.name', 'Ada').with('seen').with('anything').with({ userId: 'ada' })
      // @ts-expect-error a number for a text
      reply.with('userId', 1)
      // @ts-expect-error true for a text
      reply.with('userId')
      // @ts-expect-error a number for a text, along dots
      reply.with('user.name', 1)
      // @ts-expect-error a number for a text
      reply.with({ userId: 1 })
      return reply.with('userId', 'ada').back('/')
    })
  `,
  'now takes the declared type': `
    session().now('userId', 'ada')
    session().now('anything', 1)
    // @ts-expect-error a number for a text
    session().now('userId', 1)
    // @ts-expect-error no value
    session().now('userId')
  `,
  'old gives a text where the default is one': `
    typeOf<string>()(session().old('email', ''), true)
    typeOf<unknown>()(session().old('email'), true)
    typeOf<unknown>()(session().old('tags', []), true)
    typeOf<unknown>()(session().old('email', () => ''), true)
    typeOf<Record<string, unknown>>()(session().old(), true)
    typeOf<boolean>()(session().hasOld('email'), true)
  `,
  'flashInput takes a body as Fastify types it': `
    app.post<{ Body: { name: string } }>('/typed', async req => { req.session().flashInput(req.body) })
    app.post('/untyped', async req => { req.session().flashInput(req.body) })
  `,
  'lists of keys are arrays, several arguments, or both': `
    const readonlyKeys: readonly string[] = ['userId', 'visits']
    typeOf<boolean>()(session().has('userId', 'anything', 'user.name'), true)
    typeOf<boolean>()(session().hasAny(['userId'], 'anything'), true)
    typeOf<boolean>()(session().exists(readonlyKeys), true)
    typeOf<boolean>()(session().missing(...readonlyKeys), true)
    typeOf<string | undefined>()(session().only('userId', 'visits').userId, true)
    session().except(readonlyKeys, 'tags')
    session().forget('userId', 'visits')
    session().keep()
    session().keep('userId', ['visits'])
    // @ts-expect-error a number is no key
    session().has('userId', 1)
    // @ts-expect-error undefined is no key
    session().forget(undefined)
  `,
  'a session takes no properties': `
    // @ts-expect-error it is put
    session().userId = 'ada'
  `,
  'remember makes the declared type, at once or later': `
    typeOf<string>()(session().remember('userId', () => 'ada'), true)
    const later: string | Promise<string> = session().remember('userId', async () => 'ada')
    void later
    // @ts-expect-error a number for a text
    session().remember('userId', () => 1)
    // @ts-expect-error a number for a text, later
    session().remember('userId', async () => 1)
    typeOf<'light' | 'dark'>()(session().remember('theme', () => 'dark'), true)
    typeOf<string[] | Promise<string[]>>()(session().remember('history', async () => []), true)
    typeOf<readonly string[]>()(session().remember('tags', () => []), true)
    typeOf<Item[] | Promise<Item[]>>()(session().remember('cart.items', async () => []), true)
    async function settled (): Promise<void> {
      typeOf<'light' | 'dark'>()(await session().remember('theme', async () => 'dark' as const), true)
    }
    void settled()
  `,
  'increment and decrement give numbers': `
    typeOf<number>()(session().increment('visits'), true)
    typeOf<number>()(session().decrement('anything', 2), true)
    typeOf<number>()(session().increment('user.age'), true)
    typeOf<number>()(session().increment(String(Math.random())), true)
    const visits: 'visits' | 'anything' = Math.random() > 0.5 ? 'visits' : 'anything'
    typeOf<number>()(session().increment(visits), true)
    // @ts-expect-error a text
    session().increment('userId')
    // @ts-expect-error a text, along dots
    session().decrement('user.name')
    // @ts-expect-error one of them is a text
    session().increment(Math.random() > 0.5 ? 'visits' : 'userId')
  `,
  'session(key) reads and session(key, default) does, typed': `
    typeOf<Session>()(session(), true)
    typeOf<string | undefined>()(session('userId'), true)
    typeOf<string | undefined>()(session('user.name'), true)
    typeOf<string>()(session('user.name', 'stranger'), true)
    typeOf<number>()(session('visits', () => 0), true)
    typeOf<boolean>()(hasSession(), true)
  `,
  'req.session takes the same forms': `
    app.get('/', async req => {
      typeOf<Session>()(req.session(), true)
      typeOf<string | undefined>()(req.session('userId'), true)
      typeOf<string>()(req.session('user.name', 'stranger'), true)
      req.session({ visits: 1 })
      // @ts-expect-error a number for a text
      req.session({ userId: 1 })
      return req.session().all()
    })
  `,
  'a declared key may have the name of a method': `
    app.get('/named', async req => {
      req.session.token = 'x'
      // @ts-expect-error a number for a text
      req.session.token = 1
      if (typeof req.session.token === 'string') typeOf<string>()(req.session.token, true)
      req.session.flash('seen')
    })
  `,
  'callbacks are those of other packages and of hooks': `
    app.addHook('preHandler', (req, _reply, done) => { void req.session.destroy(done) })
    app.get('/callbacks', (req, reply) => {
      void req.session.save((error?: Error) => { reply.send(error?.message) })
      void req.session.regenerate((error?: any) => { reply.send(error) })
      void req.session.reload(error => { reply.send(error?.message) })
    })
  `,
  'values that may be undefined are put with others': `
    const token: string | undefined = Math.random() > 0.5 ? 'x' : undefined
    session().put({ token, userId: undefined })
    session({ token })
    session().put('token', token)
  `,
  'the global session is the same helper': `
    typeOf<SessionHelper>()(globalThis.session, true)
    typeOf<string | undefined>()(globalThis.session('userId'), true)
  `,
  'all, only and except give declared types': `
    typeOf<string | undefined>()(session().all().userId, true)
    typeOf<unknown>()(session().only(['userId']).anything, true)
    typeOf<number | undefined>()(session().except(['userId']).visits, true)
  `,
  'routes are configured with checked options': `
    const handler = async () => 'done'
    app.get('/block', { config: { session: { block: true } } }, handler)
    app.get('/wait', { config: { session: { block: { lock: 10, wait: 3 } } } }, handler)
    app.get('/readonly', { config: { session: { readonly: true } } }, handler)
    app.get('/none', { config: { session: false } }, handler)
    // @ts-expect-error yes or no
    app.get('/maybe', { config: { session: { readonly: 'maybe' } } }, handler)
    // @ts-expect-error seconds are numbers
    app.get('/text', { config: { session: { block: { lock: '10s' } } } }, handler)
  `,
  'the plugin and defineConfig take checked options': `
    void app.register(ambientSession, { lifetime: 120, driver: 'memory', same_site: 'Lax' })
    export default defineConfig({ files: 'sessions', secure: 'auto', block: { lock: 5 } })
    // @ts-expect-error no such driver
    defineConfig({ driver: 'files' })
    // @ts-expect-error no such option
    defineConfig({ lifeTime: 120 })
  `,
  'a store of one\'s own is a driver': `
    declare const store: SessionStore
    void app.register(ambientSession, { driver: store })
    // @ts-expect-error it cannot write
    void app.register(ambientSession, { driver: { read: () => undefined } })
  `,
  'runWithSession gives what the function gives': `
    typeOf<number>()(runWithSession({ userId: 'ada' }, () => 1), true)
    typeOf<Promise<number>>()(runWithSession({ app, id: 'id' }, async () => 1), true)
  `,
  'keys and values have types of their own': `
    const key: SessionKey = 'userId'
    typeOf<ValueAt<'userId'>>()('' as string, true)
    void key
  `
}

function fileOf (name: string): string {
  return `${name.replace(/\W+/g, '-')}.ts`
}

const directory = t.testdir({
  'package.json': '{ "type": "module" }',
  'declarations.ts': declarations,
  ...Object.fromEntries(Object.entries(cases).map(([name, text]) => [fileOf(name), prelude + text]))
})

function compile (): readonly ts.Diagnostic[] {
  const { options } = ts.parseJsonConfigFileContent(ts.readConfigFile(join(root, 'tsconfig.json'), path => ts.sys.readFile(path)).config, ts.sys, root)
  const files = ['declarations.ts', ...Object.keys(cases).map(fileOf)].map(name => join(directory, name))
  const program = ts.createProgram(files, {
    ...options,
    noEmit: true,
    noUnusedLocals: false,
    paths: { 'ambient-session': [join(root, 'src/index.ts')], 'ambient-session/global': [join(root, 'src/global.ts')] }
  })
  return ts.getPreEmitDiagnostics(program)
}

const diagnostics = compile()

/** What the compiler says about a file, with the line it says it about. */
function problemsIn (name: string): string[] {
  return diagnostics.filter(({ file }) => file?.fileName.endsWith(`/${fileOf(name)}`)).map(({ file, start = 0, messageText }) => {
    const line = file?.text.slice(0, start).split('\n').length ?? 0
    return `${file?.text.split('\n')[line - 1]?.trim()}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
}

for (const name of Object.keys(cases)) {
  t.test(name, async t => {
    t.same(problemsIn(name), [])
  })
}

t.test('the compiler has nothing else to say', async t => {
  const others = diagnostics.filter(({ file }) => !Object.keys(cases).some(name => file?.fileName.endsWith(`/${fileOf(name)}`)))
  t.same(others.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' ')), [])
})
