/** The file store: the contract, and what is in the directory. Several processes at once have a file of their own. */
import { once } from 'node:events'
import {
  chmodSync, closeSync, cpSync, existsSync, lstatSync, mkdirSync, openSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync,
  utimesSync, writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { FileStore, SessionStoreError, type StoredRecord, type StoreKey, type Version } from '../../src/index.ts'
import { FileLocks } from '../../src/stores/file/locks.ts'
import { kernelLocks, lockfileLocks, opened } from './locks.ts'
import { fastClock } from './clock.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'
import { beforeOpening, failToOpen, failToWriteOnce, fault, replaceInFs } from './faults.ts'
import { conforms, fileStore, type OpenFileStore } from './support.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

function inFuture (milliseconds = MINUTE): Date {
  return new Date(Date.now() + milliseconds)
}

/** The names of session files: of everything that is not hidden. */
function sessionFiles (directory: string): string[] {
  return readdirSync(directory).filter(name => !name.startsWith('.'))
}

function range (from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, n) => from + n)
}

/** Another process's view of the same directory, as far as one process can have two. */
async function anotherOn (t: Test, directory: string): Promise<OpenFileStore> {
  return await fileStore(t, { directory })
}

/** A store with one session in it. */
async function createIn (t: Test): Promise<OpenFileStore & { key: StoreKey, version: Version }> {
  const opened = await fileStore(t)
  return { ...opened, ...await create(opened.store) }
}

/** A session of two generations, and its file as it was after each. */
async function twoGenerations (t: Test): Promise<OpenFileStore & { key: StoreKey, path: string, before: Buffer, after: Buffer }> {
  const opened = await fileStore(t)
  const { key, version } = await create(opened.store, 'the first generation')
  const path = join(opened.directory, key)
  const before = readFileSync(path)
  await opened.store.compareAndSet(key, recordOf('the second generation'), version)
  return { ...opened, key, path, before, after: readFileSync(path) }
}

t.test('a session whose removal the disk refuses is told as it is on the disk, and can be removed when that is over', async t => {
  const { store } = await fileStore(t)
  const { key } = await create(store, 'before')
  let isDue = true
  replaceInFs(t, 'rmSync', original => (path, options) => {
    if (isDue) {
      isDue = false
      throw fault('EROFS')
    }
    original(path, options)
  })
  await t.rejects(async () => await store.destroy(key), { code: 'ERR_SESSION_STORE', message: 'EROFS' })
  t.equal((await readLiving(store, key)).payload, 'before')
  t.equal(await store.destroy(key), 'destroyed')
  t.equal(store.read(key), undefined)
})

t.test('a session of more than 64 KiB is read by others, and nothing of it is left when it has ended', async t => {
  const { store, directory } = await fileStore(t)
  const { store: other } = await fileStore(t, { directory })
  const payload = 'x'.repeat(200_000)
  const { key, version } = await create(store, payload)
  t.equal((await readLiving(other, key)).payload, payload)
  await store.compareAndSet(key, recordOf(`${payload}y`), version)
  t.equal((await readLiving(other, key)).payload, `${payload}y`)
  await other.destroy(key, new Date(Date.now() + 60_000))
  t.match(store.read(key), { reason: 'ended' })
  t.notMatch(readFileSync(join(directory, key), 'latin1'), 'xxxx')
})

t.test('the file store keeps the contract', async t => {
  await conforms(t, async t => (await fileStore(t)).store)
})

