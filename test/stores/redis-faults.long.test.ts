/** The Redis store while things go wrong: with servers of its own, which are killed, stopped, full, or not there. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import fastify from 'fastify'
import { Redis as Ioredis } from 'ioredis'
import { createClient } from 'redis'
import t, { type Test } from 'tap'
import ambientSession, { RedisStore, type RedisStoreOptions, type SessionWarning, type StoreKey, type Version } from '../../src/index.ts'
import { failure } from '../../src/stores/redis/link.ts'
import { freePort, hasRedisServer, newRedisServer, redisServer, type RedisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { create, newKey, readLiving, recordOf } from './conformance.ts'

const MINUTE = 60_000
/** Milliseconds within which an operation is to fail, and what a busy machine may add to that. */
const TIMEOUT = 300
/** A machine may be busy. Without its limit, a call would take as long as the outage. */
const LEEWAY = 20_000

/** All that clients are told. */
const PLAIN = /^the session store (?:could not be reached|did not answer in time|has failed)$/

const skip = await skipWithout('redis-server to start', hasRedisServer)
const packages = ['ioredis', 'iovalkey', 'redis'] as const

const FAILED = { code: 'AMBIENT_SESSION_STORE', message: /answered with 503 until it is back/ }
const BACK = { code: 'AMBIENT_SESSION_STORE', message: 'the connection of the session store to Redis is back' }

interface OpenStore {
  readonly store: RedisStore
  readonly warnings: SessionWarning[]
}

async function redisStore (t: Test, { url }: { url: string }, options: Partial<RedisStoreOptions> = {}): Promise<OpenStore> {
  const warnings: SessionWarning[] = []
  const store = new RedisStore({ connection: url, timeout: TIMEOUT, report: warning => { warnings.push(warning) }, ...options })
  t.teardown(async () => { await store.close() })
  await store.open()
  return { store, warnings }
}

/** That an operation fails in time with a 503 whose message is plain, and whose cause says more. */
async function fails (t: Test, operation: () => unknown, detail: RegExp): Promise<void> {
  const begin = performance.now()
  await t.rejects(async () => await operation(), { code: 'ERR_SESSION_STORE', statusCode: 503, message: PLAIN, cause: { message: detail } })
  const took = performance.now() - begin
  t.ok(took < TIMEOUT + LEEWAY, `it took ${Math.round(took)} ms`)
}

/** Does it again until it does not fail, which must be soon. */
async function recovers<T> (operation: () => T | Promise<T>): Promise<T> {
  for (const deadline = performance.now() + 20_000; ;) {
    try {
      return await operation()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await delay(20)
    }
  }
}

