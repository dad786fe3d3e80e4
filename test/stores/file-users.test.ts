/** The file store's index of users: what is in it after crashes and faults, and when it is tidied up. */
import { createHash } from 'node:crypto'
import fs, { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FileStore, NewRecord, StoreKey, Version } from '../../src/index.ts'
import { create, newKey, readLiving, recordOf } from './conformance.ts'
import { fileStore } from './support.ts'

const MINUTE = 60_000

function ownedBy (userId: string | undefined, expiresIn = MINUTE): NewRecord {
  return { ...recordOf('payload', expiresIn), userId }
}

async function createFor (store: FileStore, userId: string, expiresIn = MINUTE): Promise<StoreKey> {
  const key = newKey()
  await store.compareAndSet(key, ownedBy(userId, expiresIn), undefined)
  return key
}

async function listed (store: FileStore, userId?: string): Promise<StoreKey[]> {
  return (await store.list({ userId }, { limit: 100 })).records.map(({ key }) => key)
}

/** What the index names for a user; undefined when it does not know the user. */
function named (directory: string, userId: string): string[] | undefined {
  const path = pathOf(directory, userId)
  return existsSync(path) ? readdirSync(path).sort() : undefined
}

function pathOf (directory: string, userId: string): string {
  return join(directory, '.users', createHash('sha256').update(userId).digest('hex'))
}

/** Names a session in the index, as a process that was killed right after would leave it. */
function name (directory: string, userId: string, key: StoreKey): void {
  mkdirSync(pathOf(directory, userId), { recursive: true })
  writeFileSync(join(pathOf(directory, userId), key), '')
}

/** Lets the next call of a function of node:fs fail. */
function failOnce (t: Test, name: 'writeSync' | 'mkdirSync', code: string): void {
  const functions = fs as unknown as Record<string, (...args: unknown[]) => unknown>
  const original = functions[name] as (...args: unknown[]) => unknown
  const restore = (): void => {
    functions[name] = original
    syncBuiltinESMExports()
  }
  functions[name] = () => {
    restore()
    throw Object.assign(new Error(code), { code })
  }
  syncBuiltinESMExports()
  t.teardown(restore)
}

t.test('a session without a user leaves no trace of users, in its file or beside it', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store)
  t.same(await listed(store, 'ada'), [])
  t.notOk(existsSync(join(directory, '.users')))
  t.notMatch(readFileSync(join(directory, key), 'utf8'), 'userId')
})

t.test('a session of a user says so in its file, and only its owner may look', async t => {
  const { store, directory } = await fileStore(t)
  const key = newKey()
  await store.compareAndSet(key, { ...ownedBy('ü\n"'), userAgent: '\u{1f600}', lastActivity: new Date(5) }, undefined)
  t.match(readFileSync(join(directory, key), 'utf8'), '{"userId":"ü\\n\\"","userAgent":"\u{1f600}"}')
  t.match(await readLiving(store, key), { userId: 'ü\n"', userAgent: '\u{1f600}', lastActivity: new Date(5) })
  t.same(named(directory, 'ü\n"'), [key])
  t.equal(statSync(pathOf(directory, 'ü\n"')).mode & 0o777, 0o700)
  t.equal(statSync(join(pathOf(directory, 'ü\n"'), key)).mode & 0o777, 0o600)
})

t.test('a last activity is kept of a session without a user, too', async t => {
  const { store } = await fileStore(t)
  const { key } = await create(store)
  await store.touch(key, new Date(Date.now() + MINUTE), new Date(5))
  t.same((await readLiving(store, key)).lastActivity, new Date(5))
})

t.test('a crash between index and session leaves nothing in the list, and listing tidies up', async t => {
  const { store, directory } = await fileStore(t)
  name(directory, 'ada', newKey())
  t.same(await listed(store, 'ada'), [])
  t.equal(named(directory, 'ada'), undefined)
})

t.test('a session that has expired is in no list, also before it has been swept away', async t => {
  const { store } = await fileStore(t)
  await store.compareAndSet(newKey(), { ...recordOf('payload', -1), userId: 'ada' }, undefined)
  t.same(await listed(store, 'ada'), [])
  t.same(await listed(store), [])
})

t.test('a write that fails leaves nothing in the list', async t => {
  const { store, directory } = await fileStore(t)
  const key = newKey()
  const living = await createFor(store, 'ada')
  failOnce(t, 'writeSync', 'ENOSPC')
  await t.rejects(async () => await store.compareAndSet(key, ownedBy('ada'), undefined), { code: 'ERR_SESSION_STORE' })
  t.same(named(directory, 'ada'), [key, living].sort(), 'the index came first')
  t.same(await listed(store, 'ada'), [living])
  t.same(named(directory, 'ada'), [living])
})

t.test('without a place in the index nothing is written', async t => {
  const { store, directory } = await fileStore(t)
  failOnce(t, 'mkdirSync', 'EACCES')
  await t.rejects(createFor(store, 'ada'), { code: 'ERR_SESSION_STORE', message: /EACCES/ })
  t.same(await listed(store), [])
  await createFor(store, 'ada')
  writeFileSync(pathOf(directory, 'grace'), '')
  await t.rejects(createFor(store, 'grace'), { code: 'ERR_SESSION_STORE', message: /ENOTDIR/ })
  t.equal((await listed(store)).length, 1)
})

