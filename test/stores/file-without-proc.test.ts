/** The file store on a system without /proc, where nobody can say whether another process lives. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { claimOf, isTakenOverAfterSilence } from './claims.ts'
import { until } from './clock.ts'
import { create, increment, readLiving } from './conformance.ts'
import { fault, replaceInFs } from './faults.ts'

// The loader of modules reads with the same functions, some by URL.
replaceInFs(t, 'readFileSync', original => (path, encoding) => {
  if (String(path).startsWith('/proc/')) throw fault('ENOENT')
  return original(path, encoding)
})
replaceInFs(t, 'readlinkSync', original => (...args) => {
  if (String(args[0]).startsWith('/proc/')) throw fault('ENOENT')
  return original(...args)
})

// Only now: a process finds out once who it is.
const { FileStore } = await import('../../src/index.ts')

const directory = t.testdir()
const store = new FileStore({ directory, report: () => {} })
t.teardown(async () => { await store.close() })
store.open()

t.test('sessions are kept as elsewhere', async t => {
  const { key } = await create(store, '0')
  await increment(store, key)
  t.equal((await readLiving(store, key)).payload, '1')
})

t.test('a lock counts as that of a dead process after ten seconds without a sign of life', async t => {
  const lock = join(directory, '.commit.lock')
  await until(() => !existsSync(lock))
  const claim = await claimOf(store, directory)
  t.notOk('startedAt' in claim)
  writeFileSync(lock, JSON.stringify(claim))
  await isTakenOverAfterSilence(t, store, lock)
})
