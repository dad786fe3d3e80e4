import t from 'tap'
import { aSecret, problemsOf, resolved } from './helpers.ts'

t.test('encryption needs a secret', async t => {
  t.strictSame(await problemsOf({ encrypt: true }), ['encrypt: needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well'])
  t.equal((await resolved({ encrypt: true }, { SESSION_SECRET: aSecret })).encrypt, true)
})

t.test('a __Host- cookie needs the path / and no domain, and cannot do without Secure', async t => {
  t.strictSame(await problemsOf({ cookie: '__Host-sid', path: '/app', domain: 'example.com', secure: false }), [
    'cookie: a name that begins with __Host- needs the path \'/\', got "/app"',
    'cookie: a name that begins with __Host- allows no domain, got "example.com"',
    'cookie: browsers refuse "__Host-sid" without Secure; secure must be true or \'auto\''
  ])
  t.equal((await resolved({ cookie: '__Host-sid' })).cookie, '__Host-sid')
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