t.test('the directory', async t => {
  await t.test('is made for this user only, with those above it as usual', async t => {
    const directory = join(t.testdir(), 'storage/framework/sessions')
    await fileStore(t, { directory })
    t.equal(statSync(directory).mode & 0o777, 0o700)
    t.equal(statSync(dirname(directory)).mode & 0o777, 0o777 & ~process.umask())
  })

  await t.test('is left as it is when it exists', async t => {
    const directory = t.testdir()
    chmodSync(directory, 0o750)
    await fileStore(t, { directory })
    t.equal(statSync(directory).mode & 0o777, 0o750)
  })

  for (const [what, path] of [['is a file', 'file'], ['lies below a file', 'file/sessions']] as const) {
    await t.test(`that ${what} is a SessionStoreError that names it, at the start`, async t => {
      const directory = join(t.testdir({ file: 'not a directory' }), path)
      const store = new FileStore({ directory, report: () => {} })
      await t.rejects(store.open(), { name: 'SessionStoreError', code: 'ERR_SESSION_STORE', statusCode: 503, message: directory })
    })
  }

  await t.test('is not written without locks, by a store that was not opened', async t => {
    const directory = t.testdir()
    const store = new FileStore({ directory, report: () => {} })
    const write = async (): Promise<unknown> => await store.compareAndSet(newKey(), recordOf('unlocked'), undefined)
    await t.rejects(write(), { name: 'SessionStoreError', message: 'the file store is not open: await its open() before the first commit' })
  })

  await t.test('that this user cannot write is a SessionStoreError that names it', {
    skip: process.getuid?.() === 0 ? 'permissions do not stop root' : false
  }, async t => {
    const directory = t.testdir()
    chmodSync(directory, 0o500)
    const store = new FileStore({ directory, report: () => {} })
    await t.rejects(store.open(), { code: 'ERR_SESSION_STORE', message: directory })
    chmodSync(directory, 0o700)
  })

  await t.test('removed under a running server is made again by the next commit', async t => {
    const { store, directory } = await fileStore(t)
    const { key, version } = await create(store)
    rmSync(directory, { recursive: true })
    await nextTurn()
    t.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
    t.equal(store.read(key), undefined)
    const { key: another } = await create(store, 'another')
    t.equal((await readLiving(store, another)).payload, 'another')
  })

  await t.test('that goes away and comes back takes nothing with it', async t => {
    const { store, directory, key, version } = await createIn(t)
    await store.compareAndSet(key, recordOf('changed'), version)
    renameSync(directory, `${directory}.away`)
    writeFileSync(directory, 'not a directory')
    await t.rejects(async () => await store.compareAndSet(key, recordOf('lost'), 2 as Version), { code: 'ERR_SESSION_STORE' })
    rmSync(directory)
    renameSync(`${directory}.away`, directory)
    t.equal((await readLiving(store, key)).payload, 'changed')
    t.equal(await store.compareAndSet(key, recordOf('changed again'), 2 as Version), 3)
  })

  await t.test('that another one has been put in the place of: what is acknowledged is in the new one', async t => {
    const { store, directory, key, version } = await createIn(t)
    const { store: other } = await anotherOn(t, directory)
    await readLiving(other, key)
    renameSync(directory, `${directory}.away`)
    t.teardown(() => { rmSync(`${directory}.away`, { recursive: true }) })
    cpSync(`${directory}.away`, directory, { recursive: true })
    t.equal(await store.compareAndSet(key, recordOf('in the new one'), version), 2)
    await store.destroy(key)
    t.same(sessionFiles(directory), [])
    t.same(sessionFiles(`${directory}.away`), [key])
    t.equal(await other.compareAndSet(key, recordOf('late'), version), 'gone')
  })

  await t.test('that was copied is another one, whose sessions live on their own', async t => {
    const { store, directory, key, version } = await createIn(t)
    cpSync(directory, `${directory}.copy`, { recursive: true })
    t.teardown(() => { rmSync(`${directory}.copy`, { recursive: true }) })
    const { store: other } = await anotherOn(t, `${directory}.copy`)
    t.equal(await other.compareAndSet(key, recordOf('in the copy'), version), 2)
    t.equal((await readLiving(store, key)).payload, 'payload')
    t.equal(await store.compareAndSet(key, recordOf('in the original'), version), 2)
    t.equal((await readLiving(other, key)).payload, 'in the copy')
  })

  await t.test('that every user can write to is refused at the start, with what to do', async t => {
    for (const mode of [0o777, 0o1777, 0o702]) {
      const directory = t.testdir()
      chmodSync(directory, mode)
      const store = new FileStore({ directory, report: () => {} })
      await t.rejects(store.open(), { code: 'ERR_SESSION_STORE', message: /every user of this machine can write to it.*chmod o-w/ })
      await t.rejects(store.open(), { message: directory })
    }
  })

  await t.test('removed under a running server is made again by the next lock', async t => {
    const { store, directory } = await fileStore(t)
    rmSync(directory, { recursive: true })
    const unlock = await store.lock(newKey(), { lease: MINUTE, wait: 0 })
    await unlock()
    t.ok(existsSync(directory))
  })

  await t.test('with a link to nowhere in its place is an error, whose cause names it', async t => {
    const directory = join(t.testdir(), 'sessions')
    const { store } = await fileStore(t, { directory })
    rmSync(directory, { recursive: true })
    symlinkSync('nowhere', directory)
    const error = await create(store).catch((error: unknown) => error as SessionStoreError)
    t.match(error, { code: 'ERR_SESSION_STORE', cause: { message: directory } })
    t.notMatch((error as SessionStoreError).message, directory, 'clients may see the message')
    rmSync(directory)
    await create(store)
  })

  await t.test('with a file in its place is an error of each call, and works again when that is gone', async t => {
    const directory = join(t.testdir(), 'sessions')
    const { store } = await fileStore(t, { directory })
    const { key, version } = await create(store)
    store.close()
    rmSync(directory, { recursive: true })
    writeFileSync(directory, 'in the way')
    t.throws(() => store.read(key), SessionStoreError)
    await t.rejects(async () => await store.compareAndSet(key, recordOf('changed'), version), { code: 'ERR_SESSION_STORE', message: 'ENOTDIR' })
    await t.rejects(store.lock(key, { lease: MINUTE, wait: 0 }), { code: 'ERR_SESSION_STORE' })
    rmSync(directory)
    await create(store)
  })
})

t.test('a session\'s file', async t => {
  await t.test('has the key as its name: 64 hexadecimal digits, and nothing of the id', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store)
    t.same(sessionFiles(directory), [key])
    t.match(key, /^[0-9a-f]{64}$/)
  })

  await t.test('is readable by this user only', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store)
    t.equal(statSync(join(directory, key)).mode & 0o777, 0o600)
  })

  await t.test('has the payload as it is, in UTF-8', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, '{"data":{"name":"Ädä"}}')
    t.match(readFileSync(join(directory, key), 'utf8'), '{"data":{"name":"Ädä"}}')
  })

  await t.test('holds this generation and the one before', async t => {
    const { path } = await twoGenerations(t)
    const text = readFileSync(path, 'utf8')
    t.match(text, 'the first generation')
    t.match(text, 'the second generation')
  })

  await t.test('stays the same file, of the same size, from commit to commit', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, '0')
    const { ino, size } = statSync(join(directory, key))
    for (let n = 0; n < 10; n++) await increment(store, key)
    t.match(statSync(join(directory, key)), { ino, size })
  })

  await t.test('is replaced by a larger one when the session outgrows it, as private as before', async t => {
    const { store, directory } = await fileStore(t)
    const { key, version } = await create(store, 'small')
    const { size } = statSync(join(directory, key))
    await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version)
    const status = statSync(join(directory, key))
    t.ok(status.size > size)
    t.equal(status.mode & 0o777, 0o600)
    t.same(sessionFiles(directory), [key])
  })

  await t.test('keeps nothing of the payload once the session was ended', async t => {
    const { store, path, key } = await twoGenerations(t)
    await store.destroy(key, inFuture())
    t.notMatch(readFileSync(path, 'latin1'), 'generation is')
    t.notMatch(readFileSync(path, 'latin1'), 'the first')
    t.notMatch(readFileSync(path, 'latin1'), 'the second')
  })

  await t.test('is gone once the session was ended without a tombstone', async t => {
    const { store, directory, key } = await twoGenerations(t)
    await store.destroy(key)
    t.same(sessionFiles(directory), [])
  })

  await t.test('is found by a store that is opened later', async t => {
    const { directory, key } = await twoGenerations(t)
    const { store } = await anotherOn(t, directory)
    t.equal((await readLiving(store, key)).payload, 'the second generation')
  })
})

