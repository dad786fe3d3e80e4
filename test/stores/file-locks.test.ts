/** Who holds a lock of the file store, whether they live, and what becomes of it when they do not. */
import { once } from 'node:events'
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import type { Test } from 'tap'
import type { FileStore, StoreKey, Version } from '../../src/index.ts'
import type { Claim } from './claims.ts'
import { claimOf, endedProcess, isTakenOverAfterSilence, zombie } from './claims.ts'
import { fastClock, until } from './clock.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'
import { fault, replaceInFs } from './faults.ts'
import { fileStore } from './support.ts'

const MINUTE = 60_000
const hasProc = existsSync('/proc/self/stat')

interface Held {
  readonly store: FileStore
  readonly directory: string
  /** The commit lock, as somebody else has left it. */
  readonly lock: string
}

/** A store whose commit lock somebody else has. */
async function heldBy (t: Test, claim: (ours: Claim) => unknown): Promise<Held> {
  const { store, directory } = await fileStore(t)
  const lock = join(directory, '.commit.lock')
  writeFileSync(lock, JSON.stringify(claim(await claimOf(store, directory))))
  return { store, directory, lock }
}

/** Waits in vain for twelve seconds, by a clock that is put forward. */
async function isNotToBeHad (t: Test, { store, lock }: Held): Promise<void> {
  const clock = fastClock(t)
  const failing = t.rejects(create(store), { code: 'ERR_SESSION_STORE', statusCode: 503, message: /\.commit\.lock.*12 s.*stopped, or hangs/ })
  await until(() => clock.looks > 10)
  clock.jump(13_000)
  await failing
  t.ok(existsSync(lock), 'the lock is still there')
}

/** Commits while the clock stands still, so that nothing can have come of waiting. */
async function isToBeHadAtOnce (t: Test, { store, lock }: Held): Promise<void> {
  const theirs = statSync(lock).ino
  const now = performance.now()
  const clock = t.intercept(performance, 'now', { value: () => now })
  await create(store)
  clock.restore()
  t.not(statSync(lock).ino, theirs, 'the lock is this store\'s')
}

t.test('the lock of a process that', { skip: hasProc ? false : 'there is no /proc' }, async t => {
  await t.test('has ended is taken over at once', async t => {
    await isToBeHadAtOnce(t, await heldBy(t, ours => ({ ...ours, pid: endedProcess() })))
  })

  await t.test('has ended, but is not waited for by its parent, is taken over at once', async t => {
    const { pid, startedAt } = await zombie(t)
    await isToBeHadAtOnce(t, await heldBy(t, ours => ({ ...ours, pid, startedAt })))
  })

  await t.test('has ended, and whose number another one has now, is taken over at once', async t => {
    await isToBeHadAtOnce(t, await heldBy(t, ours => ({ ...ours, startedAt: '1' })))
  })

  await t.test('lives is not taken over, and who waits is refused after twelve seconds', async t => {
    await isNotToBeHad(t, await heldBy(t, ours => ours))
  })

  await t.test('lives under another user is not taken over', async t => {
    t.intercept(process, 'kill', { value: () => { throw fault('EPERM') } })
    await isNotToBeHad(t, await heldBy(t, ours => ours))
  })

  await t.test('lives, but hides when it has started, is not taken over', async t => {
    const held = await heldBy(t, ours => ours)
    replaceInFs(t, 'readFileSync', original => (path, encoding) => {
      if (path === `/proc/${process.pid}/stat`) throw fault('ENOENT')
      return original(path, encoding)
    })
    await isNotToBeHad(t, held)
  })

  await t.test('is somewhere else is taken over after ten seconds without a sign of life, and not before', async t => {
    const { store, lock } = await heldBy(t, ours => ({ ...ours, pid: endedProcess(), place: 'another machine' }))
    const clock = fastClock(t)
    const waiting = create(store)
    for (let n = 0; n < 3; n++) {
      await until(() => clock.looks > 20)
      t.ok(existsSync(lock))
      utimesSync(lock, new Date(), n)
      clock.jump(n === 2 ? 0 : 4_000)
    }
    await until(() => clock.looks > 20)
    clock.jump(11_000)
    // By now it has waited for too long itself; what counts is that the lock is free.
    await waiting.catch(() => {})
    await create(store)
  })

  await t.test('is somewhere else holds up those who wait since it has died, and none of them is refused', async t => {
    const { store } = await heldBy(t, ours => ({ ...ours, pid: endedProcess(), place: 'another machine' }))
    const clock = fastClock(t)
    const waiting = create(store)
    await until(() => clock.looks > 10)
    clock.jump(11_000)
    await t.resolves(waiting)
  })

  for (const [what, content] of [['does not say who it is', 'null'], ['was killed before it could say who it is', '']] as const) {
    await t.test(`${what} is taken over after ten seconds without a sign of life`, async t => {
      const { store, directory } = await fileStore(t)
      const lock = join(directory, '.commit.lock')
      writeFileSync(lock, content)
      await isTakenOverAfterSilence(t, store, lock)
    })
  }
})

