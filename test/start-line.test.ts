import { join, resolve } from 'node:path'
import t from 'tap'
import type { SessionConfig } from '../src/config/options.ts'
import { resolveConfigWithSource } from '../src/config/resolve.ts'
import { startLine } from '../src/start-line.ts'
import { MemoryStore } from '../src/stores/memory.ts'
import { aSecret, nowhere, resolved } from './config/helpers.ts'

async function lineOf (options: object, cwd = nowhere): Promise<string> {
  const { config, source } = await resolveConfigWithSource(options, { env: {}, cwd })
  return startLine(config, source, cwd)
}

/** What a line says of the place where sessions are kept. */
async function placeOf (options: object): Promise<string | undefined> {
  const line = await lineOf(options)
  return /^ambient-session: (.*), options given to register\(\)$/.exec(line)?.[1]
}

t.test('the line says where the options have come from', async t => {
  const cwd = t.testdir({ 'shop.mjs': 'export default {}', config: { 'session.mjs': 'export default {}' } })
  const place = 'ambient-session: file driver, storage/framework/sessions'
  t.equal(await lineOf({}), `${place}, no config/session.* in ${nowhere}`)
  t.equal(await lineOf({ lifetime: 5 }), `${place}, options given to register()`)
  t.equal(await lineOf({}, cwd), `${place}, options from config/session.mjs`)
  t.equal(await lineOf({ lifetime: 5 }, cwd), `${place}, options given to register() in place of config/session.mjs`)
  t.equal(await lineOf({ configFile: 'shop.mjs' }, cwd), `${place}, options from shop.mjs`)
  t.equal(await lineOf({ configFile: 'shop.mjs', lifetime: 5 }, cwd), `${place}, options given to register() and from shop.mjs`)
})

t.test('a directory within the working directory is named from there, any other in full', async t => {
  t.equal(await placeOf({ files: join(nowhere, 'sessions') }), 'file driver, sessions')
  t.equal(await placeOf({ files: '/var/sessions' }), `file driver, ${resolve('/var/sessions')}`)
  t.equal(await placeOf({ files: '.' }), `file driver, ${resolve(nowhere)}`)
  t.equal(await placeOf({ files: '..sessions' }), 'file driver, ..sessions')
})

t.test('every driver has a place', async t => {
  t.equal(await placeOf({ driver: 'array' }), 'memory driver, in this process')
  t.equal(await placeOf({ driver: 'null' }), 'null driver, nowhere')
  t.equal(await placeOf({ driver: 'cookie', secret: aSecret }), 'cookie driver, in the browser')
  t.equal(await placeOf({ driver: 'redis', connection: 'rediss://cache:6380/1' }), 'redis driver, rediss://cache:6380/1')
  t.equal(await placeOf({ driver: 'redis', connection: {} }), "redis driver, the application's own client")
  t.equal(await placeOf({ driver: 'database', connection: 'sqlite:storage/s.sqlite', table: 'logins' }), 'database driver, sqlite:storage/s.sqlite, table logins')
  t.equal(await placeOf({ driver: new MemoryStore() }), 'own driver, MemoryStore')
})

t.test('a store without a class is called a store', async t => {
  const store = { read: () => undefined, compareAndSet: () => 'gone', touch: () => false, destroy: () => 'gone' }
  t.equal(await placeOf({ driver: store }), 'own driver, a store without a name')
  t.equal(await placeOf({ driver: Object.assign(Object.create(null) as object, store) }), 'own driver, a store without a name')
})

const urls = [
  ['redis://:hunter2@cache:6379/0', 'redis://cache:6379/0'],
  ['redis://hunter2@cache', 'redis://cache'],
  ['postgres://app:hunter2@db/shop?password=hunter2', 'postgres://db/shop'],
  ['mysql://app:hunt%40er2@db/shop#hunter2', 'mysql://db/shop'],
  ['mysql://app:hunt@hunter2@db/shop', 'mysql://db/shop'],
  // Characters that should have been escaped, so that what comes before them looks like a host.
  ['redis://app:12/hunter2@cache', 'redis: a URL'],
  ['redis://:hunter2/x@cache', 'redis: a URL'],
  ['redis://hunter2:1#x@cache', 'redis: a URL'],
  ['redis://app:x@hunter2/y@cache', 'redis: a URL'],
  ['redis://app:x@hunter2?y@cache', 'redis: a URL'],
  ['redis://app:x@hunter2#y@cache', 'redis: a URL'],
  ['postgres://app:hunter2@db1:5432,db2:5432/shop', 'postgres: a URL']
] as const

for (const [url, place] of urls) {
  t.test(`no password is told: ${url} is ${place}`, async t => {
    const driver = url.startsWith('redis') ? 'redis' : 'database'
    const config: SessionConfig = await resolved({ driver, connection: url })
    const line = startLine(config, { isGiven: true })
    t.ok(line.startsWith(`ambient-session: ${driver} driver, ${place},`), line)
    t.notMatch(line, 'hunter2')
  })
}