t.test('a commit that was torn, by a crash at any byte of it, leaves the generation before', async t => {
  const { directory, path, key, before, after } = await twoGenerations(t)
  t.equal(before.length, after.length)
  const firstChanged = before.findIndex((byte, index) => byte !== after[index])
  const slot = after.length / 2
  t.ok(firstChanged >= slot, 'the commit has written into the other half')
  const found = new Set<string>()
  for (let written = slot; written < after.length; written++) {
    writeFileSync(path, Buffer.concat([after.subarray(0, written), before.subarray(written)]))
    const { store, warnings } = await anotherOn(t, directory)
    const { payload, version } = await readLiving(store, key)
    found.add(`${version}: ${payload}`)
    t.same(warnings, [])
  }
  t.same([...found], ['1: the first generation', '2: the second generation'])
})

t.test('damage', async t => {
  await t.test('to any byte of the current generation leaves the one before, with a warning, and commits go on', async t => {
    const { directory, path, key, after } = await twoGenerations(t)
    const { length } = after
    // Head and echo of the second slot, and the first bytes of its body.
    for (const at of [...range(length / 2, length / 2 + 80), ...range(length - 16, length - 4)]) {
      // The last four bytes of a head are not used yet, nor those between a stamp's checksum and its generation.
      const damaged = Buffer.from(after)
      damaged[at] = (damaged[at] as number) ^ 0xff
      writeFileSync(path, damaged)
      const { store, warnings } = await anotherOn(t, directory)
      const { payload, version } = await readLiving(store, key)
      // An echo that is damaged damages nothing else.
      if (payload === 'the second generation') {
        t.ok(at >= length - 16)
        continue
      }
      t.match([payload, warnings], ['the first generation', [{ code: 'AMBIENT_SESSION_DAMAGED', key, message: 'the newest change' }]], `byte ${at}`)
      const next = await store.compareAndSet(key, recordOf('the next generation'), version)
      t.ok(Number(next) > 2, 'the version of the one that is lost is not given out again')
      t.equal((await readLiving(store, key)).payload, 'the next generation')
      t.equal(warnings.length, 1)
    }
  })

  await t.test('never has a process that has read the damaged generation overwrite what another one has acknowledged', async t => {
    const { store, directory, path, key, after } = await twoGenerations(t)
    const { version } = await readLiving(store, key)
    const damaged = Buffer.from(after)
    damaged.write('DAMAGED', damaged.indexOf('the second'))
    writeFileSync(path, damaged)
    const { store: other } = await anotherOn(t, directory)
    const found = await readLiving(other, key)
    t.type(await other.compareAndSet(key, recordOf('acknowledged'), found.version), 'number')
    t.equal(await store.compareAndSet(key, recordOf('late'), version), 'conflict')
    t.equal((await readLiving(store, key)).payload, 'acknowledged')
  })

  await t.test('does not have asynchronous reads and commits see different generations', async t => {
    const { directory, path, key, after } = await twoGenerations(t)
    const { store } = await fileStore(t, { directory, asyncReads: true })
    const { version } = await readLiving(store, key)
    t.equal(await store.compareAndSet(key, recordOf('third'), version), 3)
    const damaged = readFileSync(path)
    damaged.write('DAMAGED', damaged.indexOf('third'))
    writeFileSync(path, damaged)
    t.ok(after.length === damaged.length)
    const found = await readLiving(store, key)
    t.type(await store.compareAndSet(key, recordOf('next'), found.version), 'number')
    t.equal((await readLiving(store, key)).payload, 'next')
  })

  await t.test('that leaves nothing makes the session missing', async t => {
    const { directory, path, key } = await twoGenerations(t)
    writeFileSync(path, '')
    const { store } = await anotherOn(t, directory)
    t.equal(store.read(key), undefined)
    t.type(await store.compareAndSet(key, recordOf('new'), undefined), 'number')
    t.equal((await readLiving(store, key)).payload, 'new')
  })

  const damages: Record<string, (after: Buffer) => Buffer | string> = {
    'to both generations': after => after.map((byte, at) => Math.abs(at - after.length / 2) < 20 ? byte ^ 0x55 : byte) as Buffer,
    'that cuts the file short': after => after.subarray(0, 100),
    'that cuts off its end': after => after.subarray(0, after.length - 256),
    'by another format': after => Buffer.concat([after]).fill(2, after.length / 2 - 60, after.length / 2 - 59).fill(2, after.length / 2 + 4, after.length / 2 + 5),
    'by text that is none of ours': () => 'hello\nworld\n',
    'by much text that is none of ours': () => 'hello\nworld\n'.repeat(100),
    'to both payloads': after => after.toString('latin1').replaceAll('generation', 'GENERATION'),
    'to both lengths': after => Buffer.concat([after]).fill(255, after.length / 2 - 16, after.length / 2 - 8).fill(255, after.length / 2 + 48, after.length / 2 + 56)
  }
  for (const [what, damage] of Object.entries(damages)) {
    await t.test(`${what} makes the session missing, with one warning and without an error`, async t => {
      const { directory, path, key, after } = await twoGenerations(t)
      writeFileSync(path, damage(after), 'latin1')
      const { store, warnings } = await anotherOn(t, directory)
      t.equal(store.read(key), undefined)
      t.equal(store.read(key), undefined)
      t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED', key, message: 'swept away in a day' }])
      t.equal(warnings.length, 1)
    })
  }

  await t.test('to a generation\'s number, so that it is none, leaves the generation before', async t => {
    const { directory, path, key, after } = await twoGenerations(t)
    writeFileSync(path, Buffer.concat([after]).fill(255, after.length / 2 + 8, after.length / 2 + 16))
    const { store, warnings } = await anotherOn(t, directory)
    const { payload, version } = await readLiving(store, key)
    t.match([payload, warnings], ['the first generation', [{ code: 'AMBIENT_SESSION_DAMAGED', key, message: 'the newest change' }]])
    t.ok(Number(await store.compareAndSet(key, recordOf('next'), version)) > 2, 'the version of the one that is lost is not given out again')
  })

  await t.test('that has made the file larger leaves no more than any file has once the session begins anew', async t => {
    const { store, path, key, after } = await twoGenerations(t)
    writeFileSync(path, 'hello\nworld\n'.repeat(1000))
    t.type(await store.compareAndSet(key, recordOf('new'), undefined), 'number')
    t.equal(statSync(path).size, after.length)
    t.notMatch(readFileSync(path, 'latin1'), 'hello')
  })

  await t.test('is noticed and told by a process that has read the session before', async t => {
    const { directory, path, key } = await twoGenerations(t)
    const { store, warnings } = await anotherOn(t, directory)
    await readLiving(store, key)
    writeFileSync(path, 'damaged')
    t.equal(store.read(key), undefined)
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED', key }])
  })

  await t.test('does not keep the session from being touched, ended or written: it is missing', async t => {
    const { directory, path, key } = await twoGenerations(t)
    const { store } = await anotherOn(t, directory)
    writeFileSync(path, 'damaged')
    t.equal(await store.touch(key, inFuture()), false)
    t.equal(await store.destroy(key, inFuture()), 'gone')
    t.equal(await store.compareAndSet(key, recordOf('late'), 2 as Version), 'gone')
    t.ok(Number(await store.compareAndSet(key, recordOf('new'), undefined)) > 2, 'a version that was given out before is not given out again')
    t.equal((await readLiving(store, key)).payload, 'new')
  })
})

