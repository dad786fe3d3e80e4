/** The options of other session packages, which people write out of habit: each fault says what to write here. */
import t from 'tap'
import { defineConfig } from '../../src/config/define.ts'
import { MemoryStore } from '../../src/stores/memory.ts'
import { problemsOf, resolved } from './helpers.ts'

const methods = { get () {}, set () {}, destroy () {} }
const key = Buffer.alloc(32, 'k')

const packages: Record<string, Array<[option: Record<string, unknown>, problem: string]>> = {
  '@fastify/session': [
    [{ cookieName: 'sid' }, "cookieName: is not an option; write cookie: 'sid' instead"],
    [{ cookiePrefix: 's:' }, 'cookiePrefix: is not needed: leave it out; the cookie has no prefix'],
    [{ maxAge: 60_000 }, 'maxAge: is not an option; lifetime is in minutes: write lifetime: 1'],
    [{ maxAge: 10 }, 'maxAge: is not an option; lifetime is in minutes: write lifetime: 0.000166667'],
    [{ maxAge: 31_536_000_000 }, 'maxAge: is not an option; lifetime is in minutes: write lifetime: 525600'],
    [{ maxAge: '1d' }, 'maxAge: is not an option; lifetime is in minutes: write lifetime (in minutes)'],
    [{ saveUninitialized: false }, 'saveUninitialized: is not needed: leave it out; a session in which nothing was put is never stored'],
    [{ rolling: true }, 'rolling: is not needed: leave it out; every use of a session extends it; for an end that does not move, write absoluteLifetime'],
    [{ prefix: 'sess:' }, 'prefix: is not an option; write driver: new RedisStore({ connection, prefix }) instead'],
    [{ idGenerator: () => 'id' }, 'idGenerator: is not needed: leave it out; the id of a session is always 256 random bits'],
    [{ store: methods }, 'store: is not an option; write driver: \'redis\' or \'database\' with the connection instead, or driver: fromConnectStore(store) ' +
      'where the sessions are elsewhere. The option adopt keeps the visitors of this store signed in'],
    [{ cookie: { maxAge: 60_000 } }, 'cookie: is the name of the cookie, and its attributes are options beside it: write lifetime: 1'],
    [
      { cookie: { maxAge: 90_000, secure: false, httpOnly: true, sameSite: 'lax', path: '/app', domain: '.example.com', partitioned: false } },
      'cookie: is the name of the cookie, and its attributes are options beside it: write ' +
        "lifetime: 1.5, secure: false, httpOnly: true, sameSite: 'lax', path: '/app', domain: '.example.com', partitioned: false"
    ],
    [{ cookie: { secure: 'auto', sameSite: true, maxAge: undefined } }, "cookie: is the name of the cookie, and its attributes are options beside it: write secure: 'auto', sameSite: 'strict'"],
    [{ cookie: { expires: new Date(), sameSite: false } }, "cookie: is the name of the cookie, and its attributes are options beside it: write lifetime (in minutes), sameSite: 'lax'"],
    [{ cookie: { expires: null } }, 'cookie: is the name of the cookie, and its attributes are options beside it: write expireOnClose: true'],
    [{ cookie: { expires: false } }, 'cookie: is the name of the cookie, and its attributes are options beside it: write expireOnClose: true'],
    [{ cookie: {} }, "cookie: is the name of the cookie, and its attributes are options beside it: write cookie: 'ambient_session'"]
  ],
  'express-session': [
    [{ name: 'connect.sid' }, "name: is not an option; write cookie: 'connect.sid' instead"],
    [{ resave: false }, 'resave: is not needed: leave it out; only what was changed is written'],
    [{ proxy: true }, "proxy: is an option of Fastify: write Fastify({ trustProxy: '127.0.0.1' }), with the proxy's address"],
    [{ unset: 'destroy' }, 'unset: is not needed: leave it out; session().invalidate() ends a session'],
    [{ genid: () => 'id' }, 'genid: is not needed: leave it out; the id of a session is always 256 random bits'],
    [{ ttl: 1800 }, 'ttl: is not an option; lifetime is in minutes: write lifetime: 30'],
    [{ keys: ['a', 'b'] }, 'keys: is not an option; write secret: [newest, older] instead'],
    [{ cookie: { maxAge: null, name: 'sid' } }, "cookie: is the name of the cookie, and its attributes are options beside it: write expireOnClose: true, cookie: 'sid'"]
  ],
  '@fastify/secure-session': [
    [{ key }, 'key: is not an option; write secret instead, which takes the Buffer as it is'],
    [{ key: 'text' }, 'key: is not an option; write secret for what signs the cookie, or cookie for its name'],
    [{ salt: 'mq9hDxBVDbspDR6n' }, 'salt: is not needed: leave it out; keys are derived from secret'],
    [{ sessionName: 'session' }, "sessionName: is not needed: leave it out; the session is req.session(); the cookie's name is cookie"],
    [{ expiry: 86_400 }, 'expiry: is not an option; lifetime is in minutes: write lifetime: 1440']
  ],
  'iron-session': [
    [{ password: 'hunter2' }, 'password: is not an option; write secret instead'],
    [{ ttl: 0 }, 'ttl: is not an option; lifetime is in minutes: write lifetime (in minutes)'],
    [{ cookieOptions: { maxAge: 3600, secure: true } }, 'cookieOptions: is not an option; write lifetime: 60, secure: true instead'],
    [{ cookieOptions: true }, 'cookieOptions: is not an option; write its attributes as options of their own instead']
  ],
  Laravel: [
    [{ lottery: [2, 100] }, 'lottery: is not needed: expired sessions are removed in the background, see sweep'],
    [{ store: 'redis' }, "store: is not an option; write driver: 'redis' instead"],
    [{ store: new MemoryStore() }, 'store: is not an option; pass the store itself as driver'],
    [{ serialization: 'json' }, 'serialization: is not needed: leave it out; values are stored with their types'],
    [{ block_store: 'redis' }, 'block_store: is not needed: leave it out; the store of the sessions locks them, too'],
    [{ block_lock_seconds: 10 }, 'block_lock_seconds: is not an option; write block: { lock: 10 } instead'],
    [{ block_wait_seconds: 5 }, 'block_wait_seconds: is not an option; write block: { wait: 5 } instead']
  ]
}

