/** Commits that wait for the disk, and what happens when the disk says no. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { StoredRecord } from '../../src/index.ts'
import { create, createRecord, increment, readLiving, recordOf } from './conformance.ts'
import { failToWriteOnce, fault, replaceInFs } from './faults.ts'
import { fileStore } from './support.ts'

/** Makes the next flush fail, as a disk with a bad block does. */
function failToFlushOnce (t: Test): void {
  let isDue = true
  replaceInFs(t, 'fdatasync', original => (file, callback) => {
    if (!isDue) return original(file, callback)
    isDue = false
    setImmediate(callback, fault('EIO'))
  })
}

t.test('a flush that fails', async t => {
  await t.test('refuses its commit, of which nothing is stored', async t => {
    const { store, directory } = await fileStore(t, { durable: true })
    const { store: other } = await fileStore(t, { directory, durable: true })
    const { key, version } = await create(store, '0')
    await readLiving(other, key)
    failToFlushOnce(t)
    await t.rejects(async () => await store.compareAndSet(key, recordOf('1'), version), { code: 'ERR_SESSION_STORE', statusCode: 503, message: /EIO/ })
    for (const each of [store, other]) t.match(await readLiving(each, key), { payload: '0', version })
    await increment(other, key)
    for (const each of [store, other]) t.equal((await readLiving(each, key)).payload, '1')
  })

  for (const isTouched of [false, true]) {
    await t.test(`gives the version that it refuses to no other commit${isTouched ? ', also behind one that moves the expiry' : ''}`, async t => {
      const { store, directory } = await fileStore(t, { durable: true })
      const { store: other } = await fileStore(t, { directory, durable: true })
      const { key, version } = await create(store, '0')
      let seen: StoredRecord | undefined
      replaceInFs(t, 'fdatasync', original => (file, callback) => {
        if (seen !== undefined) return original(file, callback)
        seen = other.read(key) as StoredRecord
        setImmediate(callback, fault('EIO'))
      })
      await t.rejects(async () => await store.compareAndSet(key, recordOf('1'), version), { code: 'ERR_SESSION_STORE' })
      t.equal(seen?.payload, '1', 'another process has read it meanwhile')
      if (isTouched) t.equal(await store.touch(key, new Date(Date.now() + 60_000)), true)
      t.type(await store.compareAndSet(key, recordOf('2'), (await readLiving(store, key)).version), 'number')
      t.equal(await other.compareAndSet(key, recordOf('late'), seen?.version), 'conflict')
      t.equal((await readLiving(other, key)).payload, '2')
    })
  }

  await t.test('of a session that has outgrown its file leaves the one before', async t => {
    const { store } = await fileStore(t, { durable: true })
    const { key, version } = await create(store, 'small')
    failToFlushOnce(t)
    await t.rejects(async () => await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version), { code: 'ERR_SESSION_STORE' })
    t.match(await readLiving(store, key), { payload: 'small', version })
  })

  await t.test('of a session that was to end leaves it, and nothing of it when the next one succeeds', async t => {
    const { store, directory } = await fileStore(t, { durable: true })
    const { store: other } = await fileStore(t, { directory, durable: true })
    const { key, version } = await create(store, 'payload')
    const soon = new Date(Date.now() + 60_000)
    failToFlushOnce(t)
    await t.rejects(async () => await store.destroy(key, soon), { code: 'ERR_SESSION_STORE', statusCode: 503, message: /EIO/ })
    for (const each of [store, other]) t.match(await readLiving(each, key), { payload: 'payload', version })
    t.equal(await store.destroy(key, soon), 'destroyed')
    for (const each of [store, other]) t.match(await each.read(key), { reason: 'ended' })
    t.notMatch(readFileSync(join(directory, key), 'latin1'), 'payload')
  })

  await t.test('of a session that was to end leaves it in the list of its user', async t => {
    const { store } = await fileStore(t, { durable: true })
    const { key } = await createRecord(store, { ...recordOf('payload'), userId: 'ada' })
    failToFlushOnce(t)
    await t.rejects(async () => await store.destroy(key, new Date(Date.now() + 60_000)), { code: 'ERR_SESSION_STORE' })
    t.match(await store.list({ userId: 'ada' }, { limit: 10 }), { records: [{ key }] })
  })

  await t.test('of a session that was to be new leaves none', async t => {
    const { store, directory } = await fileStore(t, { durable: true })
    failToFlushOnce(t)
    await t.rejects(create(store), { code: 'ERR_SESSION_STORE' })
    t.same(readdirSync(directory), [])
  })

  await t.test('of the directory refuses the session that was to be new', async t => {
    const { store } = await fileStore(t, { durable: true })
    const codes = ['EIO']
    replaceInFs(t, 'fsyncSync', original => file => {
      const code = codes.shift()
      if (code !== undefined) throw fault(code)
      original(file)
    })
    await t.rejects(create(store), { code: 'ERR_SESSION_STORE', message: /EIO/ })
    await create(store)
  })
})

t.test('a commit that cannot be written is refused alone', async t => {
  const { store } = await fileStore(t, { durable: true })
  failToWriteOnce(t)
  const [failed, succeeded] = await Promise.allSettled([create(store), create(store)])
  t.match(failed, { status: 'rejected', reason: { code: 'ERR_SESSION_STORE', message: /ENOSPC/ } })
  t.equal(succeeded.status, 'fulfilled')
})

t.test('no generation is overwritten before the next one, which another process has written, has reached the disk', async t => {
  const { store, directory } = await fileStore(t, { durable: true })
  const { store: other } = await fileStore(t, { directory, durable: true })
  const { key } = await create(store, '0')
  await increment(other, key)
  const order: string[] = []
  replaceInFs(t, 'fdatasyncSync', original => file => { order.push('flush'); original(file) })
  replaceInFs(t, 'writeSync', original => (...args) => { order.push('write'); return original(...args) })
  await increment(store, key)
  t.same(order, ['flush', 'write'])
  await increment(store, key)
  t.same(order, ['flush', 'write', 'write'], 'of its own it knows that it has')
})

t.test('several commits to one session are each flushed before the next one is written', async t => {
  const { store } = await fileStore(t, { durable: true })
  const { key } = await create(store, '0')
  const order: string[] = []
  replaceInFs(t, 'writeSync', original => (...args) => { order.push('write'); return original(...args) })
  replaceInFs(t, 'fdatasync', original => (file, callback) => { order.push('flush'); original(file, callback) })
  await Promise.all(Array.from({ length: 3 }, async () => { await increment(store, key) }))
  t.equal((await readLiving(store, key)).payload, '3')
  t.same(order, ['write', 'flush', 'write', 'flush', 'write', 'flush'])
})

t.test('a durable session that grows reaches the disk before it takes the place of the old one', async t => {
  const { store } = await fileStore(t, { durable: true })
  const { key, version } = await create(store, 'small')
  const order: string[] = []
  replaceInFs(t, 'fdatasyncSync', original => file => { order.push('file'); original(file) })
  replaceInFs(t, 'fsyncSync', original => file => { order.push('directory'); original(file) })
  await store.compareAndSet(key, recordOf('x'.repeat(10_000)), version)
  t.same(order.slice(0, 2), ['file', 'directory'])
})
