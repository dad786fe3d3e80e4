/** Commits that are made at once and written a little later: nobody ever reads what is not written. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { FileStore, FileStoreOptions, NewRecord, StoreKey, Version } from '../../src/index.ts'
import { fastClock } from './clock.ts'
import { create, readLiving, recordOf } from './conformance.ts'
import { fault, replaceInFs } from './faults.ts'
import { fileStore } from './support.ts'

interface Postponing {
  readonly directory: string
  readonly store: FileStore
  /** Another store on the same directory, as of another process. */
  readonly other: FileStore
  readonly key: StoreKey
  readonly version: Version
  /** What the session's file says, as text. */
  readonly file: () => string
  /** Why commits could not be written. */
  readonly losses: unknown[]
  /** Commits '1' in place of '0', or another record, and has the store put off writing it. */
  readonly commit: (record?: NewRecord) => unknown
}

/** A session in a directory whose lock the store has. */
async function postponing (t: Test, options: Partial<FileStoreOptions> = {}): Promise<Postponing> {
  const { store, directory } = await fileStore(t, options)
  const { store: other } = await fileStore(t, { directory })
  const { key, version } = await create(store, '0')
  const losses: unknown[] = []
  const noteLoss = (cause: unknown): void => { losses.push(cause) }
  const file = (): string => readFileSync(join(directory, key), 'utf8')
  const commit = (record = recordOf('1')): unknown => store.postpone({ noteLoss, commit: () => store.compareAndSet(key, record, version) })
  return { directory, store, other, key, version, file, losses, commit }
}

t.test('a commit that is put off', async t => {
  await t.test('is written by flush, and not before', async t => {
    const { store, other, key, version, commit } = await postponing(t)
    t.equal(commit(), version + 1)
    t.equal((await readLiving(other, key)).payload, '0')
    store.flush()
    t.equal((await readLiving(other, key)).payload, '1')
    t.equal((await readLiving(store, key)).payload, '1')
  })

  await t.test('is written before anybody reads it', async t => {
    const { store, other, key, commit } = await postponing(t)
    commit()
    t.equal((await readLiving(store, key)).payload, '1')
    t.equal((await readLiving(other, key)).payload, '1')
  })

  await t.test('is written before the next one', async t => {
    const { store, other, key, version, commit } = await postponing(t)
    commit()
    t.equal(commit(), 'conflict')
    t.equal((await readLiving(other, key)).payload, '1')
    t.equal(await store.compareAndSet(key, recordOf('2'), version + 1 as Version), version + 2)
    t.equal((await readLiving(other, key)).payload, '2')
  })

  await t.test('is written before another process may write', async t => {
    const { other, key, version, commit } = await postponing(t)
    commit()
    t.equal(await other.compareAndSet(key, recordOf('2'), version), 'conflict')
    t.equal((await readLiving(other, key)).payload, '1')
  })

  await t.test('is written when the store is closed', async t => {
    const { store, other, key, commit } = await postponing(t)
    commit()
    await store.close()
    t.equal((await readLiving(other, key)).payload, '1')
  })

  await t.test('is written before its file is given up for others', async t => {
    const { store, other, key, commit } = await postponing(t)
    commit()
    replaceInFs(t, 'openSync', original => {
      let isDue = true
      return (...args) => {
        if (!isDue) return original(...args)
        isDue = false
        throw fault('EMFILE')
      }
    })
    await create(store)
    t.equal((await readLiving(other, key)).payload, '1')
  })

  await t.test('keeps its session from being swept away, if it gives it a longer life', async t => {
    const { store, key, commit } = await postponing(t)
    // Or the store would let go of its lock meanwhile.
    fastClock(t).stand()
    commit(recordOf('1', 3_600_000))
    t.equal(await store.sweep(new Date(Date.now() + 120_000), 10), 0)
    t.equal((await readLiving(store, key)).payload, '1')
  })

  await t.test('is in a list', async t => {
    const { store, key, commit } = await postponing(t)
    fastClock(t).stand()
    commit({ ...recordOf('1'), userId: 'ada' })
    const { records } = await store.list({ userId: 'ada' }, { limit: 10 })
    t.match(records, [{ key, version: 2 }])
  })

  await t.test('is none where it needs a new file: the disk may be full', async t => {
    const { other, key, commit } = await postponing(t)
    commit(recordOf('x'.repeat(5_000)))
    t.equal((await readLiving(other, key)).payload.length, 5_000)
  })

  await t.test('gets a new file where it does not fit after all', async t => {
    const { store, other, key, commit } = await postponing(t)
    const userAgent = '€'.repeat(100)
    commit({ ...recordOf('1'), userId: 'ada', ipAddress: '::1', userAgent })
    t.equal((await readLiving(other, key)).payload, '0')
    store.flush()
    t.match(await readLiving(other, key), { payload: '1', userAgent })
    t.match(await readLiving(store, key), { payload: '1', userAgent })
  })

  for (const option of ['durable', 'asyncReads'] as const) {
    await t.test(`is none with the option ${option}`, async t => {
      const { other, key, commit } = await postponing(t, { [option]: true })
      await commit()
      t.equal((await readLiving(other, key)).payload, '1')
    })
  }
})