t.test('two stores on one directory', async t => {
  await t.test('see each other\'s commits at once, although each keeps what it has read', async t => {
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    const { key } = await create(store, '0')
    for (let n = 1; n <= 100; n++) {
      const [writer, reader] = n % 2 === 0 ? [store, other] : [other, store]
      await readLiving(reader, key)
      await increment(writer, key)
      t.equal((await readLiving(reader, key)).payload, String(n))
      t.equal((await readLiving(writer, key)).payload, String(n))
    }
  })

  await t.test('see each other\'s commits also when all of them happen within one step of the clock', async t => {
    const now = Date.now()
    t.intercept(Date, 'now', { value: () => now })
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    const { key } = await create(store, '0')
    for (let n = 1; n <= 40; n++) {
      // Twice each, so that a store's own writes are followed by its own as well as by the other's.
      const [writer, reader] = n % 4 < 2 ? [store, other] : [other, store]
      await increment(writer, key)
      t.equal((await readLiving(reader, key)).payload, String(n))
      t.equal((await readLiving(writer, key)).payload, String(n))
    }
  })

  await t.test('see each other\'s growth, ends and touches at once', async t => {
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    const { key, version } = await create(store, 'small')
    await readLiving(other, key)
    await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version)
    t.equal((await readLiving(other, key)).payload.length, 10_000)
    const expiresAt = inFuture(7 * MINUTE)
    await other.touch(key, expiresAt)
    t.same((await readLiving(store, key)).expiresAt, expiresAt)
    await other.destroy(key, inFuture())
    t.match(store.read(key), { reason: 'ended' })
  })

  await t.test('see each other\'s removals, and what is made anew under the same key', async t => {
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    const { key } = await create(store, 'old')
    await readLiving(other, key)
    await store.destroy(key)
    t.equal(other.read(key), undefined)
    await store.compareAndSet(key, recordOf('new'), undefined)
    t.equal((await readLiving(other, key)).payload, 'new')
  })

  await t.test('see what was written long after the file was read', async t => {
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    const { key } = await create(store, 'old')
    // As if the clock had gone on, so that what is read now counts as settled.
    const now = Date.now()
    const restore = t.intercept(Date, 'now', { value: () => now + 1000 })
    t.equal((await readLiving(other, key)).payload, 'old')
    t.equal((await readLiving(other, key)).payload, 'old')
    restore.restore()
    await increment(store, (await create(store, '0')).key)
    const { version } = await readLiving(store, key)
    await store.compareAndSet(key, recordOf('new'), version)
    t.equal((await readLiving(other, key)).payload, 'new')
  })

  await t.test('of one process exclude each other as those of two do', async t => {
    const { store, directory, key, version } = await createIn(t)
    const { store: other } = await anotherOn(t, directory)
    await readLiving(other, key)
    for (const rival of [other, store]) {
      let waiting: unknown
      const { payload, ...rest } = recordOf('ours')
      const current = await readLiving(store, key)
      // The payload is asked for under the lock.
      const answer = store.compareAndSet(key, {
        ...rest,
        get payload () {
          waiting ??= rival.compareAndSet(key, recordOf('theirs'), current.version)
          return payload
        }
      }, current.version)
      t.equal(answer, current.version + 1)
      t.ok(waiting instanceof Promise)
      t.equal(await waiting, 'conflict')
    }
    t.not((await readLiving(store, key)).version, version)
  })

  await t.test('take turns when both are busy, and lose nothing', async t => {
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    const { key } = await create(store, '0')
    await Promise.all([store, other].flatMap(each => Array.from({ length: 10 }, async () => {
      for (let n = 0; n < 20; n++) await increment(each, key)
    })))
    t.equal((await readLiving(store, key)).payload, '400')
  })
})