for (const client of packages) {
  t.test(`with a connection that ${client} has opened`, { skip }, async t => {
    await t.test('a server that refuses connections at the start: the store opens, answers 503, and works once it is there', async t => {
      const server = await newRedisServer(t)
      const begin = performance.now()
      const { store, warnings } = await redisStore(t, server, { client })
      t.ok(performance.now() - begin < TIMEOUT + LEEWAY)
      t.match(warnings, [{ code: 'AMBIENT_SESSION_STORE', message: /ECONNREFUSED/ }])
      await fails(t, () => store.read(newKey()), /no connection to Redis \(.*ECONNREFUSED.*\)/)
      await server.start()
      await recovers(() => create(store))
      t.match(warnings, [FAILED, BACK], 'it is told of once')
    })

    await t.test('a connection that the server closes without an error is told of, and there is another one', async t => {
      const server = await redisServer(t)
      const { store, warnings } = await redisStore(t, server, { client })
      await create(store)
      const killer = new Ioredis(server.port)
      t.teardown(() => { killer.disconnect() })
      await killer.call('CLIENT', ['KILL', 'TYPE', 'normal'])
      while (warnings.length === 0) await delay(5)
      await recovers(() => create(store))
      t.match(warnings, [FAILED, BACK])
    })

    await t.test('a server that is killed under load, and started again: what was acknowledged is there', async t => {
      const server = await redisServer(t, '--appendonly', 'yes', '--appendfsync', 'always')
      const { store, warnings } = await redisStore(t, server, { client })
      const acknowledged = new Map<StoreKey, Version>()
      const failures: unknown[] = []
      const load = new AbortController()
      const writers = Array.from({ length: 20 }, async () => {
        let { key, version } = await create(store)
        acknowledged.set(key, version)
        while (!load.signal.aborted) {
          try {
            const answer = await store.compareAndSet(key, recordOf('changed'), version)
            // A commit that failed may have been stored nevertheless.
            version = typeof answer === 'number' ? answer : (await readLiving(store, key)).version
            acknowledged.set(key, version)
          } catch (error) {
            failures.push(error)
            await delay(5)
          }
        }
      })
      await delay(100)
      await server.kill()
      while (failures.length === 0) await delay(5)
      await server.start()
      await recovers(() => create(store))
      load.abort()
      await Promise.all(writers)
      for (const error of failures) t.match(error, { code: 'ERR_SESSION_STORE', statusCode: 503 })
      for (const [key, version] of acknowledged) t.ok((await readLiving(store, key)).version >= version)
      t.match(warnings, [FAILED, BACK], 'the outage is told of once')
      await server.kill()
      while (warnings.length === 2) await delay(5)
      t.match(warnings, [FAILED, BACK, FAILED], 'and the next one again')
    })

    await t.test('a server that is stopped: 503 in time, and everything goes on when it does', async t => {
      const server = await redisServer(t)
      const { store } = await redisStore(t, server, { client })
      const { key, version } = await create(store, '0')
      server.signal('SIGSTOP')
      await fails(t, () => store.compareAndSet(key, recordOf('1'), version), /has not answered within 300 ms/)
      await Promise.all(Array.from({ length: 150 }, async () => { await t.rejects(async () => await store.read(key), { code: 'ERR_SESSION_STORE' }) }))
      const begin = performance.now()
      await t.rejects(async () => await store.read(key), { code: 'ERR_SESSION_STORE' })
      t.ok(performance.now() - begin < TIMEOUT + LEEWAY)
      // Long enough for the connection to be given up and another one to be tried.
      await delay(3 * TIMEOUT)
      await fails(t, () => store.read(key), /Redis/)
      server.signal('SIGCONT')
      const { payload } = await recovers(() => readLiving(store, key))
      t.ok(['0', '1'].includes(payload), 'the commit that failed was stored as a whole, or not at all')
      await recovers(() => create(store))
    })

    await t.test('a server that is stopped does not keep the application from closing', async t => {
      const server = await redisServer(t)
      const { store } = await redisStore(t, server, { client })
      server.signal('SIGSTOP')
      const reading = t.rejects(async () => await store.read(newKey()), { code: 'ERR_SESSION_STORE' })
      const begin = performance.now()
      await store.close()
      t.ok(performance.now() - begin < TIMEOUT + LEEWAY)
      await reading
    })

    await t.test('a server that takes connections and never says a word', async t => {
      const sockets: Socket[] = []
      const silent = createServer(socket => { sockets.push(socket.on('error', () => {})) }).listen(0, '127.0.0.1')
      await once(silent, 'listening')
      t.teardown(() => {
        for (const socket of sockets) socket.destroy()
        silent.close()
      })
      const { store, warnings } = await redisStore(t, { url: `redis://127.0.0.1:${(silent.address() as AddressInfo).port}` }, { client })
      t.match(warnings, [{ code: 'AMBIENT_SESSION_STORE', message: /no connection within 300 ms/ }])
      await fails(t, () => store.read(newKey()), /no connection to Redis/)
    })

    await t.test('a server that forgets its scripts', async t => {
      const server = await redisServer(t)
      const { store } = await redisStore(t, server, { client })
      const { key, version } = await create(store, '0')
      await server.command('SCRIPT', 'FLUSH')
      t.type(await store.compareAndSet(key, recordOf('1'), version), 'number')
      await server.command('SCRIPT', 'FLUSH')
      const created = await Promise.all(Array.from({ length: 20 }, async () => await create(store)))
      t.equal(new Set(created.map(({ key }) => key)).size, 20)
    })

    await t.test('a server whose memory is full: nothing is half written, and sessions can still be read, kept alive and ended', async t => {
      const server = await redisServer(t, '--maxmemory-policy', 'noeviction')
      const { store } = await redisStore(t, server, { client })
      const { key, version } = await create(store, 'before')
      const { key: another } = await create(store)
      await server.command('CONFIG', 'SET', 'maxmemory', '1')
      await fails(t, () => store.compareAndSet(key, recordOf('after'), version), /Redis refused the command \(OOM/)
      await fails(t, () => create(store), /OOM/)
      await fails(t, () => store.compareAndSet(newKey(), { ...recordOf('new'), userId: 'ada' }, undefined), /OOM/)
      t.match(await store.read(key), { payload: 'before', version })
      const expiresAt = new Date(Date.now() + 5 * MINUTE)
      t.equal(await store.touch(key, expiresAt), true)
      t.same((await readLiving(store, key)).expiresAt, expiresAt)
      t.equal(await store.destroy(another, expiresAt), 'destroyed')
      t.match(await store.read(another), { reason: 'ended' })
      await server.command('CONFIG', 'SET', 'maxmemory', '0')
      t.type(await store.compareAndSet(key, recordOf('after'), version), 'number')
    })

    await t.test('a server that has become a replica, and a primary again', async t => {
      const server = await redisServer(t)
      const { store } = await redisStore(t, server, { client })
      const { key, version } = await create(store)
      await server.command('REPLICAOF', '127.0.0.1', String(await freePort()))
      await fails(t, () => store.compareAndSet(key, recordOf('changed'), version), /READONLY|connection/)
      await server.command('REPLICAOF', 'NO', 'ONE')
      t.type(await recovers(() => store.compareAndSet(key, recordOf('changed'), version)), 'number')
    })

    await t.test('a server that is still loading its data', async t => {
      // Loading takes 20 ms for each key, so that it lasts, and connections are answered meanwhile.
      const server = await redisServer(t, '--enable-debug-command', 'yes', '--rdbcompression', 'no',
        '--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024')
      await server.command('DEBUG', 'POPULATE', '100', 'filler', '2000')
      const filling = await redisStore(t, server, { client })
      const { key } = await create(filling.store, 'before')
      await server.command('SAVE')
      await server.kill()
      await server.start(/Server initialized/)
      const { store } = await redisStore(t, server, { client })
      await fails(t, () => store.read(key), client === 'redis' ? /LOADING/ : /no connection/)
      t.match(await server.command('INFO', 'persistence'), /^loading:1/m)
      t.match(await recovers(() => store.read(key)), { payload: 'before' })
    })

    await t.test('a database that the server does not have, or the user may not select, is an error at the start', async t => {
      const server = await redisServer(t)
      await server.command('ACL', 'SETUSER', 'few', 'on', '>password', '~*', '&*', '+@all', '-select')
      for (const url of [`${server.url}/16`, `redis://few:password@127.0.0.1:${server.port}/5`]) {
        await t.rejects(redisStore(t, { url }, { client }), {
          code: 'ERR_SESSION_CONFIG', message: /connection: Redis refuses the database of the URL: .*; name one that the server has, and that this user may SELECT/
        })
      }
      const { store } = await redisStore(t, { url: `${server.url}/15` }, { client })
      await create(store)
      t.match(await server.command('INFO', 'keyspace'), /^# Keyspace\s+db15:\S+\s*$/)
    })

    await t.test('a database that may not be selected any more after an outage: 503, nothing in another one, and everything goes on when it may', async t => {
      const server = await redisServer(t)
      await server.command('ACL', 'SETUSER', 'app', 'on', '>password', '~*', '&*', '+@all')
      const { store, warnings } = await redisStore(t, { url: `redis://app:password@127.0.0.1:${server.port}/5` }, { client })
      const { key } = await create(store, 'in database 5')
      await server.command('ACL', 'SETUSER', 'app', '-select')
      await server.command('CLIENT', 'KILL', 'USER', 'app')
      while (warnings.length === 0) await delay(5)
      for (let n = 0; n < 5; n++) await fails(t, () => create(store), /no connection|connection .*failed/)
      await server.command('ACL', 'SETUSER', 'app', '+select')
      t.match(await recovers(() => store.read(key)), { payload: 'in database 5' })
      t.notMatch(await server.command('INFO', 'keyspace'), /db0/)
      t.match(warnings, [FAILED, BACK], 'the outage is told of once')
      await server.kill()
      while (warnings.length === 2) await delay(5)
      t.match(warnings, [FAILED, BACK, FAILED], 'and the next one again')
    })

    await t.test('a password that the server refuses, or asks for, is an error at the start that does not repeat it', async t => {
      const [locked, open] = [await redisServer(t, '--requirepass', 'the right one'), await redisServer(t)]
      for (const [user, { port }, reason] of [[':the-wrong-one@', locked, /WRONGPASS/], ['', locked, /NOAUTH/], ['app:the-wrong-one@', open, /WRONGPASS/]] as const) {
        const warnings: unknown[] = []
        const store = new RedisStore({ connection: `redis://${user}127.0.0.1:${port}`, client, report: warning => { warnings.push(warning) } })
        const error = await store.open().then(() => undefined, (error: unknown) => error)
        t.match(error, { code: 'ERR_SESSION_CONFIG', message: reason })
        t.match(error, { message: /connection: Redis refuses the user and password of the URL/ })
        t.notMatch(inspect([error, warnings], { depth: 10 }), /the-wrong-one/)
        t.match(warnings, [FAILED])
      }
    })
  })
}

t.test('with a client of the application', { skip }, async t => {
  const connections: Record<string, (t: Test, server: RedisServer) => Promise<RedisStoreOptions['connection']>> = {
    async ioredis (t, { port }) {
      const client = new Ioredis(port).on('error', () => {})
      t.teardown(() => { client.disconnect() })
      return client
    },
    async 'node-redis' (t, { url }) {
      const client = createClient({ url }).on('error', () => {})
      t.teardown(() => { client.destroy() })
      await client.connect()
      return client
    }
  }
  for (const [name, connect] of Object.entries(connections)) {
    await t.test(`${name}: what failed while the server was away is not done later`, async t => {
      const server = await redisServer(t, '--appendonly', 'yes', '--appendfsync', 'always')
      const store = new RedisStore({ connection: await connect(t, server), timeout: TIMEOUT })
      const { key, version } = await create(store, 'before')
      await server.kill()
      // The client has to have noticed.
      await t.rejects(async () => { for (;;) await store.read(key) }, { code: 'ERR_SESSION_STORE' })
      await fails(t, () => store.compareAndSet(key, recordOf('late'), version), /no connection to Redis/)
      await fails(t, () => store.destroy(key), /no connection to Redis/)
      await server.start()
      t.match(await recovers(() => store.read(key)), { payload: 'before', version })
    })

    await t.test(`${name}: a server that leaves many commands unanswered is tried with one at a time`, async t => {
      const server = await redisServer(t)
      const store = new RedisStore({ connection: await connect(t, server), timeout: TIMEOUT })
      const { key } = await create(store)
      server.signal('SIGSTOP')
      await Promise.all(Array.from({ length: 100 }, async () => { await fails(t, () => store.read(key), /has not answered within/) }))
      const answers = await Promise.all(Array.from({ length: 100 }, async () => await Promise.resolve(store.read(key)).catch((error: unknown) => error)))
      t.equal(answers.filter(answer => /one command at a time/.test(inspect(answer))).length, 99)
      server.signal('SIGCONT')
      t.match(await recovers(() => store.read(key)), { payload: 'payload' })
      await Promise.all(Array.from({ length: 200 }, async () => await readLiving(store, key)))
    })

    await t.test(`${name}: a connection that many have waited for in vain is waited for by one at a time`, async t => {
      const server = await redisServer(t, '--appendonly', 'yes', '--appendfsync', 'always')
      const store = new RedisStore({ connection: await connect(t, server), timeout: TIMEOUT })
      const { key } = await create(store)
      await server.kill()
      await t.rejects(async () => { for (;;) await store.read(key) }, { code: 'ERR_SESSION_STORE' })
      await Promise.all(Array.from({ length: 100 }, async () => { await fails(t, () => store.read(key), /no connection to Redis.*and there was none within/) }))
      const answers = await Promise.all(Array.from({ length: 100 }, async () => await Promise.resolve(store.read(key)).catch((error: unknown) => error)))
      t.equal(answers.filter(answer => /one command at a time/.test(inspect(answer))).length, 99)
      await server.start()
      t.match(await recovers(() => store.read(key)), { payload: 'payload' })
      await Promise.all(Array.from({ length: 200 }, async () => await readLiving(store, key)))
    })
  }
})

t.test('what Redis refuses is not half done', { skip }, async t => {
  const server = await redisServer(t)
  const { store } = await redisStore(t, server)
  const open = async (t: Test, ...rights: string[]): Promise<RedisStore> => {
    await server.command('ACL', 'SETUSER', 'app', 'reset', 'on', '>password', ...rights)
    return (await redisStore(t, { url: `redis://app:password@127.0.0.1:${server.port}` })).store
  }
  const expiresAt = new Date(Date.now() + 5 * MINUTE)
  const changesNothing = async (t: Test, refused: RedisStore, key: StoreKey, detail: RegExp): Promise<void> => {
    const before = await readLiving(store, key)
    const another = `${key.slice(0, 2)}${newKey().slice(2)}` as StoreKey
    await fails(t, () => refused.compareAndSet(another, recordOf('new'), undefined), detail)
    t.equal(await store.read(another), undefined)
    await fails(t, () => refused.compareAndSet(key, recordOf('after', 2 * MINUTE), before.version), detail)
    await fails(t, () => refused.touch(key, expiresAt), detail)
    t.same(await readLiving(store, key), before)
    t.ok(Number(await server.command('PTTL', `ambient_session:{${key.slice(0, 2)}}:session:${key}`)) <= MINUTE)
  }

  for (const command of ['time', 'pttl', 'zadd', 'zremrangebyscore']) {
    await t.test(`without the right to ${command}`, async t => {
      await changesNothing(t, await open(t, '~*', '+@all', `-${command}`), (await create(store)).key, /Redis refused the command/)
    })
  }

  await t.test('where something else has the name of the list', async t => {
    const { key } = await create(store)
    const refused = await open(t, '~*', '+@all')
    const list = `ambient_session:{${key.slice(0, 2)}}:all`
    await server.command('SET', list, 'something')
    await changesNothing(t, refused, key, /WRONGTYPE/)
    await fails(t, () => refused.destroy(key, expiresAt), /WRONGTYPE/)
    await readLiving(store, key)
    await server.command('DEL', list)
  })

  await t.test('and without the right to end sessions they stay on their list', async t => {
    const { key } = await create(store)
    const refused = await open(t, '~*', '+@all', '-del')
    await fails(t, () => refused.destroy(key), /Redis refused the command/)
    t.ok((await store.list({}, { limit: 100 })).records.some(record => record.key === key))
  })

  await t.test('with the rights that the documentation names all is done', async t => {
    const page = await readFile('docs/stores/redis.md', 'utf8')
    const paragraph = /\*\*A user of its own\.\*\*.*?\n\n/s.exec(page)?.[0] ?? ''
    const rights = [...paragraph.matchAll(/`([~+][^`]+)`/g)].flatMap(([, right]) => right ?? [])
    const granted = await open(t, ...rights)
    const { key, version } = await create(granted)
    t.type(await granted.compareAndSet(key, { ...recordOf('after'), userId: 'ada' }, version), 'number')
    t.equal(await granted.touch(key, expiresAt), true)
    t.equal((await granted.list({ userId: 'ada' }, { limit: 10 })).records.length, 1)
    await (await granted.lock(key, { lease: MINUTE, wait: 0 }))()
    t.equal(await granted.destroy(key, expiresAt), 'destroyed')
  })
})

t.test('a lazy client of the application whose server is not there', { skip }, async t => {
  const client = new Ioredis({ port: await freePort(), lazyConnect: true, retryStrategy: () => 10 }).on('error', () => {})
  t.teardown(() => { client.disconnect() })
  const store = new RedisStore({ connection: client, timeout: TIMEOUT })
  await fails(t, () => store.read(newKey()), /no connection to Redis, and there was none within 300 ms/)
})

t.test('a lock', { skip }, async t => {
  await t.test('that a stopped server has not granted is free when the server goes on', async t => {
    const server = await redisServer(t)
    const client = new Ioredis(server.port)
    t.teardown(() => { client.disconnect() })
    const store = new RedisStore({ connection: client, timeout: TIMEOUT })
    const key = newKey()
    await (await store.lock(key, { lease: MINUTE, wait: 0 }))()
    server.signal('SIGSTOP')
    await fails(t, () => store.lock(key, { lease: MINUTE, wait: 0 }), /has not answered/)
    server.signal('SIGCONT')
    const unlock = await store.lock(key, { lease: MINUTE, wait: 5_000 })
    server.signal('SIGSTOP')
    await fails(t, unlock, /has not answered/)
    server.signal('SIGCONT')
    await (await store.lock(key, { lease: MINUTE, wait: 5_000 }))()
  })

  await t.test('cannot be had without a server', async t => {
    const { store } = await redisStore(t, await newRedisServer(t))
    await fails(t, () => store.lock(newKey(), { lease: MINUTE, wait: 0 }), /no connection/)
  })
})

t.test('an application answers 503 while the server is away, and works when it is there', { skip }, async t => {
  const server = await newRedisServer(t, '--appendonly', 'yes', '--appendfsync', 'always')
  const store = new RedisStore({ connection: server.url, timeout: TIMEOUT, report () {} })
  const app = fastify()
  t.teardown(async () => { await app.close() })
  await app.register(ambientSession, { driver: store })
  app.get('/count', request => String(request.session().increment('count')))
  app.get('/plain', () => 'works without a session')

  const away = await app.inject('/count')
  t.equal(away.statusCode, 503)
  t.same(away.json(), { statusCode: 503, code: 'ERR_SESSION_STORE', error: 'Service Unavailable', message: 'the session store could not be reached' })
  t.equal((await app.inject('/plain')).statusCode, 200)

  await server.start()
  const first = await recovers(async () => {
    const response = await app.inject('/count')
    if (response.statusCode !== 200) throw new Error(response.body)
    return response
  })
  const cookies = Object.fromEntries(first.cookies.map(({ name, value }) => [name, value]))
  t.equal((await app.inject({ url: '/count', cookies })).body, '2')
  await server.kill()
  t.equal((await app.inject({ url: '/count', cookies })).statusCode, 503)
  await server.start()
  await recovers(() => store.read(newKey()))
  t.equal((await app.inject({ url: '/count', cookies })).body, '3')
})

t.test('an application with a long timeout starts while there is no answer', { skip }, async t => {
  const starts = async (connection: RedisStoreOptions['connection'], warnings: SessionWarning[] = []): Promise<void> => {
    const app = fastify()
    t.teardown(async () => { await app.close() })
    const report = (warning: SessionWarning): void => { warnings.push(warning) }
    await app.register(ambientSession, { driver: new RedisStore({ connection, timeout: MINUTE, report }) })
    await t.resolves(async () => { await app.ready() })
  }
  const stopped = await redisServer(t)
  const client = new Ioredis(stopped.port).on('error', () => {})
  t.teardown(() => { client.disconnect() })
  await once(client, 'ready')
  stopped.signal('SIGSTOP')
  const warnings: SessionWarning[] = []
  await Promise.all([
    t.resolves(starts((await newRedisServer(t)).url, warnings), 'without a connection'),
    t.resolves(starts(client), 'with a connection over which nobody says whose keys there are')
  ])
  t.match(warnings, [{ message: /ECONNREFUSED/ }])
})

t.test('an error does not tell what was to be stored', { skip }, async t => {
  const server = await redisServer(t, '--maxmemory-policy', 'noeviction')
  const { store } = await redisStore(t, server)
  const { key, version } = await create(store)
  await server.command('CONFIG', 'SET', 'maxmemory', '1')
  const error = await Promise.resolve(store.compareAndSet(key, recordOf('a secret'), version)).catch((error: unknown) => error)
  t.match(error, { code: 'ERR_SESSION_STORE', message: PLAIN, cause: { message: /OOM/, cause: { message: /^OOM/ } } })
  t.notMatch(inspect(error, { depth: 10, showHidden: true }), /a secret/)

  const quoting = failure(new Error("ERR unknown command 'EVALSHA', with args beginning with: 'a secret'"))
  t.match(quoting.cause, { message: "Redis refused the command (ERR unknown command 'EVALSHA'…)" })
  t.notMatch(inspect(quoting, { depth: 10 }), /a secret/)
  t.match(failure('a text').cause, { message: /a text/ }, 'not all that is thrown is an error')
})
