/**
 * Fifty of fifty, on the stores that machines share: two processes with one Redis or one database, whose requests of one
 * session run at the same time. The stores are those of the options, as an application has them.
 */
import t, { type Test } from 'tap'
import { DatabaseStore, RedisStore, type SessionOptions, type SessionStore, type StoreKey } from '../../src/index.ts'
import { hasRedisServer, redisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { newTable, run, services } from '../stores/database-support.ts'
import { Browser, type SharedServer, startShared } from './shared-servers.ts'

const FIFTY = Array.from({ length: 50 }, (_, n) => String(n))
/** Seconds: what is asked here is whether anything is lost on a machine that is busy, not how fast it is. */
const TIMEOUT = 20

interface Shared {
  readonly options: SessionOptions
  /** What is to be removed when the servers have ended. */
  readonly cleanUp?: () => Promise<unknown>
  /** The same sessions, to be looked at from outside. */
  readonly store: SessionStore
}

interface Setting {
  readonly name: string
  readonly skip: false | string
  readonly share: (t: Test) => Promise<Shared>
}

const redis: Setting = {
  name: 'Redis',
  skip: await skipWithout('redis-server to start', hasRedisServer),
  async share (t) {
    const { url } = await redisServer(t)
    return { options: { driver: 'redis', connection: url }, store: new RedisStore({ connection: url }) }
  }
}

const databases = services.map(({ name, dialect, skip, url }): Setting => ({
  name,
  skip,
  async share (t) {
    const [connection, table] = [url(t), newTable()]
    return {
      options: { driver: 'database', connection, table, createTable: true },
      store: new DatabaseStore({ connection, table }),
      ...dialect !== 'sqlite' && { cleanUp: () => run(connection, `drop table if exists ${table}`) }
    }
  }
}))

/** What a request may do that does not know yet that its session has ended. */
const lateActions = ['put', 'increment', 'push', 'flash', 'flush', 'token', 'saveTwice', 'regenerate', 'signIn', 'signOut', 'all']

for (const { name, skip, share } of [redis, ...databases]) {
  t.test(`two processes that share ${name}`, { skip }, async t => {
    const { options, store, cleanUp } = await share(t)
    t.teardown(async () => {
      await store.close?.()
      await cleanUp?.()
    })
    // Both at once, so that both find that the table is not there yet.
    const servers = await Promise.all([1, 2].map(async () => await startShared(t, { ...options, timeout: TIMEOUT })))
    await store.open?.()

    await t.test('keep fifty keys that fifty requests put', async t => {
      const [data] = await afterFifty(t, servers, 'put')
      t.same(data, { user: 'ada', ...Object.fromEntries(FIFTY.map(key => [key, true])) })
    })

    await t.test('count fifty increments', async t => {
      const [data, results] = await afterFifty(t, servers, 'increment')
      t.same(data, { user: 'ada', count: 50 })
      t.ok(results.every(result => Number(result) >= 1 && Number(result) <= 50), 'no request saw more than there were')
    })

    await t.test('keep fifty values that fifty requests push', async t => {
      const [{ list, ...others }] = await afterFifty(t, servers, 'push')
      t.same((list as string[]).toSorted(byNumber), FIFTY)
      t.same(others, { user: 'ada' })
    })

    await t.test('lose nothing when all fifty have read before the first one writes', async t => {
      for (const action of ['put', 'increment', 'push']) {
        const [{ user, count, list, ...keys }] = await afterFifty(t, servers, action, `all of ${action}`)
        t.equal(user, 'ada')
        if (action === 'put') t.same(keys, Object.fromEntries(FIFTY.map(key => [key, true])))
        if (action === 'increment') t.equal(count, 50)
        if (action === 'push') t.same((list as string[]).toSorted(byNumber), FIFTY)
      }
    })

    for (const action of lateActions) {
      await t.test(`keep a session dead whose visitor signed out through the other one while a request did "${action}"`, async t => {
        const [here, there] = pair(servers)
        const ada = await signedIn(here)
        const key = (await ada.act(there, 'key')).result as StoreKey
        const late = ada.copy()
        const request = late.act(here, action, 'late', `late ${action}`)
        await here.reached(`late ${action}`, 1)
        await ada.act(there, 'signOut')
        await here.open(`late ${action}`)

        t.same((await request).cookies, [], 'the late answer leaves the cookie alone')
        t.match(await store.read(key), { since: Date }, 'nothing but a tombstone is stored under the old key')
        for (const server of servers) t.same(await late.copy().all(server), {}, 'the old cookie finds nothing')
        for (const server of servers) t.same(await ada.all(server), {}, 'the visitor is signed out')
      })
    }
  })
}

/**
 * A visitor sends fifty requests at once, to the processes in turn.
 *
 * @param gate where all of them wait for each other, each having read the session
 * @returns what is in the session then, and what each request was answered
 */
async function afterFifty (
  t: Test, servers: readonly SharedServer[], action: string, gate?: string
): Promise<[Record<string, unknown>, unknown[]]> {
  const [here, there] = pair(servers)
  const ada = await signedIn(here)
  const requests = FIFTY.map(async (text, n) => (await ada.copy().act(n % 2 === 0 ? here : there, action, text, gate)).result)
  if (gate !== undefined) {
    await Promise.all(servers.map(async server => { await server.reached(gate, FIFTY.length / 2) }))
    await Promise.all(servers.map(async server => { await server.open(gate) }))
  }
  const results = await Promise.all(requests)
  const data = await ada.all(here)
  t.same(await ada.all(there), data, 'both processes say the same')
  return [data, results]
}

async function signedIn (server: SharedServer): Promise<Browser> {
  const ada = new Browser()
  await ada.act(server, 'signIn', 'ada')
  return ada
}

function pair ([one, other]: readonly SharedServer[]): [SharedServer, SharedServer] {
  if (one === undefined || other === undefined) throw new Error('there are not two servers')
  return [one, other]
}

function byNumber (a: string, b: string): number {
  return Number(a) - Number(b)
}
