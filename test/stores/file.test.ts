/** The file store: the contract, and what is in the directory. Several processes at once have a file of their own. */
import {
  copyFileSync,
  chmodSync, existsSync, linkSync, lstatSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { FileStore, SessionStoreError } from '../../src/index.ts'
import type { StoredRecord, StoreKey, Version } from '../../src/index.ts'
import { claimOf } from './claims.ts'
import { fastClock, until } from './clock.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'
import { afterReading, failToWriteOnce, replaceInFs } from './faults.ts'
import { conforms, fileStore } from './support.ts'
import type { OpenFileStore } from './support.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

function inFuture (milliseconds = MINUTE): Date {
  return new Date(Date.now() + milliseconds)
}

/** The names of session files: of everything that is not hidden. */
function sessionFiles (directory: string): string[] {
  return readdirSync(directory).filter(name => !name.startsWith('.'))
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
  failToWriteOnce(t)
  await t.rejects(async () => await store.destroy(key), { code: 'ERR_SESSION_STORE' })
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
  t.equal(store.read(key), 'gone')
  t.notMatch(readFileSync(join(directory, key), 'latin1'), 'xxxx')
})

t.test('the file store keeps the contract', async t => {
  await conforms(t, async t => (await fileStore(t)).store)
})

t.test('the durable file store keeps the contract', async t => {
  await conforms(t, async t => (await fileStore(t, { durable: true })).store)
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
      t.throws(() => { store.open() }, { name: 'SessionStoreError', code: 'ERR_SESSION_STORE', statusCode: 503, message: directory })
    })
  }

  await t.test('that this user cannot write is a SessionStoreError that names it', {
    skip: process.getuid?.() === 0 ? 'permissions do not stop root' : false
  }, async t => {
    const directory = t.testdir()
    chmodSync(directory, 0o500)
    const store = new FileStore({ directory, report: () => {} })
    t.throws(() => { store.open() }, { code: 'ERR_SESSION_STORE', message: directory })
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

  await t.test('that becomes unusable while the commit lock is held takes nothing else with it', async t => {
    const { store, directory, key, version } = await createIn(t)
    await store.compareAndSet(key, recordOf('changed'), version)
    renameSync(directory, `${directory}.away`)
    writeFileSync(directory, 'not a directory')
    // Lets go of the lock, which cannot even be looked at.
    await t.resolves(store.close())
    t.throws(() => store.read(key), { code: 'ERR_SESSION_STORE' })
    rmSync(directory)
    renameSync(`${directory}.away`, directory)
    t.equal((await readLiving(store, key)).payload, 'changed')
  })

  await t.test('removed under a running server is made again by the next lock', async t => {
    const { store, directory } = await fileStore(t)
    rmSync(directory, { recursive: true })
    const unlock = await store.lock(newKey(), { lease: MINUTE, wait: 0 })
    await unlock()
    t.ok(existsSync(directory))
  })

  await t.test('with a link to nowhere in its place is an error that names it', async t => {
    const directory = join(t.testdir(), 'sessions')
    const { store } = await fileStore(t, { directory })
    rmSync(directory, { recursive: true })
    symlinkSync('nowhere', directory)
    await t.rejects(create(store), { code: 'ERR_SESSION_STORE', message: directory })
    rmSync(directory)
    await create(store)
  })

  await t.test('with a file in its place is an error of each call, and works again when that is gone', async t => {
    const directory = join(t.testdir(), 'sessions')
    const { store } = await fileStore(t, { directory })
    const { key, version } = await create(store)
    await store.close()
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

  await t.test('is readable text: the facts on one line, and the payload on the next', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, '{"data":{"name":"Ädä"}}')
    const [heading = '', payload] = readFileSync(join(directory, key), 'utf8').split('\n')
    t.match(heading, /^[0-9a-f]{8} 0{11}1 \{"format":1,"version":1,.*\}$/)
    t.equal(payload, '{"data":{"name":"Ädä"}}')
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
  await t.test('to the current generation leaves the one before, from which commits go on', async t => {
    const { directory, path, key, after } = await twoGenerations(t)
    const damaged = Buffer.from(after)
    damaged.write('DAMAGED', damaged.indexOf('the second'))
    writeFileSync(path, damaged)
    const { store, warnings } = await anotherOn(t, directory)
    const { payload, version } = await readLiving(store, key)
    t.equal(payload, 'the first generation')
    t.equal(await store.compareAndSet(key, recordOf('the next generation'), version), 2)
    t.equal((await readLiving(store, key)).payload, 'the next generation')
    t.same(warnings, [])
  })

  const damages: Record<string, (after: Buffer) => Buffer | string> = {
    'to both generations': after => Buffer.from(after).fill('x', 20, 40).fill('x', after.length / 2 + 20, after.length / 2 + 40),
    'that leaves nothing': () => '',
    'that cuts the file short': after => after.subarray(0, 100),
    'by another format': after => after.toString('latin1').replaceAll('"format":1', '"format":2'),
    'by text that is none of ours': () => 'hello\nworld\n',
    'by a first line that never ends': () => '00000000 000000000001 '.padEnd(256, 'x').repeat(2),
    'by facts that are no object': () => '00000000 null\n00000000 null\n',
    'to both payloads': after => after.toString('latin1').replaceAll('generation\n', 'GENERATION\n'),
    'to both lengths': after => after.toString('latin1').replaceAll(/"bytes":\d+/g, '"bytes":9999')
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
    t.equal(await store.compareAndSet(key, recordOf('new'), undefined), 1)
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
    t.equal(store.read(key), 'gone')
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

  await t.test('are not lost when the directory has been removed while the process had the lock', async t => {
    const { store, directory } = await fileStore(t)
    const clock = fastClock(t)
    // Nothing finds the process idle, so it keeps the lock.
    const timers = t.intercept(globalThis, 'setTimeout', { value: () => {} })
    const { key } = await create(store, '0')
    // In a turn in which nobody has looked at the directory yet.
    await nextTurn()
    rmSync(directory, { recursive: true })
    // So that the lock is looked for before it is trusted.
    clock.jump(200)
    const writing = store.compareAndSet(key, recordOf('new'), undefined)
    timers.restore()
    t.equal(await writing, 1)
    t.match(store.read(key), { payload: 'new' })
  })
})

t.test('an unchanged session is handed out as the same object', async t => {
  const { store } = await fileStore(t)
  const { key } = await create(store)
  t.equal(store.read(key), store.read(key))
})

t.test('the commit lock', async t => {
  await t.test('is let go soon after the last commit', async t => {
    const { store, directory } = await fileStore(t)
    await create(store)
    while (existsSync(join(directory, '.commit.lock'))) await nextTurn()
    t.pass()
  })

  await t.test('is let go when the store is closed', async t => {
    const { store, directory } = await fileStore(t)
    await create(store)
    await store.close()
    t.notOk(existsSync(join(directory, '.commit.lock')))
  })

  await t.test('of somebody of whom nothing can be found out is taken over after ten seconds without a sign of life', async t => {
    const { store, directory } = await fileStore(t)
    const lock = join(directory, '.commit.lock')
    writeFileSync(lock, JSON.stringify({ pid: 1, startedAt: '1', place: 'another machine' }))
    const clock = fastClock(t)
    const waiting = create(store)
    // As long as there are signs, it is waited for.
    clock.jump(9_000)
    await nextTurn()
    utimesSync(lock, new Date(), new Date())
    await until(() => clock.looks > 10)
    clock.jump(9_000)
    await until(() => clock.looks > 20)
    t.ok(existsSync(lock))
    clock.jump(11_000)
    await t.resolves(waiting)
    await until(() => !existsSync(lock))
  })

  await t.test('that somebody holds who lives fails the commit after twelve seconds', async t => {
    const { store, directory } = await fileStore(t)
    const { store: other } = await anotherOn(t, directory)
    const key = newKey()
    const unlock = await other.lock(key, { lease: DAY, wait: 0 })
    // The lock of a session says who this process is, as well as its commit lock would.
    linkSync(join(directory, `.${key}.lock`), join(directory, '.commit.lock'))
    const clock = fastClock(t)
    const failing = t.rejects(create(store), { code: 'ERR_SESSION_STORE', message: /\.commit\.lock.*12 s/ })
    await until(() => clock.looks > 10)
    clock.jump(13_000)
    await failing
    rmSync(join(directory, '.commit.lock'))
    await create(store)
    await unlock()
  })

  await t.test('that was lost is taken again before the next write', async t => {
    const { store, directory } = await fileStore(t)
    const { key } = await create(store, '0')
    rmSync(join(directory, '.commit.lock'), { recursive: true, force: true })
    await increment(store, key)
    t.equal((await readLiving(store, key)).payload, '1')
  })
})

t.test('a full disk', { skip: existsSync('/dev/full') ? false : 'there is no /dev/full' }, async t => {
  await t.test('fails the commit that needs room, and leaves the stored session as it was', async t => {
    const { store, directory } = await fileStore(t)
    const { key, version } = await create(store, 'small')
    symlinkSync('/dev/full', join(directory, `${key}.tmp`))
    await t.rejects(async () => await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version), { code: 'ERR_SESSION_STORE', message: 'ENOSPC' })
    t.match(await readLiving(store, key), { payload: 'small', version })
    t.same(sessionFiles(directory), [key])
  })

  await t.test('does not fail the commits after it, once there is room again', async t => {
    // With the lock, which is written, too.
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
    // Takes the lock, which is written, too.
    await create(store)
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
    afterReading(t, () => { copyFileSync(join(other.directory, living), join(directory, key)) })
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

  await t.test('removes half-written files that a dead process left', async t => {
    const { store, directory } = await fileStore(t)
    const key = newKey()
    const half = join(directory, `${key}.tmp`)
    writeFileSync(half, 'half-writ')
    utimesSync(half, inFuture(-11_000), inFuture(-11_000))
    t.equal(await store.sweep(new Date(), 100), 0)
    await store.close()
    t.same(readdirSync(directory), [])
  })

  await t.test('removes what dead processes say of themselves, and their locks on sessions', {
    skip: existsSync('/proc/self/stat') ? false : 'there is no /proc'
  }, async t => {
    const { store, directory } = await fileStore(t)
    const { pid, place } = await claimOf(store, directory)
    // Another process has that number by now: this one.
    const dead = JSON.stringify({ pid, startedAt: '1', place })
    for (const name of [`.owner-${pid}-abcdefghijkl`, `.${newKey()}.lock`, `.${newKey()}.lock.takeover`]) writeFileSync(join(directory, name), dead)
    const elsewhere = `.owner-${pid}-somewhereels`
    writeFileSync(join(directory, elsewhere), JSON.stringify({ pid, startedAt: '1', place: 'another machine' }))
    await store.sweep(new Date(), 100)
    await store.close()
    t.same(readdirSync(directory), [elsewhere], 'of those elsewhere it cannot be told')
  })

  await t.test('leaves those that may still be in use', async t => {
    const { store, directory } = await fileStore(t)
    const key = newKey()
    const names = [`.${key}.lock`, `${key}.tmp`]
    writeFileSync(join(directory, `${key}.tmp`), 'being written')
    const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
    await store.sweep(new Date(), 100)
    t.same(readdirSync(directory).filter(name => !name.startsWith('.owner')).sort(), names.sort())
    await unlock()
  })

  await t.test('leaves what is none of ours', async t => {
    const directory = t.testdir({ '.gitignore': '*', 'README.md': 'hello', deadbeef: 'short', directory: {}, [`${'A'.repeat(64)}`]: 'upper case' })
    const { store } = await fileStore(t, { directory })
    t.equal(await store.sweep(inFuture(10 * DAY), 100), 0)
    await store.close()
    t.same(readdirSync(directory).sort(), ['.gitignore', 'A'.repeat(64), 'README.md', 'deadbeef', 'directory'])
  })

  await t.test('leaves everything to another process that is sweeping already', async t => {
    const { store, directory } = await fileStore(t)
    await create(store, 'expired', -1)
    writeFileSync(join(directory, '.sweep.lock'), '')
    t.equal(await store.sweep(new Date(), 100), 0)
    rmSync(join(directory, '.sweep.lock'))
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
    afterReading(t, () => { rmSync(join(directory, key)) })
    t.equal(await store.sweep(new Date(), 100), 0)
  })

  await t.test('passes over leftovers that have gone, or cannot be removed', async t => {
    const { store, directory } = await fileStore(t)
    symlinkSync('nowhere', join(directory, `${newKey()}.tmp`))
    mkdirSync(join(directory, `.${newKey()}.lock`, 'not empty'), { recursive: true })
    t.equal(await store.sweep(new Date(), 100), 0)
  })

  await t.test('is not held up by a file of a session that is none, nor by a leftover that may not be removed', async t => {
    const { store, directory } = await fileStore(t)
    symlinkSync('0'.repeat(64), join(directory, '0'.repeat(64)))
    const half = join(directory, `${newKey()}.tmp`)
    mkdirSync(half)
    utimesSync(half, inFuture(-11_000), inFuture(-11_000))
    await create(store, 'expired', -1)
    t.equal(await store.sweep(new Date(), 100), 1)
    t.ok(existsSync(half))
  })

  await t.test('is an error where there is no directory any more', async t => {
    const { store, directory } = await fileStore(t)
    rmSync(directory, { recursive: true })
    await t.rejects(store.sweep(new Date(), 100), { code: 'ENOENT' })
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
  /** Makes the next attempts to open a session's file fail. */
  function failToOpen (t: Test, ...codes: string[]): void {
    replaceInFs(t, 'openSync', original => (path, flags, mode) => {
      const code = flags === 'r+' ? codes.shift() : undefined
      if (code !== undefined) throw Object.assign(new Error(code), { code })
      return original(path, flags, mode)
    })
  }

  await t.test('when descriptors have run out gives up those that were kept open, and tries again', async t => {
    const { directory, key } = await createIn(t)
    const { store } = await anotherOn(t, directory)
    failToOpen(t, 'EMFILE')
    t.equal((await readLiving(store, key)).payload, 'payload')
  })

  await t.test('is not needed to end a session, so that it works on a full disk', async t => {
    const { store, key } = await createIn(t)
    replaceInFs(t, 'openSync', () => () => { throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }) })
    t.equal(await store.destroy(key, inFuture(MINUTE)), 'destroyed')
    t.equal(store.read(key), 'gone')
  })

  await t.test('is a SessionStoreError when that does not help', async t => {
    const { directory, key } = await createIn(t)
    const { store } = await anotherOn(t, directory)
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

t.test('an error of the file system that has no code is told as it is', async t => {
  const { directory, key } = await createIn(t)
  const { store } = await anotherOn(t, directory)
  replaceInFs(t, 'readSync', () => () => { throw new Error('a strange one') })
  t.throws(() => store.read(key), { code: 'ERR_SESSION_STORE', message: 'a strange one' })
})

t.test('a damaged file that goes away while it is being read is a missing session', async t => {
  const { directory, key } = await createIn(t)
  const path = join(directory, key)
  writeFileSync(path, 'damaged')
  const { store, warnings } = await anotherOn(t, directory)
  afterReading(t, () => { rmSync(path) })
  t.equal(store.read(key), undefined)
  t.same(warnings, [])
})

t.test('a session that grows while it is being read is read whole', async t => {
  const { directory, key } = await createIn(t)
  const { store, warnings } = await anotherOn(t, directory)
  const { store: elsewhere, directory: anotherDirectory } = await fileStore(t, { directory: join(directory, 'elsewhere') })
  await elsewhere.compareAndSet(key, recordOf('x'.repeat(10_000)), undefined)
  let isDue = true
  // Between the look at the file and its being opened, as another process would.
  replaceInFs(t, 'openSync', original => (path, flags, mode) => {
    if (flags === 'r+' && isDue) {
      isDue = false
      renameSync(join(anotherDirectory, key), join(directory, key))
    }
    return original(path, flags, mode)
  })
  t.equal((await readLiving(store, key)).payload.length, 10_000)
  t.same(warnings, [])
})

t.test('nothing is ever left behind but sessions', async t => {
  const { store, directory } = await fileStore(t)
  const { key, version } = await create(store)
  await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version)
  const unlock = await store.lock(key, { lease: MINUTE, wait: 0 })
  await unlock()
  await store.sweep(new Date(), 100)
  await store.close()
  t.same(readdirSync(directory), [key])
  t.ok(lstatSync(join(directory, key)).isFile())
})

t.test('a file that somebody has removed by hand is missed within a second', async t => {
  const { directory, key } = await createIn(t)
  const { store } = await anotherOn(t, directory)
  await readLiving(store, key)
  rmSync(join(directory, key))
  const clock = fastClock(t)
  clock.jump(1_000)
  await nextTurn()
  t.equal(store.read(key), undefined)
})
