/** The Redis store: the contract, with each client and without one, and what is in the server. Faults have a file of their own. */
import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import fastify from 'fastify'
import { Cluster as IoredisCluster, Redis as Ioredis } from 'ioredis'
import { Redis as Iovalkey } from 'iovalkey'
import { createClient, createCluster } from 'redis'
import t, { type Test } from 'tap'
import ambientSession, { type NewRecord, RedisStore, session, type RedisStoreOptions, type SessionWarning, type StoreKey, type Version } from '../../src/index.ts'
import type { IoredisClient } from '../../src/stores/redis/client.ts'
import { connect } from '../../src/stores/redis/open.ts'
import { DESTROY } from '../../src/stores/redis/scripts.ts'
import { startProgram } from '../helpers/process.ts'
import { hasRedisServer, redisCluster, redisServer, type RedisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { casesFor, create, newKey, readLiving, recordOf } from './conformance.ts'

const MINUTE = 60_000
const YEAR = 365 * 24 * 60 * MINUTE
const skip = await skipWithout('redis-server to start', hasRedisServer)

type Connection = RedisStoreOptions['connection']
type Connect = (t: Test, server: RedisServer) => Promise<Connection>

/** Clients as applications have them. */
const clients: Record<string, Connect> = {
  async ioredis (t, { port }) {
    const client = new Ioredis(port)
    t.teardown(() => { client.disconnect() })
    return client
  },
  async iovalkey (t, { port }) {
    const client = new Iovalkey(port)
    t.teardown(() => { client.disconnect() })
    return client
  },
  async 'a lazy ioredis with a prefix of its own' (t, { port }) {
    const client = new Ioredis({ port, lazyConnect: true, keyPrefix: 'app:' })
    t.teardown(() => { client.disconnect() })
    return client
  },
  async 'node-redis' (t, { url }) {
    const client = createClient({ url })
    t.teardown(() => { client.destroy() })
    await client.connect()
    return client
  }
}

async function redisStore (t: Test, connection: Connection, options: Partial<RedisStoreOptions> = {}): Promise<RedisStore> {
  const store = new RedisStore({ connection, ...options })
  t.teardown(async () => { await store.close() })
  await store.open()
  return store
}

/** Holds the store against the contract, and the cases about what happens at the same time against two of them. */
async function conforms (t: Test, open: (t: Test) => Promise<RedisStore>): Promise<void> {
  const stores = [await open(t), await open(t)] as const
  for (const { name, run } of casesFor(stores[0])) await t.test(name, async t => { await t.resolves(run(...stores)) })
}

function ownedBy (userId: string, expiresIn = MINUTE): NewRecord {
  return { ...recordOf('payload', expiresIn), userId }
}

t.test('the redis store keeps the contract', { skip }, async t => {
  const server = await redisServer(t)
  for (const [name, connect] of Object.entries(clients)) {
    await t.test(`with a client of the application: ${name}`, async t => {
      await conforms(t, async t => await redisStore(t, await connect(t, server), { prefix: `${name}:` }))
    })
  }
  for (const client of ['ioredis', 'iovalkey', 'redis'] as const) {
    await t.test(`with a URL that ${client} opens`, async t => {
      await conforms(t, async t => await redisStore(t, server.url, { client, prefix: `url:${client}:` }))
    })
  }
})

t.test('the redis store keeps the contract in a cluster', { skip }, async t => {
  const [{ port }] = await redisCluster(t) as [RedisServer, ...RedisServer[]]
  await t.test('with ioredis', async t => {
    await conforms(t, async t => {
      const cluster = new IoredisCluster([{ host: '127.0.0.1', port }])
      t.teardown(() => { cluster.disconnect() })
      return await redisStore(t, cluster, { prefix: 'ioredis:' })
    })
  })
  await t.test('with node-redis', async t => {
    await conforms(t, async t => {
      const cluster = createCluster({ rootNodes: [{ url: `redis://127.0.0.1:${port}` }] })
      t.teardown(() => { cluster.destroy() })
      await cluster.connect()
      return await redisStore(t, cluster, { prefix: 'node-redis:' })
    })
  })
})

t.test('a connection', { skip }, async t => {
  const server = await redisServer(t)
  const connected = async (): Promise<number> => String(await server.command('CLIENT', 'LIST', 'TYPE', 'normal')).trim().split('\n').length - 1

  for (const [name, connect] of Object.entries(clients)) {
    await t.test(`that was handed over is left open: ${name}`, async t => {
      const connection = await connect(t, server)
      const store = await redisStore(t, connection)
      await create(store)
      await store.close()
      await create(new RedisStore({ connection }))
    })
  }

  for (const client of ['ioredis', 'iovalkey', 'redis'] as const) {
    await t.test(`that the store has opened is closed with it: ${client}`, async t => {
      const before = await connected()
      const store = await redisStore(t, server.url, { client })
      await create(store)
      t.equal(await connected(), before + 1)
      await store.close()
      while (await connected() > before) await delay(5)
      await t.rejects(async () => await store.read(newKey()), { code: 'ERR_SESSION_STORE', cause: { message: /has been closed/ } })
    })
  }

  await t.test('that has been closed by the application is an error, and not waited for', async t => {
    const closing = new Ioredis(server.port)
    await once(closing, 'ready')
    const closed = new Ioredis(server.port)
    await Promise.all([once(closed, 'end'), closed.quit()])
    const neverOpened = [createClient({ url: server.url }), createCluster({ rootNodes: [{ url: server.url }] })]
    const reading = [closing, closed, ...neverOpened].map(async connection => {
      const store = await redisStore(t, connection, { timeout: 60_000 })
      if (connection === closing) closing.disconnect()
      await t.rejects(async () => await store.read(newKey()), { code: 'ERR_SESSION_STORE', statusCode: 503, cause: { message: /closed/ } })
    })
    await Promise.all(reading)
  })

  await t.test('is not waited for before the store is open', async t => {
    const store = new RedisStore({ connection: server.url })
    await t.rejects(async () => await store.read(newKey()), { code: 'ERR_SESSION_STORE', cause: { message: /has not been opened/ } })
    await store.close()
  })
})

t.test('an invalid connection is refused at once, without repeating the password', async t => {
  for (const connection of ['127.0.0.1:6379', 'redis:', 'http://user:secret@127.0.0.1', 'redis://user:secret@[', '']) {
    t.throws(() => new RedisStore({ connection }), { code: 'ERR_SESSION_CONFIG', message: /^(?!.*secret).*redis:\/\/127\.0\.0\.1:6379/ })
  }
  for (const connection of ['redis://:secret@127.0.0.1/shop', 'redis://:secret@127.0.0.1/1/shop', 'redis://:secret@127.0.0.1/-1']) {
    t.throws(() => new RedisStore({ connection }), { code: 'ERR_SESSION_CONFIG', message: /^(?!.*secret).*the number of a database/ })
  }
  for (const connection of [undefined, null, {}, { status: 'ready' }, { isReady: true }, { masters: [] }]) {
    t.throws(() => new RedisStore({ connection: connection as unknown as Connection }), { code: 'ERR_SESSION_CONFIG', message: /ioredis/ })
  }
})

t.test('a URL without a client that could open it is an error that says what to install', async t => {
  const options = { timeout: 100, onFault () {}, onLost () {}, onReady () {} }
  await t.rejects(connect('redis://127.0.0.1', ['@ambient-session/missing', '@ambient-session/missing-too'], options), {
    code: 'ERR_SESSION_CONFIG', message: /\(@ambient-session\/missing, @ambient-session\/missing-too\): npm i ioredis/
  })
  const broken = join(t.testdir({ 'broken.js': "import 'ambient-session-missing'" }), 'broken.js')
  await t.rejects(connect('redis://127.0.0.1', [broken], options), { message: /'ambient-session-missing'/ }, 'a client that is there but broken says why')
})

t.test('in the server', { skip }, async t => {
  const server = await redisServer(t)
  const open = async (t: Test): Promise<RedisStore> => {
    await server.command('FLUSHALL')
    return await redisStore(t, server.url)
  }
  const keys = async (): Promise<string[]> => (await server.command('KEYS', '*') as string[]).sort()
  const ttl = async (key: string): Promise<number> => Number(await server.command('PTTL', key))

  await t.test('a session is one text that can be read, and has its expiry', async t => {
    const store = await open(t)
    const key = newKey()
    const record = { ...recordOf('{"data":{}}'), ipAddress: '::1', lastActivity: new Date() }
    await store.compareAndSet(key, record, undefined)
    const name = `ambient_session:{${key.slice(0, 2)}}:session:${key}`
    t.same(await keys(), [`ambient_session:{${key.slice(0, 2)}}:all`, name])
    const [head, ...lines] = String(await server.command('GET', name)).split('\n')
    t.match(head, new RegExp(`^0000000001 ${+record.expiresAt} 0000000000000 \\S{10}-{70} $`))
    t.same(lines, [`${+record.createdAt} ${+record.lastActivity}`, '["::1",null]', '{"data":{}}'])
    t.ok(await ttl(name) > MINUTE / 2 && await ttl(name) <= MINUTE)
  })

  await t.test('nothing is without an expiry, and so everything goes by itself', async t => {
    const store = await open(t)
    const key = newKey()
    await store.compareAndSet(key, ownedBy('ada'), undefined)
    await store.touch(key, new Date(Date.now() + 10 * MINUTE))
    const { key: ended } = await create(store)
    await store.destroy(ended, new Date(Date.now() + MINUTE))
    await store.lock(key, { lease: MINUTE, wait: 0 })
    const names = await keys()
    t.equal(names.length, 5)
    for (const name of names) t.ok(await ttl(name) > 0, name)
  })

  await t.test('the list of all sheds what has expired, also beside a session that lives for long', async t => {
    const store = await open(t)
    const inShard = (): StoreKey => `00${newKey().slice(2)}` as StoreKey
    const list = 'ambient_session:{00}:all'
    const [living, touched, expiring] = [inShard(), inShard(), inShard()]
    await store.compareAndSet(living, recordOf('living', YEAR), undefined)
    await store.compareAndSet(expiring, recordOf('expiring', 20), undefined)
    t.same(await server.command('ZCARD', list), 2)
    while (await server.command('EXISTS', `ambient_session:{00}:session:${expiring}`) === 1) await delay(5)
    await store.compareAndSet(touched, recordOf('touched'), undefined)
    t.same(await server.command('ZRANGE', list, '0', '-1'), [touched, living])
    await server.command('ZADD', list, String(Date.now() - 1), 'over')
    await store.touch(touched, new Date(Date.now() + 2 * MINUTE))
    t.same(await server.command('ZRANGE', list, '0', '-1'), [touched, living])
    t.ok(await ttl(list) > YEAR / 2, 'it lives as long as the last session on it')
  })

  await t.test('a list of a user names what it has found to go on under another id', async t => {
    const store = await redisStore(t, server.url)
    const { key, version } = await create(store, 'before')
    await store.compareAndSet(key, { ...recordOf('ada\'s'), userId: 'moving' }, version)
    await store.destroy(key, new Date(Date.now() + MINUTE), undefined, 'regenerated')
    t.equal(await server.command('EXISTS', 'ambient_session:user-sessions:moving'), 0, 'it leaves the list')
    // As when the list was read before that, and the session after it.
    await server.command('ZADD', 'ambient_session:user-sessions:moving', String(Date.now() + MINUTE), key)
    t.match(await store.list({ userId: 'moving' }, { limit: 10 }), { records: [], moved: [key] })
  })

  await t.test('the list of a user sheds what has expired for long, and not what may yet be written', async t => {
    const store = await open(t)
    const list = 'ambient_session:user-sessions:ada'
    await store.compareAndSet(newKey(), ownedBy('ada', YEAR), undefined)
    await server.command('ZADD', list, String(Date.now() - 59_000), 'late', String(Date.now() - 61_000), 'over')
    await store.compareAndSet(newKey(), ownedBy('ada'), undefined)
    const named = await server.command('ZRANGE', list, '0', '-1') as string[]
    t.ok(named.includes('late'))
    t.notOk(named.includes('over'))
    t.equal((await store.list({ userId: 'ada' }, { limit: 10 })).records.length, 2)
  })

  await t.test('a session keeps its place on the list of its user as long as it lives', async t => {
    const store = await open(t)
    const key = newKey()
    let version = await store.compareAndSet(key, ownedBy('ada'), undefined) as Version
    const listedUntil = async (): Promise<number> => Number(await server.command('ZSCORE', 'ambient_session:user-sessions:ada', key))
    const first = await listedUntil()
    for (const [expiresIn, isMoved] of [[1.5, false], [3, true], [4, false]] as const) {
      const before = await listedUntil()
      const expiresAt = new Date(Date.now() + expiresIn * MINUTE)
      t.equal(await store.touch(key, expiresAt), true)
      t.equal(await listedUntil() > before, isMoved)
      t.ok(await listedUntil() >= expiresAt.getTime())
      t.ok(await ttl('ambient_session:user-sessions:ada') >= await ttl(`ambient_session:{${key.slice(0, 2)}}:session:${key}`))
    }
    t.ok(first < await listedUntil())
    version = await store.compareAndSet(key, ownedBy('ada', 20 * MINUTE), version) as Version
    t.type(version, 'number')
    t.ok(await listedUntil() >= (await readLiving(store, key)).expiresAt.getTime())
  })

  await t.test('a session that changes hands while it is touched stays on both lists that it may be looked for on', async t => {
    const store = await open(t)
    const key = newKey()
    const version = await store.compareAndSet(key, ownedBy('ada'), undefined) as Version
    const touched = store.touch(key, new Date(Date.now() + 30 * MINUTE))
    const written = store.compareAndSet(key, ownedBy('grace', 5 * MINUTE), version)
    t.equal(await touched, true)
    t.type(await written, 'number')
    t.same((await store.list({ userId: 'grace' }, { limit: 10 })).records.map(record => record.key), [key])
    t.same((await store.list({ userId: 'ada' }, { limit: 10 })).records, [])
  })

  await t.test('a session that changes hands each time that it is touched is given up, and not tried for ever', async t => {
    const other = await open(t)
    const client = new Ioredis(server.port)
    t.teardown(() => { client.disconnect() })
    const key = newKey()
    let version = await other.compareAndSet(key, ownedBy('user 1'), undefined) as Version
    const store = new RedisStore({
      connection: calling(client, async (command, args) => {
        const answer = await client.call(command, args)
        // Only a touch answers so: with the user whose list has to be extended first.
        if (typeof answer === 'string' && answer.startsWith('"')) version = await other.compareAndSet(key, ownedBy(`user ${version + 1}`), version) as Version
        return answer
      })
    })
    await t.rejects(store.touch(key, new Date(Date.now() + 30 * MINUTE)), {
      code: 'ERR_SESSION_STORE', message: 'the session store has failed', cause: { message: /the user of a session kept changing/ }
    })
    t.ok(version > 5, 'it was tried more than once')
  })

  await t.test('a list names sessions of any browser, and none that has ended', async t => {
    const store = await open(t)
    const [plain, verbose, over] = [newKey(), newKey(), newKey()]
    const userAgent = 'b'.repeat(5_000)
    await store.compareAndSet(plain, { ...ownedBy('ada'), userAgent: 'a browser' }, undefined)
    await store.compareAndSet(verbose, { ...ownedBy('ada'), userAgent, ipAddress: '192.0.2.1' }, undefined)
    await store.compareAndSet(over, ownedBy('ada'), undefined)
    await server.command('DEL', `ambient_session:{${over.slice(0, 2)}}:session:${over}`)
    const { records } = await store.list({ userId: 'ada' }, { limit: 10 })
    const byKey = new Map(records.map(record => [record.key, record]))
    t.equal(byKey.size, 2)
    t.match(byKey.get(plain), { userAgent: 'a browser', ipAddress: undefined })
    t.match(byKey.get(verbose), { userAgent, ipAddress: '192.0.2.1' })
  })

  await t.test('a foreign value under a session\'s key is no session', async t => {
    const store = await open(t)
    const key = newKey()
    const name = `ambient_session:{${key.slice(0, 2)}}:session:${key}`
    const head = `0000000001 1764000000000 0000000000000 ${'s'.repeat(80)} `
    for (const text of ['something', '1 2 3\n\n\npayload', '', head, `${head}\n\n\n`, `${head}\n1 -\n`, 'ended 1', '{"cookie":{}}']) {
      await server.command('SET', name, text)
      t.equal(await store.read(key), undefined, JSON.stringify(text))
      t.type(await store.compareAndSet(key, recordOf('new'), undefined), 'string', 'and it is not overwritten')
      t.equal(await server.command('GET', name), text)
    }
    await server.command('DEL', name)
    await server.command('HSET', name, 'payload', 'something')
    await t.rejects(async () => await store.read(key), {
      code: 'ERR_SESSION_STORE', message: 'the session store has failed', cause: { message: /WRONGTYPE.*give the store a prefix of its own/ }
    })
  })

  await t.test('a prefix that is not the store\'s alone is told when it opens, without any name that was found', async t => {
    const warnings: SessionWarning[] = []
    const report = (warning: SessionWarning): void => { warnings.push(warning) }
    await server.command('FLUSHALL')
    await server.command('SET', 'own?x:something', '')
    await (await redisStore(t, server.url, { prefix: 'own?:', report })).lock(newKey(), { lease: MINUTE, wait: 0 })
    await create(await redisStore(t, server.url, { prefix: 'own?:', report }))
    t.same(warnings, [])
    await server.command('SET', 'own?:a-session-id', '')
    for (const connection of [server.url, await clients.ioredis?.(t, server) ?? '']) {
      const store = await redisStore(t, connection, { prefix: 'own?:', report })
      await create(store)
      t.match(warnings.splice(0), [{ message: /^the Redis keys that begin with "own\?:" are not the session store's alone; give the store a prefix/ }])
    }
    await server.command('SADD', 'own?:user-sessions:ada', 'something')
    const error = await redisStore(t, server.url, { prefix: 'own?:', report }).then(() => undefined, (error: unknown) => error)
    t.match(error, { code: 'ERR_SESSION_CONFIG', message: /prefix: the Redis keys that begin with "own\?:" hold something else/ })
    t.notMatch(inspect([error, warnings], { depth: 10 }), /a-session-id|ada/)
  })

  await t.test('a tombstone says why and since when, and is no more than that', async t => {
    const store = await open(t)
    const { key } = await create(store, 'a secret')
    await store.destroy(key, new Date(Date.now() + MINUTE), undefined, 'regenerated')
    t.match(await server.command('GET', `ambient_session:{${key.slice(0, 2)}}:session:${key}`), /^regenerated \d+ \S{10}$/)
  })
})

t.test('a command that a client sends again is done once', { skip }, async t => {
  const server = await redisServer(t)
  const client = new Ioredis(server.port)
  t.teardown(() => { client.disconnect() })
  // As when the connection was lost between the first and its answer.
  const store = new RedisStore({
    connection: calling(client, async (command, args) => {
      await client.call(command, args)
      return await client.call(command, args)
    })
  })
  const { key, version } = await create(store, '0')
  const second = await store.compareAndSet(key, recordOf('1'), version)
  t.equal(second, version + 1)
  t.equal(await store.compareAndSet(key, recordOf('late'), version), 'conflict')
  t.equal((await readLiving(store, key)).version, second)
  const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
  await unlock()
  t.equal(await store.destroy(key, new Date(Date.now() + MINUTE)), 'destroyed')
  t.equal(await store.destroy(key, new Date(Date.now() + MINUTE)), 'gone')

  const { key: another } = await create(store)
  t.equal(await store.destroy(another), 'destroyed', 'without a tombstone as well')
  t.equal(await store.destroy(another), 'gone')
})

t.test('a session that is destroyed without a tombstone leaves nothing but a stamp, for some seconds', { skip }, async t => {
  const server = await redisServer(t)
  const store = await redisStore(t, server.url)
  const { key, version } = await create(store, 'a secret')
  await store.destroy(key)
  const name = `ambient_session:{${key.slice(0, 2)}}:session:${key}`
  t.match(await server.command('GET', name), /^- \S{10}$/)
  t.ok(Number(await server.command('PTTL', name)) <= 10_000)
  t.equal(await store.read(key), undefined)
  t.same((await store.list({}, { limit: 10 })).records, [])
  t.equal(await store.touch(key, new Date(Date.now() + MINUTE)), false)
  t.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
  t.equal(await store.compareAndSet(key, recordOf('new'), undefined), 1, 'another may begin under that key')
  t.match(await store.read(key), { payload: 'new' })
})

t.test('with grace 0, a sign-in whose last command is sent again keeps the session', { skip }, async t => {
  const server = await redisServer(t)
  const client = new Ioredis(server.port)
  const connection = calling(client, async (command, args) => {
    const first = await client.call(command, args)
    return args[0] === DESTROY.sha ? await client.call(command, args) : first
  })
  const app = fastify()
  t.teardown(async () => {
    await app.close()
    client.disconnect()
  })
  await app.register(ambientSession, { driver: 'redis', connection, grace: 0 })
  app.get('/begin', async () => { session({ cart: 'full' }) })
  app.post('/sign-in', async () => {
    session().regenerate()
    session().setUser('ada')
  })
  app.get('/cart', () => session('cart', 'gone'))
  const cookiesOf = ({ cookies }: { cookies: readonly { name: string, value: string }[] }): Record<string, string> => {
    return Object.fromEntries(cookies.map(({ name, value }) => [name, value]))
  }
  // The server has to know the script: only then is it sent by its name alone.
  await create(new RedisStore({ connection: client })).then(({ key }) => new RedisStore({ connection: client }).destroy(key))
  const begun = await app.inject('/begin')
  const signedIn = await app.inject({ method: 'POST', url: '/sign-in', cookies: cookiesOf(begun) })
  t.equal((await app.inject({ url: '/cart', cookies: cookiesOf(signedIn) })).body, 'full')
})

t.test('a commit that is sent again behind others is still known as done, up to the eighth', { skip }, async t => {
  const server = await redisServer(t)
  const client = new Ioredis(server.port)
  t.teardown(() => { client.disconnect() })
  const sent: [string, string[]][] = []
  const store = new RedisStore({
    connection: calling(client, async (command, args) => {
      sent.push([command, args])
      return await client.call(command, args)
    })
  })
  const { key, version } = await create(store, '0')
  const [creation] = sent.splice(0).slice(-1) as [[string, string[]]]
  for (let behind = 0; behind < 10; behind++) {
    const answer = await client.call(...creation)
    t.equal(answer, behind < 8 ? 1 : 'conflict', `${behind} commits behind`)
    t.equal(await store.compareAndSet(key, recordOf(String(behind + 1)), (version + behind) as Version), version + behind + 1)
  }
})

t.test('an answer that is none is an error, and nothing that a caller could rely on', { skip }, async t => {
  const server = await redisServer(t)
  const client = new Ioredis(server.port)
  t.teardown(() => { client.disconnect() })
  const real = new RedisStore({ connection: client })
  const { key, version } = await create(real, 'before')
  const owned = newKey()
  await real.compareAndSet(owned, ownedBy('ada'), undefined)
  const allFail = async (store: RedisStore, message: RegExp): Promise<void> => {
    const calls: Record<string, () => unknown> = {
      read: () => store.read(key),
      compareAndSet: () => store.compareAndSet(key, recordOf('after'), version),
      'compareAndSet for a user': () => store.compareAndSet(newKey(), ownedBy('ada'), undefined),
      touch: () => store.touch(key, new Date(Date.now() + 2 * MINUTE)),
      destroy: () => store.destroy(key),
      list: () => store.list({ userId: 'ada' }, { limit: 10 }),
      lock: () => store.lock(key, { lease: MINUTE, wait: 0 })
    }
    for (const [name, call] of Object.entries(calls)) {
      await t.rejects(async () => await call(), { code: 'ERR_SESSION_STORE', message: 'the session store has failed', cause: { message } }, name)
    }
  }
  await client.multi({ pipeline: false })
  await allFail(real, /in a MULTI/)
  await client.discard()
  for (const answer of [undefined, 2, {}]) {
    await allFail(new RedisStore({ connection: calling(client, async () => answer) }), /does not give/)
  }
  t.match(await real.read(key), { payload: 'before', version })
})

t.test('a session and its user take so many round trips', { skip }, async t => {
  const server = await redisServer(t)
  const client = new Ioredis(server.port)
  t.teardown(() => { client.disconnect() })
  let commands = 0
  const store = new RedisStore({
    connection: calling(client, async (command, args) => {
      commands++
      return await client.call(command, args)
    })
  })
  const trips = async (work: () => Promise<unknown>): Promise<number> => {
    const before = commands
    await work()
    return commands - before
  }
  // The server learns the scripts.
  await store.compareAndSet(newKey(), ownedBy('ada'), undefined)
  await store.touch(newKey(), new Date())
  const [anonymous, owned] = [newKey(), newKey()]
  t.equal(await trips(() => store.compareAndSet(anonymous, recordOf('new'), undefined)), 1)
  t.equal(await trips(() => store.read(anonymous)), 1)
  t.equal(await trips(() => store.compareAndSet(anonymous, recordOf('changed'), 1 as Version)), 1)
  t.equal(await trips(() => store.touch(anonymous, new Date(Date.now() + MINUTE))), 1)
  t.equal(await trips(() => store.compareAndSet(owned, ownedBy('ada'), undefined)), 2, 'the list of the user comes first')
  t.equal(await trips(() => store.compareAndSet(owned, ownedBy('ada'), 1 as Version)), 1)
  t.equal(await trips(() => store.touch(owned, new Date(Date.now() + MINUTE))), 1)
  t.equal(await trips(() => store.compareAndSet(owned, ownedBy('grace'), 2 as Version)), 3, 'the list of the other user is found wanting')
})

t.test('two processes that count on one session lose nothing', { skip }, async t => {
  const server = await redisServer(t)
  const store = await redisStore(t, server.url)
  const { key } = await create(store, '0')
  await Promise.all(['increment', 'increment'].map(command => child(t, server.url, command, key, 50)))
  t.equal((await readLiving(store, key)).payload, '100')
})

t.test('a session\'s lock is exclusive between processes', { skip }, async t => {
  const server = await redisServer(t)
  const store = await redisStore(t, server.url)
  const { key } = await create(store, '0')
  await Promise.all(['blocking', 'blocking', 'blocking'].map(command => child(t, server.url, command, key, 20)))
  t.equal((await readLiving(store, key)).payload, '60')
})

t.test('a waiting request gets the lock when it is released, after others have given up', { skip }, async t => {
  const server = await redisServer(t)
  const [holder, waiter, another] = [await redisStore(t, server.url), await redisStore(t, server.url), await redisStore(t, server.url)]
  for (let round = 0; round < 5; round++) {
    const key = newKey()
    const unlock = await holder.lock(key, { lease: 10 * MINUTE, wait: 0 })
    const waiting = waiter.lock(key, { lease: 10 * MINUTE, wait: MINUTE })
    for (const impatient of [waiter, another]) {
      await t.rejects(impatient.lock(key, { lease: MINUTE, wait: 60 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
    }
    await unlock()
    await (await waiting)()
  }
})

t.test('without a report function, an outage is a warning of the process', { skip }, async t => {
  const server = await redisServer(t)
  const warnings: SessionWarning['code'][] = []
  const note = (warning: Error & { code?: SessionWarning['code'] }): void => { if (warning.code !== undefined) warnings.push(warning.code) }
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  await redisStore(t, server.url, { timeout: 200 })
  await server.kill()
  while (warnings.length === 0) await delay(5)
  t.same(warnings, ['AMBIENT_SESSION_STORE'])
})

/** A client that does something else with commands. */
function calling (client: Ioredis, call: (command: string, args: string[]) => Promise<unknown>): IoredisClient {
  return new Proxy(client, {
    get: (target, name) => name === 'call' ? call : Reflect.get(target, name, target) as unknown
  })
}

/** Runs a process of its own to its end; see redis-child.ts for what it can do. */
async function child (t: Test, ...args: [url: string, command: string, key: StoreKey, count: number]): Promise<void> {
  const program = startProgram(t, join(import.meta.dirname, 'redis-child.ts'), args)
  await program.ended
  t.equal(program.process.exitCode, 0)
}

t.test('commands of one turn of the event loop leave in one piece', { skip }, async t => {
  const { port } = await redisServer(t)
  const pieces: string[] = []
  const way = createServer(client => {
    const server = createConnection(port)
    client.on('data', piece => { pieces.push(piece.toString('latin1')) })
    client.pipe(server).pipe(client)
  }).listen(0, '127.0.0.1')
  await once(way, 'listening')
  t.teardown(() => { way.close() })
  const store = await redisStore(t, `redis://127.0.0.1:${(way.address() as AddressInfo).port}`, { client: 'ioredis' })
  const { key } = await create(store)
  pieces.length = 0
  await Promise.all([...Array.from({ length: 20 }, () => readLiving(store, key)), create(store)])
  t.equal(pieces.length, 1)
  t.equal(pieces.join('').split('GET').length - 1, 20)
})
