import t from 'tap'
import type { SessionStore } from '../../src/stores/store.ts'
import { aSecret, errorOf, problemsOf, resolved } from './helpers.ts'

/** Says of one option what it makes of good values and what it answers to bad ones. */
function option (name: string, { accepts, refuses }: { accepts: Array<[given: unknown, resolved: unknown]>, refuses: Array<[given: unknown, problem: string]> }): void {
  t.test(`${name} takes what it should`, async t => {
    for (const [given, expected] of accepts) t.strictSame((await resolved({ [name]: given }))[name as 'driver'], expected)
  })
  t.test(`${name} refuses everything else`, async t => {
    for (const [given, problem] of refuses) t.strictSame(await problemsOf({ [name]: given }), [problem])
  })
}

const absent = (): undefined => undefined
const store: SessionStore = { read: absent, compareAndSet: () => 'gone', touch: () => false, destroy: () => 'gone' }

const wrongDriver = "driver: expected 'file', 'memory' (or 'array'), 'redis', 'database', 'cookie', 'null' or an object that is a SessionStore"
option('driver', {
  accepts: [['file', 'file'], ['memory', 'memory'], ['array', 'memory'], ['null', 'null']],
  refuses: [
    ['fils', `${wrongDriver}, got "fils"`],
    [absent, `${wrongDriver}, got a function`],
    [{ read: absent, touch: true }, 'driver: expected a SessionStore, got an object without the functions compareAndSet, touch, destroy. A store for express-session goes ' +
      'into fromConnectStore(store), a client or pool into the option connection, beside driver: \'redis\' or \'database\'']
  ]
})

t.test('a store that is passed as driver stays the same object', async t => {
  t.equal((await resolved({ driver: store })).driver, store)
})

option('files', {
  accepts: [['/sessions', '/sessions']],
  refuses: [['', 'files: expected the path of a directory, got ""'], [1n, 'files: expected the path of a directory, got 1']]
})

for (const flag of ['durable', 'asyncReads', 'createTable', 'expireOnClose', 'httpOnly', 'partitioned', 'previousUrl', 'flashValidation']) {
  option(flag, {
    accepts: [[true, true], [false, false]],
    refuses: [['true', `${flag}: expected true or false, got "true"`], [1, `${flag}: expected true or false, got 1`]]
  })
}

const client = {}
const connection = 'connection: expected a URL that begins with redis://, rediss://, postgres://, mysql://, mariadb:// or sqlite:, or a client object'
option('connection', {
  accepts: [
    ...['redis://h', 'rediss://h', 'postgres://h/d', 'postgresql://h/d', 'mysql://h/d', 'mariadb://h/d', 'sqlite:file.db'].map((url): [string, string] => [url, url]),
    [client, client],
    [absent, absent]
  ],
  refuses: [
    ['ftp://root:pw@h', `${connection}, got a text of 15 characters`],
    ['sqlite:', `${connection}, got a text of 7 characters`],
    [['redis://h'], `${connection}, got a list`],
    [6379, `${connection}, got a number`]
  ]
})

const csrf = "csrf: expected true, false or { except: ['/webhooks/*'], origins: ['https://spa.example'], headers: ['X-CSRF-TOKEN'], field: '_token', cookie: 'XSRF-TOKEN' }"
const csrfDefaults = { except: [], origins: [], headers: ['X-CSRF-TOKEN', 'X-XSRF-TOKEN'], field: '_token', cookie: 'XSRF-TOKEN' }
const paths = "expected a list of paths such as '/webhooks/stripe', or '/webhooks/*' for all below"
const origins = "expected a list of origins such as 'https://spa.example', with a port where it is not the default, and without a path"

option('csrf', {
  accepts: [
    [true, csrfDefaults],
    [{}, csrfDefaults],
    [false, false],
    [
      { except: ['/', '/hook', '/hooks/*', '/*'], origins: ['https://spa.example', 'http://localhost:5173', 'capacitor://localhost'], headers: [], field: 'csrf', cookie: false },
      { except: ['/', '/hook', '/hooks/*', '/*'], origins: ['https://spa.example', 'http://localhost:5173', 'capacitor://localhost'], headers: [], field: 'csrf', cookie: false }
    ]
  ],
  refuses: [
    ['yes', `${csrf}, got "yes"`],
    [[], `${csrf}, got a list`],
    [{ execpt: ['/'] }, 'csrf.execpt: is not an option; did you mean except?'],
    [{ ignore: ['/'] }, 'csrf.ignore: is not an option'],
    [{ except: '/hook' }, `csrf.except: ${paths}, got "/hook"`],
    ...['hook', '', '/hooks/*/paid', '/hook?a=1', 'https://x/hook'].map((path): [object, string] =>
      [{ except: [path] }, `csrf.except[0]: ${paths}, got ${path.includes('://') ? 'a URL' : JSON.stringify(path)}`]),
    [{ origins: 'https://spa.example' }, `csrf.origins: ${origins}, got a URL`],
    ...['spa.example', '*', 'https://*.example', 'null', 'https://spa.example/', 'https://spa.example:443', 'https://SPA.example', 'file:///'].map((origin): [object, string] =>
      [{ origins: [origin] }, `csrf.origins[0]: ${origins}, got ${origin.includes('://') ? 'a URL' : JSON.stringify(origin)}`]),
    [{ headers: ['X CSRF'] }, 'csrf.headers[0]: expected a list of names of headers, got "X CSRF"'],
    [{ field: '' }, 'csrf.field: expected the name of a form field, got ""'],
    [{ cookie: true }, 'csrf.cookie: expected the name of a cookie, or false, got true'],
    [{ cookie: 'a b' }, 'csrf.cookie: expected the name of a cookie, or false, got "a b"']
  ]
})

