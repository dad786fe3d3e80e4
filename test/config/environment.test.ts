import { resolve } from 'node:path'
import t from 'tap'
import { resolveConfig } from '../../src/config/resolve.ts'
import { aSecret, nowhere, problemsOf, resolved } from './helpers.ts'

t.test('every option has its variable, but for stores and functions', async t => {
  t.strictSame(await resolved({}, {
    SESSION_DRIVER: 'array',
    SESSION_FILES: 'tmp/sessions',
    SESSION_DURABLE: 'true',
    SESSION_CONNECTION: 'redis://localhost',
    SESSION_TABLE: 'web_sessions',
    SESSION_CREATE_TABLE: 'true',
    SESSION_TIMEOUT: '0.5',
    SESSION_LIFETIME: '30',
    SESSION_ASYNC_READS: 'true',
    SESSION_ABSOLUTE_LIFETIME: '90.5',
    SESSION_EXPIRE_ON_CLOSE: 'true',
    SESSION_COOKIE: 'sid',
    SESSION_PATH: '/app',
    SESSION_DOMAIN: 'example.com',
    SESSION_SECURE: 'true',
    SESSION_HTTP_ONLY: 'false',
    SESSION_SAME_SITE: 'Strict',
    SESSION_PARTITIONED: 'true',
    SESSION_SECRET: aSecret,
    SESSION_ENCRYPT: 'true',
    SESSION_BLOCK: 'true',
    SESSION_PREVIOUS_URL: 'true',
    SESSION_DONT_FLASH: 'card_number, pin',
    SESSION_CSRF: 'true',
    SESSION_FLASH_VALIDATION: 'true',
    SESSION_GRACE: '0',
    SESSION_SWEEP: 'false',
    SESSION_MAX_BYTES: '4096'
  }), {
    driver: 'memory',
    files: resolve(nowhere, 'tmp/sessions'),
    durable: true,
    asyncReads: true,
    connection: 'redis://localhost',
    table: 'web_sessions',
    createTable: true,
    timeout: 0.5,
    lifetime: 30,
    absoluteLifetime: 90.5,
    expireOnClose: true,
    cookie: 'sid',
    path: '/app',
    domain: 'example.com',
    secure: true,
    httpOnly: false,
    sameSite: 'strict',
    partitioned: true,
    secret: [aSecret],
    encrypt: true,
    block: { lock: 10, wait: 10 },
    previousUrl: true,
    dontFlash: ['card_number', 'pin', '_token'],
    csrf: { except: [], origins: [], headers: ['X-CSRF-TOKEN', 'X-XSRF-TOKEN'], field: '_token', cookie: 'XSRF-TOKEN' },
    flashValidation: true,
    adopt: [],
    grace: 0,
    sweep: false,
    maxBytes: 4096
  })
})

t.test('an option that was given comes before its variable, and the variable before the default', async t => {
  const config = await resolved({ lifetime: 5 }, { SESSION_LIFETIME: '30', SESSION_COOKIE: 'sid' })
  t.equal(config.lifetime, 5)
  t.equal(config.cookie, 'sid')
})

t.test('an option of a config file comes before its variable', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'export default { lifetime: 5, cookie: null }' } })
  const config = await resolveConfig({}, { cwd, env: { SESSION_LIFETIME: '30', SESSION_COOKIE: 'sid' } })
  t.equal(config.lifetime, 5)
  t.equal(config.cookie, 'sid')
})

t.test('Laravel\'s own names for secure and partitioned are known', async t => {
  t.match(await resolved({}, { SESSION_SECURE_COOKIE: 'false' }), { secure: false })
  t.match(await resolved({}, { SESSION_PARTITIONED_COOKIE: '1' }), { partitioned: true })
})

t.test('two variables for one option are a fault', async t => {
  t.strictSame(await problemsOf({}, { SESSION_SECURE: 'true', SESSION_SECURE_COOKIE: 'false' }), [
    'SESSION_SECURE_COOKIE: is the same option as SESSION_SECURE; set one of the two'
  ])
  t.equal((await resolved({}, { SESSION_SECURE: 'null', SESSION_SECURE_COOKIE: 'false' })).secure, false)
})

t.test('flags are spelled as Laravel spells them', async t => {
  for (const text of ['true', '(true)', 'TRUE', '1', ' true ']) t.equal((await resolved({}, { SESSION_PREVIOUS_URL: text })).previousUrl, true, text)
  for (const text of ['false', '(false)', 'False', '0']) t.equal((await resolved({}, { SESSION_HTTP_ONLY: text })).httpOnly, false, text)
  t.equal((await resolved({}, { SESSION_SECURE: 'auto' })).secure, 'auto')
})

t.test('a variable that is empty or null counts as not set', async t => {
  for (const text of ['', ' ', 'null', '(null)', 'NULL', 'empty', '(empty)', undefined]) {
    t.equal((await resolved({}, { SESSION_LIFETIME: text })).lifetime, 120, String(text))
  }
})

t.test('a list of secrets is separated by commas', async t => {
  const other = `another ${aSecret}`
  t.strictSame((await resolved({}, { SESSION_SECRET: `${aSecret}, ${other}` })).secret, [aSecret, other])
})

t.test('a value that cannot be read is a fault naming the variable', async t => {
  t.strictSame(await problemsOf({}, {
    SESSION_DRIVER: 'mongo',
    SESSION_LIFETIME: 'two hours',
    SESSION_HTTP_ONLY: 'yes',
    SESSION_SECRET: `${aSecret},short`,
    SESSION_SWEEP: '0'
  }), [
    "SESSION_DRIVER: expected 'file', 'memory' (or 'array'), 'redis', 'database', 'cookie', 'null' or an object that is a SessionStore, got \"mongo\"",
    'SESSION_LIFETIME: expected a number of minutes greater than 0, got "two hours"',
    'SESSION_HTTP_ONLY: expected true or false, got "yes"',
    'SESSION_SECRET[1]: expected a text of at least 32 characters, got a text of 5 characters',
    'SESSION_SWEEP: expected a number of seconds greater than 0, or false, got 0'
  ])
})

t.test('a variable whose option was given is not looked at', async t => {
  t.equal((await resolved({ lifetime: 5 }, { SESSION_LIFETIME: 'two hours' })).lifetime, 5)
})

t.test('variables of other names are left to others', async t => {
  t.equal((await resolved({}, { SESSION_MANAGER: 'local/host:@/tmp', SESSION_STORE: 'x', session_lifetime: '1' })).lifetime, 120)
})

t.test('a variable for sessions of another package is refused, because a store cannot be named in one', async t => {
  t.match(await problemsOf({}, { SESSION_ADOPT: 'connect.sid' }), [/SESSION_ADOPT: expected \{ cookie: 'connect\.sid', secret, store \}/])
})