t.test('taking over the lock of a dead process', { skip: hasProc ? false : 'there is no /proc' }, async t => {
  await t.test('is left to whoever is about to do it', async t => {
    const { store, directory, lock } = await heldBy(t, ours => ({ ...ours, startedAt: '1' }))
    const { store: other } = await fileStore(t, { directory })
    const key = newKey()
    const unlock = await other.lock(key, { lease: MINUTE, wait: 0 })
    linkSync(join(directory, `.${key}.lock`), `${lock}.takeover`)
    const clock = fastClock(t)
    const waiting = create(store)
    await until(() => clock.looks > 20)
    t.ok(existsSync(lock))
    rmSync(`${lock}.takeover`)
    await waiting
    await unlock()
  })

  await t.test('goes on where somebody has died while doing it', async t => {
    const held = await heldBy(t, ours => ({ ...ours, startedAt: '1' }))
    linkSync(held.lock, `${held.lock}.takeover`)
    await isToBeHadAtOnce(t, held)
    await held.store.close()
    t.same(readdirSync(held.directory).filter(name => name.includes('.lock')), [], 'and leaves nothing behind')
  })

  await t.test('does not take away the lock of the next holder, who was faster', async t => {
    const { store, directory, lock } = await heldBy(t, ours => ({ ...ours, startedAt: '1' }))
    const { store: other } = await fileStore(t, { directory })
    const key = newKey()
    const unlock = await other.lock(key, { lease: MINUTE, wait: 0 })
    let isDue = true
    replaceInFs(t, 'linkSync', original => (existing, path) => {
      original(existing, path)
      if (!isDue || path !== `${lock}.takeover`) return
      isDue = false
      rmSync(lock)
      original(join(directory, `.${key}.lock`), lock)
    })
    const waiting = create(store)
    const clock = fastClock(t)
    await until(() => !isDue && clock.looks > 20)
    t.equal(statSync(lock).ino, statSync(join(directory, `.${key}.lock`)).ino, 'it is theirs')
    rmSync(lock)
    await waiting
    await unlock()
  })
})

t.test('whoever holds a lock gives a sign of life each second', async t => {
  const { store, directory } = await fileStore(t)
  const key = newKey()
  const lock = join(directory, `.${key}.lock`)
  const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
  utimesSync(lock, 1, 1)
  const begin = performance.now()
  await until(() => statSync(lock).mtimeMs > Date.now() - MINUTE)
  t.ok(performance.now() - begin < 5_000)
  await unlock()
})