option('table', {
  accepts: [['sessions', 'sessions'], ['web.sessions_2', 'web.sessions_2']],
  refuses: [['a b', 'table: expected the name of a table, got "a b"'], [3, 'table: expected the name of a table, got 3']]
})

option('timeout', {
  accepts: [[2, 2], [0.25, 0.25]],
  refuses: [
    [0, 'timeout: expected a number of seconds greater than 0, got 0'],
    ['2s', 'timeout: expected a number of seconds greater than 0, got "2s"'],
    [1e7, 'timeout: expected at most 2147483 seconds (24 days), got 10000000']
  ]
})

for (const span of ['lifetime', 'absoluteLifetime']) {
  option(span, {
    accepts: [[15, 15], [0.05, 0.05]],
    refuses: [
      [0, `${span}: expected a number of minutes greater than 0, got 0`],
      [-1, `${span}: expected a number of minutes greater than 0, got -1`],
      ['15', `${span}: expected a number of minutes greater than 0, got "15"`],
      [NaN, `${span}: expected a number of minutes greater than 0, got NaN`],
      [Infinity, `${span}: expected a number of minutes greater than 0, got Infinity`],
      [1e9, `${span}: expected at most 52560000 minutes (100 years), got 1000000000`]
    ]
  })
}

t.test('an absolute timeout may be shorter than the idle one', async t => {
  t.match(await resolved({ lifetime: 120, absoluteLifetime: 60 }), { lifetime: 120, absoluteLifetime: 60 })
})

const name = 'cookie: expected the name of a cookie: letters, digits and any of !#$%&\'*+-.^_`|~'
option('cookie', {
  accepts: [['sid', 'sid'], ["!#$%&'*+-.^_`|~Az09", "!#$%&'*+-.^_`|~Az09"]],
  refuses: [['', `${name}, got ""`], ['a;b', `${name}, got "a;b"`], ['é', `${name}, got "é"`], [Symbol('sid'), `${name}, got a symbol`]]
})

const cookiePath = 'path: expected a path that begins with / and has no semicolon or < in it'
option('path', {
  accepts: [['/', '/'], ['/admin', '/admin']],
  refuses: [['admin', `${cookiePath}, got "admin"`], ['/;x', `${cookiePath}, got "/;x"`], ['/\n', `${cookiePath}, got "/\\n"`]]
})

const hostName = 'domain: expected a host name such as example.com'
option('domain', {
  accepts: [['example.com', 'example.com'], ['.Example.com', '.Example.com'], ['localhost', 'localhost']],
  refuses: [
    ['https://example.com', `${hostName}, got a URL`],
    ['example.com:3000', `${hostName}, got "example.com:3000"`],
    ['-a.b', `${hostName}, got "-a.b"`],
    ['a..b', `${hostName}, got "a..b"`],
    [{}, `${hostName}, got an object`]
  ]
})

option('secure', {
  accepts: [[true, true], [false, false], ['auto', 'auto']],
  refuses: [['yes', "secure: expected true, false or 'auto', got \"yes\""]]
})

option('sameSite', {
  accepts: [['lax', 'lax'], ['Strict', 'strict'], ['NONE', 'none']],
  refuses: [['any', "sameSite: expected 'lax', 'strict' or 'none', got \"any\""], [false, "sameSite: expected 'lax', 'strict' or 'none', got false"]]
})

const secrets = 'expected a text of at least 32 characters, a Buffer of at least 32 bytes, or a list of such'
const bytes = Buffer.from(aSecret.slice(0, 32))
option('secret', {
  accepts: [
    [aSecret, [aSecret]],
    [[aSecret, `another ${aSecret}`], [aSecret, `another ${aSecret}`]],
    [bytes, [bytes.toString('base64url')]],
    [new Uint8Array(bytes), [bytes.toString('base64url')]],
    [[bytes, aSecret], [bytes.toString('base64url'), aSecret]]
  ],
  refuses: [
    ['', 'secret: expected a text of at least 32 characters, got a text of 0 characters'],
    [[aSecret, 'x'], 'secret[1]: expected a text of at least 32 characters, got a text of 1 character'],
    [bytes.subarray(1), 'secret: expected at least 32 bytes, got 31 bytes'],
    [[aSecret, Buffer.alloc(1)], 'secret[1]: expected at least 32 bytes, got 1 byte'],
    [[], `secret: ${secrets}, got a list`],
    [[null], `secret: ${secrets}, got a list`],
    [123456, `secret: ${secrets}, got a number`],
    [new ArrayBuffer(32), `secret: ${secrets}, got an object`],
    [{ secret: aSecret }, `secret: ${secrets}, got an object`]
  ]
})

