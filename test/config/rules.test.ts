import t from 'tap'
import { aSecret, problemsOf, resolved } from './helpers.ts'

t.test('encryption needs a secret', async t => {
  t.strictSame(await problemsOf({ encrypt: true }), ['encrypt: needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well'])
  t.equal((await resolved({ encrypt: true }, { SESSION_SECRET: aSecret })).encrypt, true)
})

t.test('the drivers of servers need a connection', async t => {
  const connect = 'needs a connection: set connection (or SESSION_CONNECTION) to a URL such as'
  t.strictSame(await problemsOf({ driver: 'redis' }), [`driver: 'redis' ${connect} redis://127.0.0.1:6379, or to a client`])
  t.strictSame(await problemsOf({}, { SESSION_DRIVER: 'database' }), [`SESSION_DRIVER: 'database' ${connect} postgres://127.0.0.1/app, or to a client`])
  t.equal((await resolved({ driver: 'redis' }, { SESSION_CONNECTION: 'rediss://h' })).connection, 'rediss://h')
})

t.test('a URL fits its driver', async t => {
  const password = 'hunter2'
  for (const url of [`postgres://u:${password}@h/d`, `mariadb://u:${password}@h/d`, `sqlite:${password}`]) {
    t.strictSame(await problemsOf({ driver: 'redis', connection: url }), [
      "connection: the driver 'redis' needs a URL that begins with redis:// or rediss://; for this one the driver is 'database'"
    ])
    t.equal((await resolved({ driver: 'database', connection: url })).driver, 'database')
  }
  t.strictSame(await problemsOf({ driver: 'database' }, { SESSION_CONNECTION: `rediss://u:${password}@h` }), [
    "SESSION_CONNECTION: the driver 'database' needs a URL that begins with postgres://, mysql://, mariadb:// or sqlite:; for this one the driver is 'redis'"
  ])
  const client = {}
  for (const driver of ['redis', 'database']) t.equal((await resolved({ driver, connection: client })).connection, client)
})

t.test('a connection that no driver asks for is let through', async t => {
  t.equal((await resolved({ driver: 'file' }, { SESSION_CONNECTION: 'redis://h' })).driver, 'file')
})

t.test('sessions in a cookie need a secret, and cannot be held exclusively', async t => {
  t.strictSame(await problemsOf({ driver: 'cookie', block: true }), [
    "driver: 'cookie' needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well",
    "block: has no effect with the driver 'cookie': every request brings its own copy of the session"
  ])
  t.match(await resolved({ driver: 'cookie', block: false }, { SESSION_SECRET: aSecret }), { driver: 'cookie', secret: [aSecret] })
})

t.test('a __Host- cookie needs the path / and no domain, and cannot do without Secure', async t => {
  t.strictSame(await problemsOf({ cookie: '__Host-sid', path: '/app', domain: 'example.com', secure: false }), [
    'cookie: a name that begins with __Host- needs the path \'/\', got "/app"',
    'cookie: a name that begins with __Host- allows no domain, got "example.com"',
    'cookie: browsers refuse "__Host-sid" without Secure; secure must be true or \'auto\''
  ])
  t.equal((await resolved({ cookie: '__Host-sid' })).cookie, '__Host-sid')
  t.strictSame(await problemsOf({ csrf: { cookie: '__Host-token' }, path: '/app', domain: 'example.com', secure: false }), [
    'csrf: a name that begins with __Host- needs the path \'/\', got "/app"',
    'csrf: a name that begins with __Host- allows no domain, got "example.com"',
    'csrf: browsers refuse "__Host-token" without Secure; secure must be true or \'auto\''
  ])
})

t.test('an old cookie that needs Secure cannot be cleared without', async t => {
  const read = (): undefined => undefined
  for (const adopt of [{ cookie: '__Host-old', read }, { cookie: '__Secure-old', read }, { cookie: 'old', partitioned: true, read }]) {
    t.strictSame(await problemsOf({ adopt, secure: false }), [`adopt: browsers refuse "${adopt.cookie}" without Secure; secure must be true or 'auto'`])
    t.equal((await resolved({ adopt })).adopt[0]?.cookie, adopt.cookie)
  }
})

t.test('a __Secure- cookie, in whatever case, cannot do without Secure', async t => {
  t.strictSame(await problemsOf({ cookie: '__secure-sid', secure: false }), [
    'cookie: browsers refuse "__secure-sid" without Secure; secure must be true or \'auto\''
  ])
  t.equal((await resolved({ cookie: '__Secure-sid', path: '/app', domain: 'example.com', secure: true })).cookie, '__Secure-sid')
})

t.test('cross-site and partitioned cookies cannot do without Secure', async t => {
  t.strictSame(await problemsOf({ same_site: 'None', secure: false }), [
    "same_site: browsers refuse 'none' without Secure; secure must be true or 'auto'"
  ])
  t.strictSame(await problemsOf({ secure: false }, { SESSION_PARTITIONED_COOKIE: 'true' }), [
    "SESSION_PARTITIONED_COOKIE: browsers refuse a partitioned cookie without Secure; secure must be true or 'auto'"
  ])
  t.match(await resolved({ sameSite: 'none', partitioned: true }), { sameSite: 'none', partitioned: true, secure: 'auto' })
})

t.test('a rule is silent while one of its options is faulty by itself', async t => {
  t.strictSame(await problemsOf({ encrypt: true, secret: 'short' }), [
    'secret: expected a text of at least 32 characters, got a text of 5 characters'
  ])
  t.strictSame(await problemsOf({ encrypt: 'yes' }), ['encrypt: expected true or false, got "yes"'])
})

t.test('rules are checked beside faults that have nothing to do with them', async t => {
  t.strictSame(await problemsOf({ lifetime: 0, encrypt: true }), [
    'lifetime: expected a number of minutes greater than 0, got 0',
    'encrypt: needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well'
  ])
})

t.test('the cookie of the CSRF token is not that of the session', async t => {
  t.match(await problemsOf({ csrf: { cookie: 'sid.1' }, cookie: 'sid' }), [/^csrf: the cookie of the token cannot be that of the session, "sid.1"/])
  t.strictSame(await problemsOf({ csrf: { cookie: 'sid' }, cookie: 'sid' }), [
    'csrf: the cookie of the token cannot be that of the session, "sid"; give csrf.cookie another name, or false'
  ])
})