for (const [name, options] of Object.entries(packages)) {
  for (const [given, problem] of options) {
    t.test(`${name}'s ${Object.keys(given).join()} is answered with what to write: ${problem}`, async t => {
      t.strictSame(await problemsOf(given), [problem])
    })
  }
}

t.test('a maxAge beside options of a package that counts in seconds is seconds', async t => {
  t.strictSame(await problemsOf({ key, cookie: { maxAge: 3600 } }), [
    'key: is not an option; write secret instead, which takes the Buffer as it is',
    'cookie: is the name of the cookie, and its attributes are options beside it: write lifetime: 60'
  ])
})

t.test('all options of a whole file are answered at once, beside other faults', async t => {
  t.strictSame(await problemsOf({ secret: 'short', resave: false, saveUninitialized: true, cookie: { secure: true } }), [
    'resave: is not needed: leave it out; only what was changed is written',
    'saveUninitialized: is not needed: leave it out; a session in which nothing was put is never stored',
    'cookie: is the name of the cookie, and its attributes are options beside it: write secure: true',
    'secret: expected a text of at least 32 characters, got a text of 5 characters'
  ])
})

t.test('the advised options are accepted', async t => {
  await resolved(defineConfig({ lifetime: 1.5, secure: 'auto', httpOnly: true, sameSite: 'lax', path: '/app', domain: '.example.com', partitioned: false }))
  await resolved(defineConfig({ cookie: 'connect.sid', expireOnClose: true, secret: key, block: { lock: 10 }, driver: new MemoryStore() }))
  t.pass()
})

t.test('no advice repeats what may be a secret, or text that is no plain name', async t => {
  const problems = await problemsOf({
    key: 'hunter2', password: 'hunter2', salt: 'hunter2', keys: ['hunter2'], store: 'redis://:hunter2@h', cookie: { domain: 'https://u:hunter2@h', signed: 'hunter2' }
  })
  t.equal(problems.length, 6)
  t.notMatch(problems.join(), 'hunter2')
})
