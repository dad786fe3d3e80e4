/** The Redis store when a sentinel puts a replica in the place of the server that it was on. */
import { setTimeout as delay } from 'node:timers/promises'
import { Redis as Ioredis } from 'ioredis'
import { createSentinel } from 'redis'
import t, { type Test } from 'tap'
import { RedisStore, type RedisStoreOptions, SessionStoreError, type Version } from '../../src/index.ts'
import { hasRedisServer, redisSentinel, type RedisServer, type SentinelServers } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { create, newKey, readLiving, recordOf } from './conformance.ts'

const MINUTE = 60_000
const skip = await skipWithout('redis-server to start', hasRedisServer)

/** Clients that ask a sentinel where the primary is, as applications have them. Iovalkey is ioredis under another name. */
const clients: Record<string, (t: Test, servers: SentinelServers) => Promise<RedisStoreOptions['connection']>> = {
  async ioredis (t, { sentinel, name }) {
    const client = new Ioredis({ sentinels: [{ host: '127.0.0.1', port: sentinel.port }], name, maxRetriesPerRequest: 1 })
    client.on('error', () => {})
    t.teardown(() => { client.disconnect() })
    return client
  },
  async 'node-redis' (t, { sentinel, name }) {
    const client = createSentinel({ name, sentinelRootNodes: [{ host: '127.0.0.1', port: sentinel.port }], scanInterval: 200 })
    client.on('error', () => {})
    t.teardown(async () => { await client.destroy() })
    await client.connect()
    return client
  }
}

/** Tries again until it does not fail, which must be soon; meanwhile it has to fail as a 503. */
async function recovers<T> (t: Test, operation: () => T | Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 30_000; ;) {
    try {
      return await operation()
    } catch (error) {
      if (!(error instanceof SessionStoreError) || Date.now() > deadline) throw error
      t.match(error, { statusCode: 503 })
      await delay(20)
    }
  }
}

for (const [name, connect] of Object.entries(clients)) {
  t.test(`${name}: the server is killed, and its replica goes on with what it has been given`, { skip }, async t => {
    const servers = await redisSentinel(t)
    const store = new RedisStore({ connection: await connect(t, servers), timeout: 500 })
    await store.open()
    const key = newKey()
    const version = await store.compareAndSet(key, { ...recordOf('before'), userId: 'ada' }, undefined) as Version
    const { key: ended } = await create(store)
    await store.destroy(ended, new Date(Date.now() + 5 * MINUTE))
    // Replication is asynchronous: what has not arrived yet is lost with the server.
    while (Number(await servers.replica.command('DBSIZE')) < Number(await servers.primary.command('DBSIZE'))) await delay(5)
    await servers.primary.kill()

    await recovers(t, () => create(store))
    t.match(await recovers(t, () => store.read(key)), { payload: 'before', version })
    t.match(await store.read(ended), { reason: 'ended' }, 'a session that was ended stays ended')
    const next = await store.compareAndSet(key, { ...recordOf('after'), userId: 'ada' }, version)
    t.type(next, 'number')
    t.equal(await store.compareAndSet(key, recordOf('late'), version), 'conflict')
    t.same((await store.list({ userId: 'ada' }, { limit: 10 })).records.map(({ key }) => key), [key])
    const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
    await unlock()
  })

  t.test(`${name}: the sentinel is asked to change the servers' parts, and sessions follow`, { skip }, async t => {
    const servers = await redisSentinel(t)
    const store = new RedisStore({ connection: await connect(t, servers), timeout: 500 })
    await store.open()
    const { key, version } = await create(store, 'before')
    while (Number(await servers.replica.command('DBSIZE')) < Number(await servers.primary.command('DBSIZE'))) await delay(5)
    await servers.sentinel.command('SENTINEL', 'FAILOVER', servers.name)
    const hasRole = async (server: RedisServer, role: string): Promise<boolean> => {
      return String(await server.command('INFO', 'replication')).includes(`role:${role}`)
    }
    while (!await hasRole(servers.replica, 'master') || !await hasRole(servers.primary, 'slave')) await delay(10)
    t.equal(await recovers(t, () => store.compareAndSet(key, recordOf('after'), version)), version + 1)
    t.match(await servers.replica.command('GET', `ambient_session:{${key.slice(0, 2)}}:session:${key}`), /\nafter$/)
    t.equal((await readLiving(store, key)).payload, 'after')
  })
}