t.test('a store in a worker thread keeps its locks, also for ten seconds after it has ended while its process goes on', async t => {
  const { store, directory } = await fileStore(t)
  const key = newKey()
  const worker = new Worker(new URL('./holder.ts', import.meta.url), { workerData: { directory, key } })
  t.teardown(async () => { await worker.terminate() })
  await once(worker, 'message')
  await t.rejects(store.lock(key, { lease: MINUTE, wait: 100 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
  worker.postMessage('end')
  await once(worker, 'exit')
  const clock = fastClock(t)
  const waiting = store.lock(key, { lease: MINUTE, wait: MINUTE })
  await until(() => clock.looks > 5)
  t.ok(existsSync(join(directory, `.${key}.lock`)))
  clock.jump(10_001)
  const unlock = await waiting
  await unlock()
})

t.test('the commit lock', async t => {
  await t.test('is held from the first commit of a store on, also where reads do not look at the directory', async t => {
    const { store: other, directory } = await fileStore(t)
    const { key } = await create(other, '0')
    const { version } = await readLiving(other, key)
    await other.close()
    const { store } = await fileStore(t, { directory, asyncReads: true })
    await store.compareAndSet(key, recordOf('1'), version)
    t.ok(existsSync(join(directory, '.commit.lock')))
  })

  await t.test('is taken in the directory that is written to, when another one has been put in its place', async t => {
    const { store, directory } = await fileStore(t)
    await create(store)
    // In a later turn, in which the directory is looked at anew.
    await nextTurn()
    renameSync(directory, `${directory}.away`)
    t.teardown(() => { rmSync(`${directory}.away`, { recursive: true }) })
    mkdirSync(directory)
    const { key } = await create(store, 'in the new one')
    t.same(readdirSync(directory).filter(name => !name.startsWith('.owner')).sort(), ['.commit.lock', key])
  })

  await t.test('that was lost, long after it was last seen, is taken again before the next write', async t => {
    const { store, directory } = await fileStore(t)
    const clock = fastClock(t)
    const { key } = await create(store, '0')
    rmSync(join(directory, '.commit.lock'))
    clock.jump(200)
    await increment(store, key)
    t.ok(existsSync(join(directory, '.commit.lock')))
    t.equal((await readLiving(store, key)).payload, '1')
  })

  await t.test('is let go by a busy process when another one has left a note, once some work has been done', async t => {
    const { store, directory } = await fileStore(t)
    // No time passes by itself, and nothing finds the process idle.
    let now = performance.now()
    const clock = t.intercept(performance, 'now', { value: () => now })
    const timers = t.intercept(globalThis, 'setTimeout', { value: () => {} })
    await create(store)
    writeFileSync(join(directory, '.commit.wanted'), '')
    now += 2
    await create(store)
    t.ok(existsSync(join(directory, '.commit.lock')))
    now += 9
    await create(store)
    // The commit is told of before the lock is let go.
    await nextTurn()
    t.notOk(existsSync(join(directory, '.commit.lock')))
    timers.restore()
    clock.restore()
    await create(store)
  })

  await t.test('that somebody waits for here is not taken by somebody who reads', async t => {
    const held = await heldBy(t, ours => ours)
    const clock = fastClock(t)
    const key = newKey()
    const waiting = held.store.compareAndSet(key, recordOf('payload'), undefined)
    await until(() => clock.looks > 10)
    rmSync(held.lock)
    t.equal(held.store.read(key), undefined)
    t.notOk(existsSync(held.lock))
    t.equal(await waiting, 1)
  })

  await t.test('that is not to be had refuses all commits that wait for it, and none after them', async t => {
    const held = await heldBy(t, ours => ours)
    const clock = fastClock(t)
    const failing = Promise.allSettled([create(held.store), create(held.store), create(held.store)])
    await until(() => clock.looks > 10)
    clock.jump(13_000)
    t.match(await failing, Array.from({ length: 3 }, () => ({ status: 'rejected', reason: { code: 'ERR_SESSION_STORE' } })))
    rmSync(held.lock)
    await create(held.store)
  })

  await t.test('is had again after somebody has removed everything but the sessions', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, '0')
    await until(() => !existsSync(join(directory, '.commit.lock')))
    for (const name of readdirSync(directory)) if (name.startsWith('.')) rmSync(join(directory, name))
    await increment(store, key)
    t.equal((await readLiving(store, key)).payload, '1')
  })
})

t.test('a lock that was let go while its directory was away', async t => {
  /** A session's lock in a directory that has come back after the lock was let go. */
  async function back (t: Test): Promise<{ store: FileStore, key: StoreKey, lock: string }> {
    const { store, directory } = await fileStore(t)
    const key = newKey()
    const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
    renameSync(directory, `${directory}.away`)
    await unlock()
    renameSync(`${directory}.away`, directory)
    return { store, key, lock: join(directory, `.${key}.lock`) }
  }

  await t.test('is to be had again at once', async t => {
    const { store, key } = await back(t)
    const other = newKey()
    await (await store.lock(other, { lease: MINUTE, wait: 0 }))()
    await (await store.lock(key, { lease: MINUTE, wait: 0 }))()
    t.pass()
  })

  await t.test('is gone within some seconds, also if nobody asks for it', async t => {
    const { lock } = await back(t)
    const begin = performance.now()
    await until(() => !existsSync(lock))
    t.ok(performance.now() - begin < 10_000)
  })
})

t.test('a lock that goes away while somebody looks who holds it is to be had', { skip: hasProc ? false : 'there is no /proc' }, async t => {
  const { store, lock } = await heldBy(t, ours => ours)
  let isDue = true
  replaceInFs(t, 'statSync', original => (path, options) => {
    if (path === lock && isDue) {
      isDue = false
      rmSync(lock)
    }
    return original(path, options)
  })
  await create(store)
  t.notOk(isDue)
})

t.test('a file system that cannot link files is an error that names the fault', async t => {
  const { store } = await fileStore(t)
  replaceInFs(t, 'linkSync', () => () => { throw fault('EPERM') })
  await t.rejects(create(store), { code: 'ERR_SESSION_STORE', message: /EPERM/ })
})

t.test('closing a store is not held up by a file of its own that cannot be removed', async t => {
  const { store } = await fileStore(t)
  await create(store)
  replaceInFs(t, 'rmSync', () => () => { throw fault('EACCES') })
  await t.resolves(store.close())
})

t.test('a directory that has been removed and made again counts as another one, although it has been given the same inode', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store, 'old')
  let birth = 1
  // Nothing finds the process idle, so it keeps the lock.
  const timers = t.intercept(globalThis, 'setTimeout', { value: () => {} })
  replaceInFs(t, 'statSync', original => (path, options) => {
    const found = original(path, options)
    return path === directory && found !== undefined ? Object.assign(found, { ino: 1, birthtimeMs: birth }) : found
  })
  await nextTurn()
  await create(store)
  timers.restore()
  rmSync(directory, { recursive: true })
  mkdirSync(directory)
  birth = 2
  const { store: other } = await fileStore(t, { directory })
  await other.compareAndSet(key, recordOf('new'), undefined)
  await nextTurn()
  t.match(await readLiving(store, key), { payload: 'new' })
  await store.compareAndSet(key, recordOf('newer'), (await readLiving(store, key)).version)
  t.match(await readLiving(other, key), { payload: 'newer' })
})

