/** The file store with asyncReads: files are read through the thread pool, and the contract is the same. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type FileStore, session, type StoreKey, type Version } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { serve } from '../http/support.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'
import { conforms, fileStore, type OpenFileStore } from './support.ts'

t.test('the file store with asyncReads keeps the contract', async t => {
  await conforms(t, async t => (await fileStore(t, { asyncReads: true })).store)
})

async function createIn (t: Test): Promise<OpenFileStore & { key: StoreKey, path: string }> {
  const opened = await fileStore(t, { asyncReads: true })
  const { key } = await create(opened.store, '0')
  return { ...opened, key, path: join(opened.directory, key) }
}

/** Replaces how files are opened through the thread pool, until the test has ended. */
function replaceOpen (t: Test, replacement: (original: typeof fs.open) => typeof fs.open): void {
  const functions = fs as { open: typeof fs.open }
  const original = functions.open
  functions.open = replacement(original)
  syncBuiltinESMExports()
  t.teardown(() => {
    functions.open = original
    syncBuiltinESMExports()
  })
}

/** Does something each time before a file is opened through the thread pool. */
function beforeOpening (t: Test, act: () => void): void {
  replaceOpen(t, original => async (...args) => {
    act()
    return await original(...args)
  })
}

/** Does something each time between a file's opening through the thread pool and its reading. */
function afterOpening (t: Test, act: () => Promise<void>): void {
  replaceOpen(t, original => async (...args) => {
    const file = await original(...args)
    await act()
    return file
  })
}

t.test('asyncReads', async t => {
  await t.test('says that reading is not synchronous, and answers with a promise', async t => {
    const { store, key } = await createIn(t)
    t.equal(store.readsSynchronously, false)
    t.ok(store.read(key) instanceof Promise)
  })

  await t.test('sees the commits of another store at once', async t => {
    const { store, directory, key } = await createIn(t)
    const { store: other } = await fileStore(t, { directory })
    await increment(other, key)
    t.equal((await readLiving(store, key)).payload, '1')
    await increment(store, key)
    t.equal((await readLiving(other, key)).payload, '2')
  })

  await t.test('finds a damaged session missing, and reports it', async t => {
    const { store, warnings, key, path } = await createIn(t)
    writeFileSync(path, 'damaged')
    t.equal(await store.read(key), undefined)
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED', key }])
  })

  await t.test('reads a file again that another process was halfway through writing', async t => {
    const { store, warnings, key, path } = await createIn(t)
    const whole = readFileSync(path)
    const contents = ['half', 'halfway', whole]
    beforeOpening(t, () => { writeFileSync(path, contents.shift() ?? whole) })
    t.equal((await readLiving(store, key)).payload, '0')
    t.same(warnings, [])
  })

  for (const [what, find] of [
    ['reads', async (store, key) => [await readLiving(store, key)]],
    ['lists', async store => (await store.list({}, { limit: 10 })).records],
    ['lists for its user', async store => (await store.list({ userId: 'ada' }, { limit: 10 })).records]
  ] as Array<[string, (store: FileStore, key: StoreKey) => Promise<readonly object[]>]>) {
    await t.test(`${what} a session that outgrows its file each time it is opened`, async t => {
      const { store, directory } = await fileStore(t, { asyncReads: true })
      const { store: other } = await fileStore(t, { directory })
      const key = newKey()
      let size = 1000
      let version: Version | undefined
      const grow = async (): Promise<void> => {
        version = await other.compareAndSet(key, { ...recordOf('x'.repeat(size *= 4)), userId: 'ada' }, version) as Version
      }
      await grow()
      afterOpening(t, grow)
      t.match(await find(store, key), [{ userId: 'ada', version }])
    })
  }

  await t.test('finds a session missing whose file goes away while it is halfway written', async t => {
    const { store, warnings, key, path } = await createIn(t)
    let opened = 0
    beforeOpening(t, () => {
      if (opened++ === 0) writeFileSync(path, 'halfway')
      else rmSync(path)
    })
    t.equal(await store.read(key), undefined)
    t.same(warnings, [])
  })

  await t.test('finds every session missing where there is no directory any more, and begins others in a new one', async t => {
    const { store, directory, key } = await createIn(t)
    rmSync(directory, { recursive: true })
    t.equal(await store.read(key), undefined)
    const { key: another } = await create(store, 'another')
    t.equal((await readLiving(store, another)).payload, 'another')
  })

  await t.test('is a SessionStoreError where a file cannot be read', async t => {
    const { store, directory } = await createIn(t)
    const key = newKey()
    mkdirSync(join(directory, key))
    await t.rejects(async () => await store.read(key), { code: 'ERR_SESSION_STORE', message: 'ENOTREG' })
  })
})

t.test('requests of an application with asyncReads read, write, end and lose their session as they do without', async t => {
  const files = t.testdir()
  const app = await serve(t, app => {
    app.get('/', () => session('name', 'nobody'))
    app.post('/in', () => { session({ name: 'ada' }); return 'in' })
    app.post('/count', () => String(session().increment('count')))
    app.post('/out', () => { session().invalidate(); return 'out' })
    app.get('/count', () => String(session('count')))
  }, { driver: 'file', files, asyncReads: true })
  const ada = visitor(app)
  await ada.post('/in')
  t.equal((await ada.get('/')).text, 'ada')
  await Promise.all(Array.from({ length: 10 }, async () => await ada.post('/count')))
  t.equal((await ada.get('/count')).text, '10')
  const late = ada.copy()
  await ada.post('/out')
  t.equal((await late.get('/')).text, 'nobody')
})