t.test('a session\'s lock is one for all stores on the directory', async t => {
  const { store, directory } = await fileStore(t)
  const { store: other } = await anotherOn(t, directory)
  const key = newKey()
  const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
  await t.rejects(other.lock(key, { lease: MINUTE, wait: 30 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
  const waiting = other.lock(key, { lease: MINUTE, wait: 5_000 })
  await unlock()
  const unlockOther = await waiting
  await unlockOther()
})

t.test('a session\'s lock is released although nobody may look into the directory at that moment', async t => {
  for (const ending of ['by the request', 'when its lease has run out']) {
    await t.test(ending, async t => {
      const { store, directory } = await fileStore(t)
      const key = newKey()
      const unlock = await store.lock(key, { lease: ending === 'by the request' ? MINUTE : 1, wait: 0 })
      const waiting = setTimeout(() => {}, MINUTE)
      await new Promise<void>(resolve => {
        let isForbidden = true
        replaceInFs(t, 'lstatSync', original => (path, options) => {
          if (!isForbidden) return original(path, options)
          isForbidden = false
          setImmediate(resolve)
          throw fault('EACCES')
        })
        if (ending === 'by the request') void unlock()
      })
      clearTimeout(waiting)
      const unlockAgain = await store.lock(key, { lease: MINUTE, wait: 0 })
      await unlockAgain()
      t.same(readdirSync(directory), [])
    })
  }
})

t.test('commits', async t => {
  await t.test('are done at once while the lock is to be had', async t => {
    const { store, directory } = await fileStore(t)
    t.equal(store.compareAndSet(newKey(), recordOf('payload'), undefined), 1)
    t.equal(sessionFiles(directory).length, 1)
  })

  await t.test('to one session that were all too late but one have to be tried once more each', async t => {
    const { store } = await fileStore(t)
    const { key, version } = await create(store, '0')
    let tries = 0
    await Promise.all(Array.from({ length: 200 }, async () => {
      let [payload, expected] = ['0', version]
      for (;;) {
        tries++
        const answer = await store.compareAndSet(key, recordOf(String(Number(payload) + 1)), expected)
        if (answer !== 'conflict') break
        ;({ payload, version: expected } = store.read(key) as StoredRecord)
      }
    }))
    t.match(store.read(key), { payload: '200' })
    t.equal(tries, 399)
  })

  await t.test('are not lost when the directory has just been removed', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, '0')
    rmSync(directory, { recursive: true })
    t.equal(await store.compareAndSet(key, recordOf('new'), undefined), 1)
    t.match(store.read(key), { payload: 'new' })
  })
})

t.test('a session that another process has locked', async t => {
  /** A session whose file is locked, as by a process that is stopped in the middle of a commit. */
  async function lockedIn (t: Test): Promise<OpenFileStore & { key: StoreKey, version: Version, unlock: () => void }> {
    const created = await createIn(t)
    const path = join(created.directory, created.key)
    const file = openSync(path, 'r+')
    t.teardown(() => { closeSync(file) })
    const locks = await kernelLocks()
    t.ok(locks.tryLock(file, path))
    return { ...created, unlock: () => { locks.unlock(file, path) } }
  }

  await t.test('is read, and written as soon as it is unlocked', async t => {
    const { store, key, version, unlock } = await lockedIn(t)
    t.equal((await readLiving(store, key)).payload, 'payload')
    const waiting = ['first', 'second'].map(async payload => await store.compareAndSet(key, recordOf(payload), version))
    await nextTurn()
    t.equal((await readLiving(store, key)).payload, 'payload')
    unlock()
    t.same(await Promise.all(waiting), [2, 'conflict'], 'in the order of the calls')
  })

  await t.test('fails its commits after ten seconds, with an error that says why and names no path', async t => {
    const { store, directory, key, version, unlock } = await lockedIn(t)
    const clock = fastClock(t)
    const waiting = Promise.resolve(store.compareAndSet(key, recordOf('changed'), version)).catch((error: unknown) => error)
    await nextTurn()
    clock.jump(10_001)
    const error = await waiting
    t.match(error, { code: 'ERR_SESSION_STORE', statusCode: 503, message: /10 s: the process that is writing it is stopped or hangs/ })
    t.notMatch((error as Error).message, directory)
    unlock()
    t.equal(await store.compareAndSet(key, recordOf('changed'), version), 2)
  })

  await t.test('is read as it was before the commit that is being written, also when nothing was there before', async t => {
    const { directory, path, key, before, after } = await twoGenerations(t)
    const locks = await kernelLocks()
    const file = openSync(path, 'r+')
    t.teardown(() => { closeSync(file) })
    t.ok(locks.tryLock(file, path))
    const { store, warnings } = await anotherOn(t, directory)
    // The head of the new generation is there, and its body is not.
    const written = after.length / 2 + 64
    writeFileSync(path, Buffer.concat([after.subarray(0, written), before.subarray(written)]))
    t.equal((await readLiving(store, key)).payload, 'the first generation')
    writeFileSync(path, Buffer.alloc(after.length, 1))
    t.equal(store.read(key), undefined)
    t.same(warnings, [], 'what is being written is not damaged')
  })

  await t.test('holds up nothing once its directory is another one', async t => {
    const { store, directory, key } = await lockedIn(t)
    renameSync(directory, `${directory}.away`)
    t.teardown(() => { rmSync(`${directory}.away`, { recursive: true }) })
    t.equal(await store.compareAndSet(key, recordOf('new'), undefined), 1)
    t.equal((await readLiving(store, key)).payload, 'new')
  })
})

/** Locks that let something happen right before a file is locked, as another process might do it. */
function locksAfter (act: (path: string) => void): FileLocks {
  return new class extends FileLocks {
    override tryLock (file: number, path: string): boolean {
      act(path)
      return super.tryLock(file, path)
    }
  }()
}

t.test('a file that is removed right before it is locked', async t => {
  await t.test('is made anew', async t => {
    let isDue = true
    const { store, directory } = await fileStore(t, {}, locksAfter(path => {
      if (isDue) rmSync(path)
      isDue = false
    }))
    const { key } = await create(store)
    t.same(sessionFiles(directory), [key])
    isDue = true
    const unlock = await store.lock(key, { lease: MINUTE, wait: MINUTE })
    t.ok(existsSync(join(directory, `.${key}.block`)))
    await unlock()
  })

  await t.test('again and again is an error, and no endless loop', async t => {
    const { store, directory } = await fileStore(t, {}, locksAfter(path => { rmSync(path) }))
    await t.rejects(create(store), { code: 'ERR_SESSION_STORE', message: /removed or replaced 100 times in a row/ })
    t.same(readdirSync(directory), [])
  })
})

t.test('a fault of the disk after a session has been ended does not bring it back', async t => {
  const { store, key } = await createIn(t)
  let writes = 0
  replaceInFs(t, 'writeSync', original => (...args) => {
    if (++writes > 1) throw fault('EIO')
    return original(...args)
  })
  t.equal(await store.destroy(key, inFuture()), 'destroyed')
  t.match(store.read(key), { reason: 'ended' })
})

t.test('a session that could neither be written nor removed does not exist, and is swept away', async t => {
  const { store, directory } = await fileStore(t)
  failToWriteOnce(t)
  let removals = 0
  replaceInFs(t, 'rmSync', original => (path, options) => {
    if (++removals === 1) throw fault('EIO')
    original(path, options)
  })
  const key = newKey()
  await t.rejects(async () => await store.compareAndSet(key, recordOf('payload'), undefined), { code: 'ERR_SESSION_STORE', message: 'ENOSPC' })
  t.equal(store.read(key), undefined)
  t.same((await store.list({}, { limit: 10 })).records, [])
  t.equal(await store.sweep(new Date(), 10), 0)
  t.same(readdirSync(directory), [])
})

t.test('the locks of proper-lockfile', async t => {
  await t.test('are used where the binary of the others cannot be loaded', async t => {
    t.notOk((await opened(lockfileLocks())).areNative)
    t.ok((await kernelLocks()).areNative)
  })

  await t.test('are an error where they cannot be made, and let go twice without one', async t => {
    const path = join(t.testdir(), 'nowhere', newKey())
    const locks = await opened(lockfileLocks())
    t.throws(() => locks.tryLock(0, path), { code: 'ENOENT' })
    t.doesNotThrow(() => { locks.unlock(0, path) })
  })

  await t.test('that were lost while they were held end no process when they are to be renewed', async t => {
    const path = join(t.testdir(), newKey())
    const locks = await opened(lockfileLocks())
    let renew: unknown
    const { restore } = t.intercept(globalThis, 'setTimeout', {
      value: (act: unknown) => {
        renew = act
        return { unref: () => {} }
      }
    })
    t.ok(locks.tryLock(0, path))
    restore()
    rmSync(`${path}.lock`, { recursive: true })
    if (typeof renew !== 'function') throw new Error('it is to be renewed after a while')
    t.doesNotThrow(renew as () => void)
    t.ok(locks.tryLock(0, path), 'it can be had again')
    locks.unlock(0, path)
  })
})

t.test('an unchanged session is handed out as the same object', async t => {
  const { store } = await fileStore(t)
  const { key } = await create(store)
  t.equal(store.read(key), store.read(key))
})

t.test('a full disk', async t => {
  await t.test('fails the commit that needs room, and leaves the stored session as it was', async t => {
    const { store, directory } = await fileStore(t)
    const { key, version } = await create(store, 'small')
    failToWriteOnce(t)
    await t.rejects(async () => await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version), { code: 'ERR_SESSION_STORE', message: 'ENOSPC' })
    t.match(await readLiving(store, key), { payload: 'small', version })
    t.same(readdirSync(directory), [key])
  })

  await t.test('does not fail the commits after it, once there is room again', async t => {
    const { store, directory, key: another } = await createIn(t)
    const key = newKey()
    failToWriteOnce(t)
    await t.rejects(async () => await store.compareAndSet(key, recordOf('payload'), undefined), { code: 'ERR_SESSION_STORE' })
    t.same(sessionFiles(directory), [another])
    t.equal(await store.compareAndSet(key, recordOf('payload'), undefined), 1)
    t.equal((await readLiving(store, key)).payload, 'payload')
  })

  await t.test('fails that commit only, and not those that wait behind it', async t => {
    const { store } = await fileStore(t)
    failToWriteOnce(t)
    const [failed, succeeded] = await Promise.allSettled([
      create(store),
      create(store)
    ])
    t.equal(failed.status, 'rejected')
    t.equal(succeeded.status, 'fulfilled')
  })
})