t.test('a session that has gone to another user is in that one\'s list only', async t => {
  const { store, directory } = await fileStore(t)
  const key = await createFor(store, 'ada')
  await store.compareAndSet(key, ownedBy('grace'), 1 as Version)
  t.same(named(directory, 'ada'), [key], 'it is removed when the list is read')
  t.same([await listed(store, 'ada'), await listed(store, 'grace')], [[], [key]])
  t.equal(named(directory, 'ada'), undefined)
  await store.compareAndSet(key, ownedBy(undefined), 2 as Version)
  t.same(await listed(store, 'grace'), [])
  t.equal(named(directory, 'grace'), undefined)
})

t.test('a stray entry in the index does no harm', async t => {
  const { store, directory } = await fileStore(t)
  const key = await createFor(store, 'ada')
  const [aDirectory, aLink] = [newKey(), newKey()]
  for (const stray of ['README', aDirectory, aLink]) writeFileSync(join(pathOf(directory, 'ada'), stray), '')
  mkdirSync(join(directory, aDirectory))
  symlinkSync(key, join(directory, aLink))
  t.same(await listed(store, 'ada'), [key])
  t.same(await listed(store), [key])
  t.equal(await store.sweep(new Date(), 10), 0)
})

t.test('a damaged session is in no list, and keeps its place in the index until it is swept away', async t => {
  const { store, directory } = await fileStore(t)
  const key = await createFor(store, 'ada')
  writeFileSync(join(directory, key), 'damaged')
  t.same(await listed(store, 'ada'), [])
  t.same(await listed(store), [])
  t.same(named(directory, 'ada'), [key])
  await store.sweep(new Date(), 10)
  t.same(named(directory, 'ada'), [key])
})

t.test('a session that has expired leaves the index when it is swept away, and one that was ended at once', async t => {
  const { store, directory } = await fileStore(t)
  const soon = new Date(Date.now() + MINUTE)
  const ended = await createFor(store, 'ada')
  await store.destroy(ended, soon)
  const expired = await createFor(store, 'ada', -1)
  const living = await createFor(store, 'ada', 10 * MINUTE)
  t.same(await listed(store, 'ada'), [living])
  t.same(named(directory, 'ada'), [expired, living].sort())
  t.notMatch(readFileSync(join(directory, ended), 'latin1'), 'payload')
  t.equal(await store.sweep(new Date(Date.now() + 2 * MINUTE), 10), 2)
  t.same(named(directory, 'ada'), [living])
})

t.test('entries that crashes have left are swept away, but not at every sweep', async t => {
  const { store, directory } = await fileStore(t)
  const key = await createFor(store, 'ada')
  name(directory, 'ada', newKey())
  name(directory, 'grace', key)
  await store.sweep(new Date(), 10)
  t.same([named(directory, 'ada'), named(directory, 'grace')], [[key], undefined])
  name(directory, 'grace', key)
  await store.sweep(new Date(), 10)
  t.same(named(directory, 'grace'), [key])
  t.same(await listed(store, 'grace'), [])
})

t.test('a sweep that is aborted ends after the file at hand, and leaves the rest to the next', async t => {
  const { store, directory } = await fileStore(t)
  for (let n = 0; n < 5; n++) await createFor(store, 'ada', -1)
  name(directory, 'grace', newKey())
  t.equal(await store.sweep(new Date(), 10, AbortSignal.abort()), 0)
  t.equal(named(directory, 'grace')?.length, 1)
  t.equal(await store.sweep(new Date(), 10), 5)
  t.equal(named(directory, 'grace'), undefined)
})

t.test('sessions of a user begin anew when the directory was removed', async t => {
  const { store, directory } = await fileStore(t)
  await createFor(store, 'ada')
  rmSync(directory, { recursive: true })
  t.same(await listed(store), [], 'nothing is there')
  rmSync(directory, { recursive: true, force: true })
  const key = await createFor(store, 'ada')
  t.same(await listed(store, 'ada'), [key])
})

t.test('an index that cannot be read is a fault of the store, and no empty list', async t => {
  const { store, directory } = await fileStore(t)
  writeFileSync(join(directory, '.users'), '')
  await t.rejects(store.list({ userId: 'ada' }, { limit: 1 }), { code: 'ERR_SESSION_STORE', statusCode: 503 })
})

t.test('with durable, the index is on the disk before the session is', { skip: !existsSync('/proc/self/fd') && 'there is no /proc here' }, async t => {
  const { store, directory } = await fileStore(t, { durable: true })
  const flushed: string[] = []
  const functions = fs as unknown as { fsyncSync: (descriptor: number) => void }
  const original = functions.fsyncSync
  functions.fsyncSync = descriptor => {
    flushed.push(fs.readlinkSync(`/proc/self/fd/${descriptor}`))
    original(descriptor)
  }
  syncBuiltinESMExports()
  t.teardown(() => {
    functions.fsyncSync = original
    syncBuiltinESMExports()
  })
  const key = await createFor(store, 'ada')
  t.same(flushed, [directory, join(directory, '.users'), pathOf(directory, 'ada'), directory])
  t.same(await listed(store, 'ada'), [key])
})
