/** Fifty requests of one session at once, over real sockets, to one process and to several on one directory. */
import t, { type Test } from 'tap'
import type { SessionOptions } from '../../src/index.ts'
import type { Visitor } from '../helpers/client.ts'
import { dataOf, type How, result, type Server, startSeveral, type Step } from './servers.ts'

const FIFTY = Array.from({ length: 50 }, (_, n) => n)
const sorted = (list: unknown): unknown[] => (list as number[]).toSorted((a, b) => a - b)

const settings: Record<string, readonly [processes: number, options: (t: Test) => SessionOptions, how?: How]> = {
  'the memory store': [1, () => ({ driver: 'memory' })],
  'the file store': [1, t => ({ files: t.testdir() })],
  'the file store of two processes': [2, t => ({ files: t.testdir() })],
  'the file store of four processes': [4, t => ({ files: t.testdir() })],
  'the file store of four processes without locks of the operating system': [4, t => ({ files: t.testdir() }), { locks: 'lockfile' }]
}

for (const [setting, [processes, options, how]] of Object.entries(settings)) {
  t.test(`of fifty requests at once, ${setting} loses`, async t => {
    const servers = await startSeveral(t, processes, options(t), how)

    await t.test('no key that any of them puts', async t => {
      const data = await fiftyOf(servers, n => ['put', `key${n}`, n])
      t.same(data, { begun: true, ...Object.fromEntries(FIFTY.map(n => [`key${n}`, n])) })
    })

    await t.test('no increment', async t => {
      t.same(await fiftyOf(servers, () => ['increment', 'count']), { begun: true, count: 50 })
    })

    await t.test('no push', async t => {
      const { list, ...others } = await fiftyOf(servers, n => ['push', 'list', n])
      t.same(sorted(list), FIFTY)
      t.same(others, { begun: true })
    })

    await t.test('nothing when all of them have read before the first one writes', async t => {
      const ada = await beginning(servers)
      const requests = FIFTY.map(n => result(spread(ada, servers, n),
        ['all'], ['gate', 'all'], ['put', `keys.${n}`, n], ['increment', 'count'], ['push', 'list', n]))
      await Promise.all(servers.map(async (server, index) => {
        await server.reached('all', FIFTY.filter(n => n % servers.length === index).length)
      }))
      await Promise.all([...servers.map(async server => { await server.open('all') }), ...requests])
      const { keys, count, list } = await dataOf(ada)
      t.same(keys, Object.fromEntries(FIFTY.map(n => [n, n])))
      t.equal(count, 50)
      t.same(sorted(list), FIFTY)
    })
  })
}

async function beginning (servers: readonly Server[]): Promise<Visitor> {
  const [first] = servers
  if (first === undefined) throw new Error('there is no server')
  const ada = first.visitor()
  await result(ada, ['put', 'begun', true])
  return ada
}

/** @returns the visitor's browser where it has come to the n-th of servers that take requests in turn */
function spread (ada: Visitor, servers: readonly Server[], n: number): Visitor {
  return ada.copy(servers[n % servers.length]?.origin)
}

/** @returns what is in a session after fifty requests of it */
async function fiftyOf (servers: readonly Server[], step: (n: number) => Step): Promise<Record<string, unknown>> {
  const ada = await beginning(servers)
  await Promise.all(FIFTY.map(async n => { await result(spread(ada, servers, n), step(n)) }))
  return await dataOf(ada)
}