t.test('sweep', async t => {
  await t.test('removes the files of expired sessions and of tombstones whose time has passed', async t => {
    const { store, directory } = await fileStore(t)
    const { key: living } = await create(store, 'living', 10 * MINUTE)
    await create(store, 'expired')
    const { key: ended } = await create(store, 'ended', 10 * MINUTE)
    await store.destroy(ended, inFuture(MINUTE))
    t.equal(await store.sweep(inFuture(2 * MINUTE), 100), 2)
    t.same(sessionFiles(directory), [living])
  })

  await t.test('is not held up by an entry that cannot be read', async t => {
    const { store, directory } = await fileStore(t)
    mkdirSync(join(directory, '0'.repeat(64)))
    await create(store, 'expired')
    t.equal(await store.sweep(inFuture(2 * MINUTE), 100), 1)
    t.same(sessionFiles(directory), ['0'.repeat(64)])
  })

  await t.test('leaves a session that has begun anew since it was looked at', async t => {
    const place = t.testdir({ one: {}, other: {} })
    const { store, directory } = await fileStore(t, { directory: join(place, 'one') })
    const other = await fileStore(t, { directory: join(place, 'other') })
    const { key } = await create(store, 'expired', -1)
    const { key: living } = await create(other.store, 'living')
    store.close()
    beforeOpening(t, () => { cpSync(join(other.directory, living), join(directory, key)) })
    t.equal(await store.sweep(new Date(), 100), 0)
    t.same(sessionFiles(directory), [key])
  })

  await t.test('removes many, with pauses in between', async t => {
    const { store, directory } = await fileStore(t)
    for (let n = 0; n < 100; n++) await create(store, 'expired', -1)
    t.equal(await store.sweep(new Date(), 1000), 100)
    t.same(sessionFiles(directory), [])
  })

  await t.test('removes damaged files a day after they were damaged, and not before', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store)
    writeFileSync(join(directory, key), 'damaged')
    t.equal(await store.sweep(inFuture(DAY - MINUTE), 100), 0)
    t.equal(await store.sweep(inFuture(DAY + MINUTE), 100), 1)
    t.same(sessionFiles(directory), [])
  })

  await t.test('removes what dead processes left: half-written files, and locks', async t => {
    const { store, directory } = await fileStore(t)
    const key = newKey()
    const half = join(directory, `.${key}.0123456789abcdef.tmp`)
    writeFileSync(half, 'half-writ')
    writeFileSync(join(directory, `.${key}.block`), '')
    mkdirSync(join(directory, `${key}.lock`))
    mkdirSync(join(directory, `.${key}.block.lock`))
    for (const name of readdirSync(directory)) utimesSync(join(directory, name), inFuture(-2 * MINUTE), inFuture(-2 * MINUTE))
    t.equal(await store.sweep(new Date(), 100), 0)
    t.same(readdirSync(directory), [])
  })

  await t.test('leaves those that may still be in use', async t => {
    const { store, directory } = await fileStore(t)
    const key = newKey()
    writeFileSync(join(directory, `.${key}.0123456789abcdef.tmp`), 'being written')
    mkdirSync(join(directory, `${key}.lock`))
    const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
    await store.sweep(new Date(), 100)
    t.same(readdirSync(directory).sort(), [`.${key}.0123456789abcdef.tmp`, `.${key}.block`, `${key}.lock`])
    await unlock()
  })

  await t.test('removes the blank file of a process that was killed before it wrote anything', async t => {
    const { store, directory } = await fileStore(t)
    writeFileSync(join(directory, newKey()), '')
    t.equal(await store.sweep(new Date(), 100), 0)
    t.same(readdirSync(directory), [])
  })

  await t.test('leaves what is none of ours', async t => {
    const directory = t.testdir({ '.gitignore': '*', 'README.md': 'hello', deadbeef: 'short', directory: {}, [`${'A'.repeat(64)}`]: 'upper case' })
    const { store } = await fileStore(t, { directory })
    t.equal(await store.sweep(inFuture(10 * DAY), 100), 0)
    t.same(readdirSync(directory).sort(), ['.gitignore', 'A'.repeat(64), 'README.md', 'deadbeef', 'directory'])
  })

  await t.test('leaves everything to another process that is sweeping already', async t => {
    const { store, directory } = await fileStore(t)
    await create(store, 'expired', -1)
    const [path, locks] = [join(directory, '.sweep'), await kernelLocks()]
    const file = openSync(path, 'w')
    t.ok(locks.tryLock(file, path))
    t.equal(await store.sweep(new Date(), 100), 0)
    closeSync(file)
    t.equal(await store.sweep(new Date(), 100), 1)
  })

  await t.test('two at a time: one does it', async t => {
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    for (let n = 0; n < 10; n++) await create(store, 'expired', -1)
    t.same((await Promise.all([store.sweep(new Date(), 100), other.sweep(new Date(), 100)])).sort((a, b) => a - b), [0, 10])
  })

  await t.test('does not count what has gone before it could be removed', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, 'expired', -1)
    store.close()
    beforeOpening(t, () => { rmSync(join(directory, key)) })
    t.equal(await store.sweep(new Date(), 100), 0)
  })

  await t.test('passes over sessions that have gone since the directory was read', async t => {
    const { store, directory } = await fileStore(t)
    for (let n = 0; n < 5; n++) await create(store, 'expired', -1)
    store.close()
    beforeOpening(t, () => { for (const name of sessionFiles(directory)) rmSync(join(directory, name)) })
    t.equal(await store.sweep(new Date(), 100), 0)
  })

  await t.test('leaves a session that another process has locked to the next sweep', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, 'expired', -1)
    const [path, locks] = [join(directory, key), await kernelLocks()]
    const file = openSync(path, 'r+')
    t.ok(locks.tryLock(file, path))
    t.equal(await store.sweep(new Date(), 100), 0)
    t.same(sessionFiles(directory), [key])
    closeSync(file)
    t.equal(await store.sweep(new Date(), 100), 1)
  })

  await t.test('passes over leftovers that have gone, or cannot be removed', async t => {
    const { store, directory } = await fileStore(t)
    symlinkSync('nowhere', join(directory, `.${newKey()}.0123456789abcdef.tmp`))
    mkdirSync(join(directory, `${newKey()}.lock`, 'not empty'), { recursive: true })
    t.equal(await store.sweep(inFuture(2 * MINUTE), 100), 0)
  })

  await t.test('is not held up by a file of a session that is none, nor by a leftover that may not be removed', async t => {
    const { store, directory } = await fileStore(t)
    symlinkSync('0'.repeat(64), join(directory, '0'.repeat(64)))
    const half = join(directory, `.${newKey()}.0123456789abcdef.tmp`)
    mkdirSync(half)
    utimesSync(half, inFuture(-11_000), inFuture(-11_000))
    await create(store, 'expired', -1)
    t.equal(await store.sweep(new Date(), 100), 1)
    t.ok(existsSync(half))
  })

  await t.test('is an error where there is no directory any more', async t => {
    const { store, directory } = await fileStore(t)
    rmSync(directory, { recursive: true })
    await t.rejects(store.sweep(new Date(), 100), { code: 'ERR_SESSION_STORE', message: 'ENOENT' })
  })
})

