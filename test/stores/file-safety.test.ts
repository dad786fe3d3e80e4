/** What others may put into the directory, or take away from it: links, FIFOs, permissions, whole file systems. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type NewRecord, openSessions, type Version } from '../../src/index.ts'
import { canMount, unless } from '../concurrency/needs.ts'
import { create, createRecord, newKey, readLiving, recordOf } from './conformance.ts'
import { fault, replaceInFs } from './faults.ts'
import { fileStore } from './support.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const hasFifos = spawnSync('mkfifo', ['--version']).status === 0

function inFuture (milliseconds = MINUTE): Date {
  return new Date(Date.now() + milliseconds)
}

type Call = (path: unknown, ...others: unknown[]) => Promise<unknown>

/** Puts a function in the place of one that works through the thread pool. */
function replaceInPromises (t: Test, name: 'open' | 'lstat', replacement: (original: Call) => Call): void {
  const functions = fs as unknown as Record<typeof name, Call>
  const original = functions[name]
  functions[name] = replacement(original)
  syncBuiltinESMExports()
  t.teardown(() => {
    functions[name] = original
    syncBuiltinESMExports()
  })
}

/**
 * Answers whatever opens a file through the thread pool as the system does where that is not allowed; root it allows everything.
 *
 * @param name of the file; all when left out
 */
function refuseToOpen (t: Test, name = '', code = 'EACCES'): void {
  replaceInPromises(t, 'open', original => async (path, ...others) => {
    if (typeof path === 'string' && path.endsWith(name)) throw fault(code)
    return await original(path, ...others)
  })
}

function recordFor (userId: string): NewRecord {
  return { ...recordOf('payload'), userId }
}

t.test('a symbolic link in the place of a session\'s file', async t => {
  await t.test('is not followed: what it leads to is neither read, written nor removed', async t => {
    const { store, directory } = await fileStore(t)
    const { store: elsewhere, directory: target } = await fileStore(t, { directory: join(directory, 'elsewhere') })
    const { key, version } = await create(elsewhere, 'theirs', -MINUTE)
    const before = readFileSync(join(target, key))
    symlinkSync(join(target, key), join(directory, key))
    t.throws(() => store.read(key), { code: 'ERR_SESSION_STORE' })
    await t.rejects(async () => await store.compareAndSet(key, recordOf('ours'), version), { code: 'ERR_SESSION_STORE' })
    await t.rejects(async () => await store.compareAndSet(key, recordOf('ours'), undefined), { code: 'ERR_SESSION_STORE' })
    await t.rejects(async () => await store.destroy(key), { code: 'ERR_SESSION_STORE' })
    t.equal(await store.sweep(new Date(), 10), 0)
    t.same(readFileSync(join(target, key)), before)
  })

  await t.test('that was put there while the file was open is noticed before anything is written', async t => {
    const { store, directory } = await fileStore(t)
    const { key, version } = await create(store)
    const victim = join(directory, 'victim')
    writeFileSync(victim, 'precious')
    rmSync(join(directory, key))
    symlinkSync(victim, join(directory, key))
    await t.rejects(async () => await store.compareAndSet(key, recordOf('ours'), version), { code: 'ERR_SESSION_STORE' })
    t.equal(readFileSync(victim, 'utf8'), 'precious')
  })

  await t.test('that stands for the lock of a route that blocks is not followed', async t => {
    const { store, directory } = await fileStore(t)
    const key = newKey()
    symlinkSync('nowhere', join(directory, `.${key}.block`))
    await t.rejects(store.lock(key, { lease: MINUTE, wait: 0 }), { code: 'ERR_SESSION_STORE' })
    t.notOk(existsSync(join(directory, 'nowhere')))
  })
})

t.test('a FIFO in the place of a file does not block the event loop', { skip: unless(hasFifos, 'mkfifo') }, async t => {
  const { store, directory } = await fileStore(t)
  const key = newKey()
  for (const name of [key, `.${key}.block`]) spawnSync('mkfifo', [join(directory, name)])
  t.throws(() => store.read(key), { code: 'ERR_SESSION_STORE', message: 'ENOTREG' })
  await t.rejects(async () => await store.compareAndSet(key, recordOf('ours'), undefined), { code: 'ERR_SESSION_STORE' })
  await t.rejects(store.lock(key, { lease: MINUTE, wait: 0 }), { code: 'ERR_SESSION_STORE' })
  t.same((await store.list({}, { limit: 10 })).records, [])
  t.equal(await store.sweep(inFuture(2 * DAY), 10), 0)
  const { store: other } = await fileStore(t, { directory, asyncReads: true })
  await t.rejects(async () => await other.read(key), { code: 'ERR_SESSION_STORE' })
})

