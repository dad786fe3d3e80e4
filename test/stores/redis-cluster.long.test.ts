/** The Redis store in a cluster of three servers: one of them fails, and keys move from one to another. The contract is in redis.test.ts. */
import { execFile } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { Cluster as IoredisCluster } from 'ioredis'
import { createCluster } from 'redis'
import t, { type Test } from 'tap'
import { RedisStore, type RedisStoreOptions, SessionStoreError, type StoreKey } from '../../src/index.ts'
import { hasRedisServer, redisCluster, type RedisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'

const run = promisify(execFile)
const skip = await skipWithout('redis-server to start', hasRedisServer)

const clients: Record<string, (t: Test, server: RedisServer) => Promise<RedisStoreOptions['connection']>> = {
  async ioredis (t, { port }) {
    const cluster = new IoredisCluster([{ host: '127.0.0.1', port }], { redisOptions: { maxRetriesPerRequest: 1 } })
    cluster.on('error', () => {})
    t.teardown(() => { cluster.disconnect() })
    return cluster
  },
  async 'node-redis' (t, { url }) {
    const cluster = createCluster({ rootNodes: [{ url }] })
    cluster.on('error', () => {})
    t.teardown(() => { cluster.destroy() })
    await cluster.connect()
    return cluster
  }
}

for (const [name, connect] of Object.entries(clients)) {
  t.test(`${name}: sessions are on all servers, and a user's are found on all of them`, { skip }, async t => {
    const servers = await redisCluster(t)
    const store = new RedisStore({ connection: await connect(t, servers[0] as RedisServer) })
    await store.open()
    const keys: StoreKey[] = []
    for (let n = 0; n < 60; n++) {
      const key = newKey()
      await store.compareAndSet(key, { ...recordOf(String(n)), userId: 'ada' }, undefined)
      keys.push(key)
    }
    for (const server of servers) t.ok(Number(await server.command('DBSIZE')) > 5)
    t.same((await store.list({ userId: 'ada' }, { limit: 100 })).records.map(({ key }) => key), keys.sort())
    t.equal((await store.list({}, { limit: 100 })).records.length, 60)
  })

  t.test(`${name}: while keys move to another server nothing is lost`, { skip }, async t => {
    const servers = await redisCluster(t)
    const [first, second] = servers as [RedisServer, RedisServer]
    const store = new RedisStore({ connection: await connect(t, first), timeout: 5_000 })
    await store.open()
    const counters = await Promise.all(Array.from({ length: 30 }, async () => (await create(store, '0')).key))
    const load = new AbortController()
    const counts = new Map<StoreKey, number>()
    const working = counters.map(async key => {
      for (let count = 1; !load.signal.aborted; count++) {
        await increment(store, key)
        counts.set(key, count)
      }
    })
    const [source, target] = await Promise.all([first, second].map(async server => String(await server.command('CLUSTER', 'MYID')))) as [string, string]
    await run('redis-cli', [
      '--cluster', 'reshard', `127.0.0.1:${first.port}`, '--cluster-from', source, '--cluster-to', target, '--cluster-slots', '2000', '--cluster-yes'
    ], { timeout: 60_000 })
    load.abort()
    await Promise.all(working)
    for (const key of counters) t.equal((await readLiving(store, key)).payload, String(counts.get(key)))
  })

  t.test(`${name}: when one server fails, the sessions on it get a 503, the others go on, and all do when it is back`, { skip }, async t => {
    const servers = await redisCluster(t, '--appendonly', 'yes', '--appendfsync', 'always', '--cluster-require-full-coverage', 'no')
    const [, failing] = servers as [RedisServer, RedisServer]
    const store = new RedisStore({ connection: await connect(t, servers[0] as RedisServer), timeout: 500 })
    await store.open()
    const keys = await Promise.all(Array.from({ length: 30 }, async () => (await create(store, 'before')).key))
    await failing.kill()
    const reading = async (key: StoreKey): Promise<'read' | 'failed'> => {
      try {
        await readLiving(store, key)
        return 'read'
      } catch (error) {
        t.match(error, { code: 'ERR_SESSION_STORE', statusCode: 503 })
        return 'failed'
      }
    }
    // The client may look for the server for a while, and hold up others meanwhile.
    const deadline = Date.now() + 20_000
    let outcomes = await Promise.all(keys.map(reading))
    while (!outcomes.includes('read') && Date.now() < deadline) outcomes = await Promise.all(keys.map(reading))
    t.ok(outcomes.includes('read') && outcomes.includes('failed'), outcomes.join(' '))
    await failing.start()
    for (const key of keys) {
      while (await reading(key) === 'failed') {
        if (Date.now() > deadline + 20_000) throw new SessionStoreError('the cluster is not back')
        await delay(50)
      }
    }
  })
}