t.test('durable', async t => {
  await t.test('flushes each commit to the disk, and the directory when a file is new', async t => {
    const flushed: string[] = []
    replaceInFs(t, 'fdatasync', original => (file, callback) => { flushed.push('file'); original(file, callback) })
    replaceInFs(t, 'fsyncSync', original => file => { flushed.push('directory'); original(file) })
    const { store } = await fileStore(t, { durable: true })
    const { key, version } = await create(store)
    t.same(flushed, ['file', 'directory'])
    await store.compareAndSet(key, recordOf('changed'), version)
    t.same(flushed, ['file', 'directory', 'file'])
  })

  await t.test('is not so unless it was asked for', async t => {
    replaceInFs(t, 'fdatasync', () => () => { throw new Error('flushed') })
    replaceInFs(t, 'fsyncSync', () => () => { throw new Error('flushed') })
    const { key, version, store } = await createIn(t)
    t.equal(await store.compareAndSet(key, recordOf('changed'), version), 2)
  })
})

t.test('opening a session\'s file', async t => {
  await t.test('when descriptors have run out gives up those that were kept open, and tries again', async t => {
    const { directory, key } = await createIn(t)
    const { store } = await anotherOn(t, directory)
    await create(store, 'kept open')
    failToOpen(t, 'EMFILE')
    t.equal((await readLiving(store, key)).payload, 'payload')
  })

  await t.test('is not needed to end a session, so that it works on a full disk', async t => {
    const { store, key } = await createIn(t)
    replaceInFs(t, 'openSync', () => () => { throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }) })
    t.equal(await store.destroy(key, inFuture(MINUTE)), 'destroyed')
    t.match(store.read(key), { reason: 'ended' })
  })

  await t.test('is a SessionStoreError when that does not help', async t => {
    const { directory, key } = await createIn(t)
    const { store } = await anotherOn(t, directory)
    await create(store, 'kept open')
    failToOpen(t, 'EMFILE', 'EMFILE')
    t.throws(() => store.read(key), { code: 'ERR_SESSION_STORE', message: 'EMFILE' })
    t.equal((await readLiving(store, key)).payload, 'payload')
  })

  await t.test('that has gone a moment ago finds the session missing', async t => {
    const { directory, key } = await createIn(t)
    const { store } = await anotherOn(t, directory)
    failToOpen(t, 'ENOENT')
    t.equal(store.read(key), undefined)
  })
})

