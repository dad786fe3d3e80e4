/** How many session files stay open, and what happens to the others. */
import { readdirSync, readlinkSync, existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import type { FileStore, FileStoreOptions, StoreKey, Version } from '../../src/index.ts'
import { create, increment, readLiving, recordOf } from './conformance.ts'
import { failToOpen, fault, replaceInFs } from './faults.ts'
import { fileStore } from './support.ts'

const hasProc = existsSync('/proc/self/fd')

/** Paths of the files of a directory that this process has open. */
function openIn (directory: string): string[] {
  const paths = readdirSync('/proc/self/fd').map(descriptor => {
    try {
      return readlinkSync(join('/proc/self/fd', descriptor))
    } catch {
      // The one by which the list was read.
      return ''
    }
  })
  return paths.filter(path => path.startsWith(`${directory}/`))
}

/** Of these, the sessions' files. */
function sessionsOpenIn (directory: string): string[] {
  return openIn(directory).filter(path => !basename(path).startsWith('.'))
}

/** Has the system say that a process may have so many files open. */
function limitTo (t: Test, limit: string | undefined): void {
  replaceInFs(t, 'readFileSync', original => (path, encoding) => {
    if (path !== '/proc/self/limits') return original(path, encoding)
    if (limit === undefined) throw fault('ENOENT')
    return `Limit                     Soft Limit           Hard Limit           Units\nMax open files            ${limit}                 ${limit}                 files\n`
  })
}

async function storeWith (
  t: Test, limit: string | undefined, sessions: number, options: Partial<FileStoreOptions> = {}
): Promise<{ store: FileStore, directory: string, keys: StoreKey[] }> {
  limitTo(t, limit)
  const { store, directory } = await fileStore(t, options)
  const created = await Promise.all(Array.from({ length: sessions }, async () => await create(store, '0')))
  return { store, directory, keys: created.map(({ key }) => key) }
}

t.test('of the files that a process may have open', { skip: hasProc ? false : 'there is no /proc' }, async t => {
  for (const [what, limit, most] of [
    ['a quarter are kept open', '40', 10],
    ['eight are kept open where there are very few', '16', 8],
    ['all are kept open where there is no limit', 'unlimited', 200],
    ['128 are kept open where the limit is not known', undefined, 128]
  ] as const) {
    await t.test(what, async t => {
      const { directory } = await storeWith(t, limit, 200)
      t.equal(sessionsOpenIn(directory).length, most)
    })
  }

  await t.test('those that are used stay open, and those that are not are closed first', async t => {
    const { store, directory, keys: [used, unused] } = await storeWith(t, '16', 8)
    if (used === undefined || unused === undefined) throw new Error('there are to be two')
    for (let n = 0; n < 6; n++) {
      await increment(store, used)
      await create(store)
    }
    t.ok(openIn(directory).includes(join(directory, used)))
    t.notOk(openIn(directory).includes(join(directory, unused)))
  })

  await t.test('none are left when the store has been closed', async t => {
    const { store, directory } = await storeWith(t, '40', 20)
    store.close()
    t.same(openIn(directory), [])
  })
})

t.test('sessions whose files are not open any more are read and written as the others', async t => {
  const { store, keys } = await storeWith(t, '16', 30)
  for (let round = 1; round <= 3; round++) {
    for (const key of keys) await increment(store, key)
    for (const key of keys) t.equal((await readLiving(store, key)).payload, String(round))
  }
})

t.test('sessions that wait to be flushed stay open until they are, however many there are', async t => {
  const { store, directory, keys } = await storeWith(t, '16', 30, { durable: true })
  await Promise.all(keys.map(async key => { await increment(store, key) }))
  for (const key of keys) t.equal((await readLiving(store, key)).payload, '1')
  if (hasProc) t.equal(sessionsOpenIn(directory).length, 8)
})

t.test('when descriptors run out, those kept open are given up for one that is needed', async t => {
  const { store, directory, keys } = await storeWith(t, '400', 5)
  failToOpen(t, 'EMFILE')
  const { key } = await create(store, '0')
  if (hasProc) t.equal(sessionsOpenIn(directory).length, 1)
  for (const each of [...keys, key]) await increment(store, each)
  t.equal((await readLiving(store, key)).payload, '1')
})

t.test('a session that needs a larger file when descriptors run out gets it', async t => {
  const { store, directory, keys: [key] } = await storeWith(t, '400', 1)
  if (key === undefined) throw new Error('there is to be one')
  const codes = ['EMFILE']
  replaceInFs(t, 'openSync', original => (path, flags, mode) => {
    const code = path.endsWith('.tmp') ? codes.shift() : undefined
    if (code !== undefined) throw fault(code)
    return original(path, flags, mode)
  })
  const payload = 'x'.repeat(10_000)
  t.equal(await store.compareAndSet(key, recordOf(payload), 1 as Version), 2)
  t.equal((await readLiving(store, key)).payload, payload)
  t.same(codes, [])
  if (hasProc) t.equal(sessionsOpenIn(directory).length, 1)
})

t.test('a group of durable commits may have more files open than are kept open', async t => {
  const { store, keys } = await storeWith(t, '16', 60, { durable: true })
  for (const key of keys) t.equal((await readLiving(store, key)).payload, '0')
})
