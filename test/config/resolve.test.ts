import { resolve } from 'node:path'
import t from 'tap'
import { resolveConfig, resolveConfigWithSource } from '../../src/config/resolve.ts'
import { errorOf, nowhere, problemsOf, resolved } from './helpers.ts'

const defaults = {
  driver: 'file',
  files: resolve(nowhere, 'storage/framework/sessions'),
  durable: false,
  asyncReads: false,
  table: 'sessions',
  createTable: false,
  timeout: 2,
  lifetime: 120,
  expireOnClose: false,
  cookie: 'ambient_session',
  path: '/',
  secure: 'auto',
  httpOnly: true,
  sameSite: 'lax',
  partitioned: false,
  secret: [],
  encrypt: false,
  block: false,
  previousUrl: false,
  dontFlash: [],
  csrf: false,
  adopt: [],
  flashValidation: false,
  grace: 10,
  sweep: 60,
  maxBytes: 1048576
}

t.test('what Fastify, fastify-cli or @fastify/autoload hand on to every plugin is no option of this one', async t => {
  const handedOn = { prefix: '/session', logLevel: 'warn', logSerializers: {}, skipOverride: true, lifetime: undefined }
  t.strictSame(await resolveConfigWithSource(handedOn, { env: {}, cwd: nowhere }), await resolveConfigWithSource({}, { env: {}, cwd: nowhere }), 'a config file is read as without options')
  t.equal((await resolved({ ...handedOn, prefix: '', lifetime: 5 })).lifetime, 5)
  t.strictSame(await problemsOf({ prefix: 'sess:' }), ['prefix: is not an option; write driver: new RedisStore({ connection, prefix }) instead'])
})

t.test('without options everything has its documented default', async t => {
  t.strictSame(await resolved(undefined), defaults)
  t.strictSame(await resolved(null), defaults)
  t.strictSame(await resolved({}), defaults)
})

t.test('null and undefined count as not given', async t => {
  const options = Object.fromEntries(Object.keys(defaults).map((name, index) => [name, index % 2 === 0 ? null : undefined]))
  t.strictSame(await resolved({ ...options, connection: null, absoluteLifetime: null, domain: null, http_only: null }), defaults)
})

t.test('relative files start at the working directory, absolute ones stand', async t => {
  t.equal((await resolved({ files: 'sessions' })).files, resolve(nowhere, 'sessions'))
  t.equal((await resolved({ files: '/var/sessions' })).files, resolve('/var/sessions'))
})

t.test('environment and working directory are the process\'s own unless others are given', async t => {
  t.chdir(t.testdir({ config: { 'session.mjs': 'export default { cookie: "from_the_file" }' } }))
  t.intercept(process, 'env', { value: { SESSION_LIFETIME: '7' } })
  const config = await resolveConfig()
  t.equal(config.cookie, 'from_the_file')
  t.equal(config.lifetime, 7)
  t.equal(config.files, resolve('storage/framework/sessions'))
})

t.test('options that are no object are refused', async t => {
  t.strictSame(await problemsOf('file'), ['expected an object, got "file"'])
  t.strictSame(await problemsOf(['file']), ['expected an object, got a list'])
})

t.test('it is told where the options have come from', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'export default { lifetime: 5 }' } })
  const sourceOf = async (options: object, directory: string) => (await resolveConfigWithSource(options, { env: {}, cwd: directory })).source
  t.match(await sourceOf({}, nowhere), { isGiven: false, unread: undefined })
  t.match(await sourceOf({ cookie: 'sid' }, nowhere), { isGiven: true, unread: undefined })
  t.match(await sourceOf({}, cwd), { isGiven: false, file: 'config/session.mjs' })
  t.match(await sourceOf({ cookie: 'sid' }, cwd), { isGiven: true, unread: 'config/session.mjs' })
  t.match(await sourceOf({ cookie: 'sid', configFile: 'config/session.mjs' }, cwd), { isGiven: true, file: 'config/session.mjs' })
})

t.test('all faults are reported at once', async t => {
  const error = await errorOf(resolved({ lifetime: 'two hours', cookie: 'a b', encrypt: true }, { SESSION_GRACE: 'short' }))
  t.strictSame(error.problems, [
    'lifetime: expected a number of minutes greater than 0, got "two hours"',
    'cookie: expected the name of a cookie: letters, digits and any of !#$%&\'*+-.^_`|~, got "a b"',
    'SESSION_GRACE: expected a number of seconds, 0 or more, got "short"',
    'encrypt: needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well'
  ])
  t.match(error.message, /^the session options: 4 problems\n {2}- lifetime: /)
})