t.test('a disk that has become read-only is read, and refuses what would write', async t => {
  const { store: before, directory } = await fileStore(t)
  const { key, version } = await create(before, 'payload')
  const { store } = await fileStore(t, { directory })
  replaceInFs(t, 'openSync', original => (path, flags, mode) => {
    if (typeof flags === 'number' && (flags & 3) !== 0) throw fault('EROFS')
    return original(path, flags, mode)
  })
  t.equal((await readLiving(store, key)).payload, 'payload')
  t.equal((await store.list({}, { limit: 10 })).records.length, 1)
  await t.rejects(async () => await store.compareAndSet(key, recordOf('ours'), version), { code: 'ERR_SESSION_STORE', message: 'EROFS' })
  await t.rejects(async () => await store.compareAndSet(newKey(), recordOf('ours'), undefined), { code: 'ERR_SESSION_STORE', message: 'EROFS' })
  t.match(await readLiving(store, key), { payload: 'payload', version })
})

t.test('a file in the place of the directory is a fault of the store where sessions are listed, and no empty list', async t => {
  const { store, directory } = await fileStore(t, { directory: join(t.testdir(), 'sessions') })
  rmSync(directory, { recursive: true })
  writeFileSync(directory, '')
  await t.rejects(store.list({}, { limit: 10 }), { code: 'ERR_SESSION_STORE', message: 'ENOTDIR' })
})

t.test('no error that clients may see names a path', async t => {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store)
  for (const code of ['ENOSPC', 'EIO', 'EACCES']) {
    replaceInFs(t, 'openSync', () => () => { throw Object.assign(new Error(`${code}: open '${directory}'`), { code }) })
    const errors = await Promise.all([
      Promise.resolve(store.compareAndSet(newKey(), recordOf('x'), undefined)).catch((error: unknown) => error),
      store.lock(key, { lease: 1, wait: 1 }).catch((error: unknown) => error)
    ]) as Error[]
    for (const { message, cause } of errors) {
      t.notMatch(message, directory)
      t.match(message, code)
      t.match(cause, { message: directory }, 'the log has it')
    }
  }
})

t.test('a session\'s file that this process may not read', async t => {
  /** A directory whose files another user has made. */
  function directoryOf (t: Test): string {
    const directory = mkdtempSync(join(tmpdir(), 'ambient-session-'))
    t.teardown(() => { rmSync(directory, { recursive: true }) })
    return directory
  }

  await t.test('is reported, once, and swept away when it has not changed for a day', async t => {
    const { store, directory, warnings } = await fileStore(t, { directory: directoryOf(t) })
    const { key } = await create(store, 'expired', -MINUTE)
    store.close()
    refuseToOpen(t)
    t.equal(await store.sweep(new Date(), 10), 0)
    t.equal(await store.sweep(new Date(), 10), 0)
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED', key, message: 'cannot be read' }])
    t.equal(warnings.length, 1)
    t.equal(await store.sweep(inFuture(DAY + MINUTE), 10), 1)
    t.same(readdirSync(directory), [])
  })

  await t.test('is left out of lists, which say so, and does not hide the others', async t => {
    const { store, warnings } = await fileStore(t)
    const [hidden, others] = [await create(store), [(await create(store)).key, (await create(store)).key].sort()]
    refuseToOpen(t, hidden.key)
    t.match(await store.list({}, { limit: 10 }), { records: others.map(key => ({ key })), unreadable: 1 })
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED', key: hidden.key }])

    const first = await store.list({}, { limit: 1 })
    const second = await store.list({}, { limit: 1, after: first.next })
    t.equal(Number(first.unreadable) + Number(second.unreadable), 1, 'on one page only')
  })

  await t.test('is not ended with its user\'s others, which is an error', async t => {
    const { store, directory } = await fileStore(t)
    const [hidden] = [await createRecord(store, recordFor('ada')), await createRecord(store, recordFor('ada')), await createRecord(store, recordFor('bob'))]
    const sessions = await openSessions({ driver: 'file', files: directory })
    refuseToOpen(t, hidden.key)
    t.equal(await sessions.count({ userId: 'ada' }), 1)
    await t.rejects(sessions.destroyFor('ada'), { code: 'ERR_SESSION_STORE', message: /not all sessions of the user have been ended: 1 that may.* 1 have been/ })
    t.equal(await sessions.count(), 1)
    t.equal(await sessions.destroyFor('bob'), 1)
    await sessions.close()
  })

  await t.test('is left out as well where it is its block of the disk that cannot be read', async t => {
    const { store } = await fileStore(t)
    const [hidden, other] = [await create(store), await create(store)]
    refuseToOpen(t, hidden.key, 'EIO')
    t.match(await store.list({}, { limit: 10 }), { records: [{ key: other.key }], unreadable: 1 })
  })

  await t.test('keeps no stale entry in the index of users', async t => {
    const { store, directory } = await fileStore(t)
    const [hidden, { key, version }] = [await createRecord(store, recordFor('ada')), await createRecord(store, recordFor('ada'))]
    await store.compareAndSet(key, recordFor('bob'), version)
    refuseToOpen(t, hidden.key)
    await store.sweep(new Date(), 10)
    const [ada] = readdirSync(join(directory, '.users')).map(user => readdirSync(join(directory, '.users', user))).filter(keys => keys.includes(hidden.key))
    t.same(ada, [hidden.key])
  })

  await t.test('is a fault of the store where it is the directory that may not be entered', async t => {
    const { store } = await fileStore(t)
    await create(store)
    refuseToOpen(t)
    replaceInPromises(t, 'lstat', () => () => Promise.reject(fault('EACCES')))
    await t.rejects(store.list({}, { limit: 10 }), { code: 'ERR_SESSION_STORE', message: 'EACCES' })
  })
})