t.test('a secret of bytes that are a part of a larger buffer is that part', async t => {
  const pool = Buffer.concat([Buffer.alloc(7), bytes, Buffer.alloc(9)])
  t.strictSame((await resolved({ secret: pool.subarray(7, 39) })).secret, [bytes.toString('base64url')])
})

t.test('encrypt is a flag', async t => {
  t.equal((await resolved({ encrypt: true, secret: aSecret })).encrypt, true)
  t.strictSame(await problemsOf({ encrypt: 'yes', secret: aSecret }), ['encrypt: expected true or false, got "yes"'])
})

const block = 'block: expected true, false or { lock: seconds, wait: seconds }'
option('block', {
  accepts: [
    [false, false],
    [true, { lock: 10, wait: 10 }],
    [{ lock: 30 }, { lock: 30, wait: 10 }],
    [{ lock: 1, wait: 0 }, { lock: 1, wait: 0 }]
  ],
  refuses: [
    [5, `${block}, got 5`],
    [{ seconds: 5 }, 'block.seconds: is not an option'],
    [{ lok: 5 }, 'block.lok: is not an option; did you mean lock?'],
    [{ lock: 'long' }, 'block.lock: expected a number of seconds, 1 or more, got "long"'],
    [{ lock: 0.5 }, 'block.lock: expected a number of seconds, 1 or more, got 0.5'],
    [{ wait: -1 }, 'block.wait: expected a number of seconds, 0 or more, got -1'],
    [{ wait: 3e6 }, 'block.wait: expected at most 2147483 seconds (24 days), got 3000000']
  ]
})

const adopt = "adopt: expected { cookie: 'connect.sid', secret, store } or { cookie: 'session', read }, or a list of such"
const old = { cookie: 'sid', read: absent }
const rest = { path: '/', partitioned: false, secret: [] }
option('adopt', {
  accepts: [[old, [{ ...old, ...rest }]], [[old], [{ ...old, ...rest }]], [[], []]],
  refuses: [
    ['sid', `${adopt}, got a text of 3 characters`],
    [[old, 'sid'], `${adopt}, got a list`],
    [{ ...old, pth: '/' }, 'adopt.pth: is not an option; did you mean path?'],
    [[old, { ...old, usr: absent }], 'adopt[1].usr: is not an option; did you mean user?'],
    [{ ...old, read: 'sid' }, 'adopt.read: expected a function, got "sid"'],
    [{ cookie: 'sid' }, 'adopt: expected either a store or a read function']
  ]
})

const fields = 'expected a list of names of form fields'
option('dontFlash', {
  accepts: [[[], []], [['card_number', 'pin'], ['card_number', 'pin']]],
  refuses: [['pin', `dontFlash: ${fields}, got "pin"`], [['pin', 5], `dontFlash[1]: ${fields}, got 5`], [[''], `dontFlash[0]: ${fields}, got ""`], [Buffer.from('pin'), `dontFlash: ${fields}, got an object`]]
})

option('grace', {
  accepts: [[0, 0], [90, 90]],
  refuses: [[-1, 'grace: expected a number of seconds, 0 or more, got -1'], [1e7, 'grace: expected at most 2147483 seconds (24 days), got 10000000']]
})

const interval = 'sweep: expected a number of seconds greater than 0, or false'
option('sweep', {
  accepts: [[false, false], [0.5, 0.5], [3600, 3600]],
  refuses: [
    [true, `${interval}, got true`],
    [0, `${interval}, got 0`],
    [1e7, 'sweep: expected at most 2147483 seconds (24 days), got 10000000']
  ]
})

option('maxBytes', {
  accepts: [[1, 1], [65536, 65536]],
  refuses: [0, 1.5, '1mb'].map((value): [unknown, string] =>
    [value, `maxBytes: expected a whole number of bytes greater than 0, got ${JSON.stringify(value)}`])
})

t.test('a long text is cut short in the message', async t => {
  const [problem = ''] = await problemsOf({ path: 'x'.repeat(5000) })
  t.ok(problem.endsWith(`got "${'x'.repeat(60)}…"`))
})

t.test('no error message repeats a secret, a connection or the content of an object', async t => {
  const confidential = 'hunter2'
  const { message } = await errorOf(resolved({
    secret: [confidential],
    connection: confidential,
    driver: `redis://u:${confidential}@h`,
    block: { password: confidential },
    path: [confidential],
    conection: confidential
  }))
  t.match(message, /6 problems/)
  t.notMatch(message, confidential)
})