t.test('an error that has no code is told as the cause', async t => {
  const { directory, key } = await createIn(t)
  const { store } = await anotherOn(t, directory)
  replaceInFs(t, 'readSync', () => () => { throw new Error('a strange one') })
  t.throws(() => store.read(key), { code: 'ERR_SESSION_STORE', cause: { message: 'a strange one' } })
})

t.test('nothing is ever left behind but sessions', async t => {
  const { store, directory } = await fileStore(t)
  const { key, version } = await create(store)
  await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version)
  const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
  await unlock()
  await store.sweep(new Date(), 100)
  t.same(readdirSync(directory), [key])
  t.ok(lstatSync(join(directory, key)).isFile())
})

t.test('a read finds at once what is in the directory that has taken the place of another', async t => {
  const place = t.testdir({ one: {}, other: {} })
  const { store, directory } = await fileStore(t, { directory: join(place, 'one') })
  const { key } = await create(store, 'old')
  t.equal((await readLiving(store, key)).payload, 'old')
  cpSync(directory, join(place, 'copy'), { recursive: true })
  const { store: other } = await fileStore(t, { directory: join(place, 'copy') })
  const { version } = await readLiving(other, key)
  await other.compareAndSet(key, recordOf('new'), version)
  renameSync(directory, join(place, 'away'))
  renameSync(join(place, 'copy'), directory)
  await nextTurn()
  t.equal((await readLiving(store, key)).payload, 'new')
})

t.test('the removal of a file by hand is noticed within a second', async t => {
  const { directory, key } = await createIn(t)
  const { store } = await anotherOn(t, directory)
  await readLiving(store, key)
  rmSync(join(directory, key))
  const clock = fastClock(t)
  clock.jump(1_000)
  await nextTurn()
  t.equal(store.read(key), undefined)
})

t.test('a report that throws fails its commit, and holds up no other one', async t => {
  const { directory, path, key, after } = await twoGenerations(t)
  const damaged = Buffer.from(after)
  damaged.fill(0xff, after.length / 2, after.length / 2 + 8)
  writeFileSync(path, damaged)
  const store = new FileStore({ directory, report: () => { throw new Error('the log is closed') } })
  t.teardown(() => { store.close() })
  await store.open()
  const { store: other } = await anotherOn(t, directory)
  const { version } = await readLiving(other, key)
  await t.rejects(async () => await store.compareAndSet(key, recordOf('unreported'), version), { code: 'ERR_SESSION_STORE' })
  t.type(other.compareAndSet(key, recordOf('third'), version), 'number', 'at once')
})

t.test('a store that was given nobody to report to warns by the process', async t => {
  const { directory, key } = await createIn(t)
  writeFileSync(join(directory, key), 'damaged')
  const store = new FileStore({ directory })
  t.teardown(() => { store.close() })
  await store.open()
  const warned = once(process, 'warning')
  t.equal(store.read(key), undefined)
  const [warning] = await warned as [Error]
  t.match(warning, { name: 'SessionWarning', code: 'AMBIENT_SESSION_DAMAGED' })
})