t.test('files that may only be read are listed as they are, a damaged one and one that another user has left among them', async t => {
  const { store, directory } = await fileStore(t)
  const [damaged, left, living] = [await createRecord(store, recordFor('ada')), await createRecord(store, recordFor('ada')), await createRecord(store, recordFor('ada'))]
  writeFileSync(join(directory, damaged.key), 'damaged')
  replaceInFs(t, 'rmSync', () => () => { throw fault('EACCES') })
  await store.compareAndSet(left.key, recordFor('bob'), left.version)
  const { store: other } = await fileStore(t, { directory })
  replaceInFs(t, 'openSync', original => (path, flags, mode) => {
    if (typeof flags === 'number' && (flags & 3) !== 0) throw fault('EACCES')
    return original(path, flags, mode)
  })
  t.match((await other.list({ userId: 'ada' }, { limit: 10 })).records, [{ key: living.key }])
  t.equal((await other.list({}, { limit: 10 })).records.length, 2)
})

t.test('a session that is over leaves the index of its user at once', async t => {
  const { store, directory } = await fileStore(t)
  for (const reason of ['ended', 'regenerated', 'replaced'] as const) {
    const { key } = await createRecord(store, recordFor('ada'))
    await store.destroy(key, inFuture(), undefined, reason)
    t.same(readdirSync(join(directory, '.users')), [])
  }
})

t.test('a list of a user names what it has found to go on under another id', async t => {
  const { store } = await fileStore(t)
  const { key } = await createRecord(store, recordFor('ada'))
  // As when it happens between the look into the index and the one into the file.
  replaceInFs(t, 'rmSync', () => () => { throw fault('EROFS') })
  await store.destroy(key, inFuture(), undefined, 'regenerated')
  t.match(await store.list({ userId: 'ada' }, { limit: 10 }), { records: [], moved: [key] })
})

t.test('another file system that is mounted over the directory is used at once, and the one below when it has gone', {
  skip: unless(canMount(t.testdir()), 'the right to mount a file system')
}, async t => {
  const directory = mkdtempSync(join(tmpdir(), 'ambient-session-'))
  t.teardown(() => {
    spawnSync('umount', ['-l', directory])
    rmSync(directory, { recursive: true })
  })
  const { store } = await fileStore(t, { directory })
  const { key, version } = await create(store, 'below')
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', directory])
  t.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
  t.equal(await store.compareAndSet(key, recordOf('above'), undefined), 1)
  t.same(readdirSync(directory), [key])
  spawnSync('umount', ['-l', directory])
  t.equal(await store.compareAndSet(key, recordOf('below again'), version), 2 as Version)
  t.equal((await readLiving(store, key)).payload, 'below again')
})

t.test('where native addons are not allowed the store works all the same, and says so', async t => {
  const { directory } = await fileStore(t)
  const [major = 0] = process.versions.node.split('.').map(Number)
  const program = `
    import { FileStore } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)}
    const store = new FileStore({ directory: ${JSON.stringify(directory)}, report: ({ message }) => { console.log(message) } })
    await store.open()
    const key = 'a'.repeat(64)
    console.log(store.compareAndSet(key, { payload: 'x', createdAt: new Date(), expiresAt: new Date(Date.now() + 60000) }, undefined))
    console.log(store.read(key).payload)
    process.exit()`
  const file = join(directory, 'program.mts')
  writeFileSync(file, program)
  // Without what tap adds to each process, which is not allowed either.
  const { stdout, stderr } = spawnSync('env', [
    '-u', 'NODE_OPTIONS', process.execPath, major < 23 ? '--experimental-permission' : '--permission', '--allow-fs-read=*', '--allow-fs-write=*', '--allow-worker', '--allow-child-process',
    '--import', 'tsx', file
  ], { encoding: 'utf8' })
  t.match(stdout, /proper-lockfile[^]*\n1\nx\n/, stderr)
})

t.test('nothing is written through a name that can be foreseen', async t => {
  const { store, directory } = await fileStore(t)
  const { key, version } = await create(store)
  const victim = join(directory, 'victim')
  writeFileSync(victim, 'precious')
  symlinkSync(victim, join(directory, `${key}.tmp`))
  const opened: string[] = []
  replaceInFs(t, 'openSync', original => (path, flags, mode) => {
    opened.push(String(path))
    return original(path, flags, mode)
  })
  await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version)
  t.match(opened, [/\.[0-9a-f]{64}\.[0-9a-f]{16}\.tmp$/])
  t.equal(readFileSync(victim, 'utf8'), 'precious')
})
