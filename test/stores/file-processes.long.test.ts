/** The file store between processes: real ones, on one directory, some of them killed. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StoreKey } from '../../src/index.ts'
import { type Program, startProgram } from '../helpers/process.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'
import { wholePayload } from './generations.ts'
import { fileStore } from './support.ts'

const MINUTE = 60_000

/** Starts a process with a file store; see child.ts for what it can do. */
function start (t: Test, directory: string, command: string, key: StoreKey, count = 0): Program {
  return startProgram(t, join(import.meta.dirname, 'child.ts'), [directory, command, key, count])
}

t.test('four processes that count on one session lose nothing', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store, '0')
  const children = [1, 2, 3, 4].map(() => start(t, directory, 'increment', key, 50))
  for (const child of children) t.same(await child.ended, ['done'])
  t.equal((await readLiving(store, key)).payload, '200')
})

t.test('a process that reads while another one writes always finds a whole generation, and never an older one than before', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store, wholePayload(0))
  const readers = [start(t, directory, 'read', key, 1500), start(t, directory, 'read', key, 1500)]
  const writer = start(t, directory, 'write', key, 1500)
  t.same(await writer.ended, ['done'])
  for (const reader of readers) {
    const [said, ...others] = await reader.ended
    t.match(said, /^whole: \d+$/)
    t.same(others, ['done'])
  }
})

t.test('a commit of another process is seen at once', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store, '0')
  t.equal((await readLiving(store, key)).payload, '0')
  await start(t, directory, 'increment', key, 1).said('done')
  t.equal((await readLiving(store, key)).payload, '1')
})

t.test('a process killed in the middle of a commit', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store, '0')
  const { key: another } = await create(store, 'another')
  store.close()
  const child = start(t, directory, 'hang', key)
  await child.said('inside')
  await child.stop()

  t.equal((await readLiving(store, key)).payload, '0', 'reading does not wait')
  const { version } = await readLiving(store, another)
  t.type(store.compareAndSet(another, recordOf('changed'), version), 'number', 'nor do commits of other sessions')
  await increment(store, key)
  t.equal((await readLiving(store, key)).payload, '1', 'nor, for long, those of this one: they would be refused')
})

t.test('a session\'s lock is exclusive between processes', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store, '0')
  const children = [1, 2, 3].map(() => start(t, directory, 'blocking', key, 20))
  for (const child of children) t.same(await child.ended, ['done'])
  t.equal((await readLiving(store, key)).payload, '60')
})

t.test('a session\'s lock that another process holds is not to be had, until that one is killed', async t => {
  const { store, directory } = await fileStore(t)
  const key = newKey()
  const child = start(t, directory, 'lock', key)
  await child.said('locked')
  await t.rejects(store.lock(key, { lease: 1_000, wait: 50 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
  await child.stop()

  const unlock = await store.lock(key, { lease: 1_000, wait: MINUTE })
  await unlock()
})

t.test('several processes that sweep one directory remove each session once', async t => {
  const { store, directory } = await fileStore(t)
  for (let n = 0; n < 200; n++) await create(store, 'expired', -1)
  const children = [1, 2].map(() => start(t, directory, 'sweep', newKey()))
  const lines = (await Promise.all(children.map(async child => await child.ended))).flat()
  const swept = lines.flatMap(line => /^swept: (\d+)$/.exec(line)?.[1] ?? []).map(Number)
  t.equal(swept.reduce((sum, count) => sum + count, await store.sweep(new Date(), 1000)), 200)
})

t.test('of two processes that make sessions of a user and are killed, no session is missing from the list', async t => {
  const { store, directory } = await fileStore(t)
  const userId = 'ada' as StoreKey
  const children = [1, 2].map(() => start(t, directory, 'users', userId, 1_000_000))
  const listed = async (): Promise<string[]> => (await store.list({ userId }, { limit: 1_000_000 })).records.map(({ key }) => key)
  // Listing goes on beside the writing, and takes out of the index nothing that is about to be written.
  let found = await listed()
  while (found.length < 300) found = await listed()
  const [keys] = await Promise.all([Promise.all(children.map(child => child.ended)), ...children.map(child => child.stop())])
  const after = new Set(await listed())
  t.ok(after.size >= 300)
  t.same(keys.flat().filter(key => /^[0-9a-f]{64}$/.test(key) && !after.has(key)), [], 'what was acknowledged is listed')
  const stored = (await store.list({}, { limit: 1_000_000 })).records.map(({ key }) => key)
  t.same(stored.filter(key => !after.has(key)), [], 'and so is what was not')
})