t.test('the inode of an owner\'s file is given to nobody else as long as the owner goes by it', async t => {
  const { store, directory } = await fileStore(t)
  const lock = join(directory, '.commit.lock')
  const clock = fastClock(t)
  // Whoever empties the directory takes the file away, and the next one may be given its inode at once.
  for (let n = 0; n < 5; n++) {
    await create(store)
    const { ino } = statSync(lock)
    for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true })
    const { store: other } = await fileStore(t, { directory })
    await create(other)
    t.not(statSync(lock).ino, ino)
    await other.close()
    // The lock is not taken to be there any more.
    clock.jump(200)
  }
})

t.test('who has given way does not take the lock again before another process has had its turn', async t => {
  const { store, directory } = await fileStore(t)
  const lock = join(directory, '.commit.lock')
  const note = join(directory, '.commit.wanted')
  let now = performance.now()
  const clock = t.intercept(performance, 'now', { value: () => now })
  const { key, version } = await create(store)
  writeFileSync(note, '')
  now += 20
  const second = store.compareAndSet(key, recordOf('2'), version)
  t.type(second, 'number', 'written at once')
  t.notOk(existsSync(lock), 'it has seen the note, after enough work to be worth it')
  const third = store.compareAndSet(key, recordOf('3'), second as Version)
  t.ok(third instanceof Promise, 'it stands back')
  now += 20
  t.type(await third, 'number')
  clock.restore()
})