t.test('the end of a session is never put off', async t => {
  const { store, other, key, file } = await postponing(t)
  await store.postpone({ noteLoss: () => {}, commit: () => store.destroy(key, new Date(Date.now() + 60_000)) })
  t.equal(other.read(key), 'gone')
  t.match(file(), '"bytes":null')
})

t.test('a commit that is put off by a process that loses its lock, because it hangs', async t => {
  async function losing (t: Test): Promise<Postponing> {
    const { directory, ...about } = await postponing(t)
    const clock = fastClock(t)
    about.commit()
    // As another process does that takes it for dead.
    rmSync(join(directory, '.commit.lock'))
    t.equal(await about.other.compareAndSet(about.key, recordOf('other'), about.version), about.version + 1)
    clock.jump(200)
    return { directory, ...about }
  }

  for (const [when, act] of [
    ['when it is to be written', ({ store }: Postponing) => { store.flush() }],
    ['when somebody reads it', ({ store, key }: Postponing) => store.read(key)],
    ['when the loss is noticed by a commit to another session', ({ store }: Postponing) => create(store)]
  ] as const) {
    await t.test(`is lost and overwrites nothing, ${when}`, async t => {
      const about = await losing(t)
      await act(about)
      t.match(about.losses, [{ code: 'ERR_SESSION_STORE', message: /lock was lost/ }])
      about.store.flush()
      t.equal((await readLiving(about.store, about.key)).payload, 'other')
      t.equal((await readLiving(about.other, about.key)).payload, 'other')
    })
  }
})

t.test('a commit that is put off is lost where nobody can see any more who has the lock', async t => {
  const { store, commit, losses } = await postponing(t)
  const clock = fastClock(t)
  commit()
  clock.jump(200)
  replaceInFs(t, 'statSync', () => () => { throw fault('EACCES') })
  store.flush()
  t.match(losses, [{ code: 'ERR_SESSION_STORE', message: /lock was lost/ }])
})

t.test('a commit that was put off and cannot be written', async t => {
  /** Has all writes fail until it is called. */
  function failToWrite (t: Test): () => void {
    let isBroken = true
    replaceInFs(t, 'writeSync', original => (...args) => {
      if (isBroken) throw fault('EIO')
      return original(...args)
    })
    return () => { isBroken = false }
  }

  await t.test('is told as lost, and what was there before is there still', async t => {
    const { store, key, commit, losses } = await postponing(t)
    commit()
    const repair = failToWrite(t)
    store.flush()
    t.match(losses, [{ code: 'EIO' }])
    repair()
    t.equal((await readLiving(store, key)).payload, '0')
    store.flush()
    t.equal(losses.length, 1)
  })

  await t.test('is told as lost to the one who made it, and not to who reads next', async t => {
    const { store, key, commit, losses } = await postponing(t)
    commit()
    failToWrite(t)
    t.equal((await readLiving(store, key)).payload, '0')
    t.equal(losses.length, 1)
  })

  await t.test('has the next ones made at once, until one could be written', async t => {
    const { store, other, key, commit, losses } = await postponing(t)
    commit()
    const repair = failToWrite(t)
    store.flush()
    await t.rejects(async () => await commit(), { code: 'ERR_SESSION_STORE' })
    t.equal(losses.length, 1)
    repair()
    commit()
    t.equal((await readLiving(other, key)).payload, '1', 'this one was written at once')
    await nextTurn()
    await store.postpone({ noteLoss: () => {}, commit: () => store.compareAndSet(key, recordOf('2'), 2 as Version) })
    t.equal((await readLiving(other, key)).payload, '1', 'and this one is put off again')
  })
})
