/** Commits that wait for the disk: in groups, each session once in a group, and what happens when the disk says no. */
import t from 'tap'
import type { Test } from 'tap'
import { create, increment, readLiving, recordOf } from './conformance.ts'
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
  await t.test('refuses all commits of its group', async t => {
    const { store } = await fileStore(t, { durable: true })
    const [one, other] = [await create(store, '0'), await create(store, '0')]
    failToFlushOnce(t)
    // No time passes, so that both are one group.
    const now = performance.now()
    t.intercept(performance, 'now', { value: () => now })
    const answers = await Promise.allSettled([one, other].map(async ({ key, version }) => await store.compareAndSet(key, recordOf('1'), version)))
    t.match(answers, [1, 2].map(() => ({ status: 'rejected', reason: { code: 'ERR_SESSION_STORE', statusCode: 503, message: /EIO/ } })))
  })

  await t.test('leaves sessions readable, and commits that come after it succeed', async t => {
    const { store } = await fileStore(t, { durable: true })
    const { key, version } = await create(store, '0')
    failToFlushOnce(t)
    await t.rejects(async () => await store.compareAndSet(key, recordOf('1'), version), { code: 'ERR_SESSION_STORE' })
    t.match((await readLiving(store, key)).payload, /^[01]$/, 'whether it is stored cannot be told')
    await increment(store, key)
    t.match((await readLiving(store, key)).payload, /^[12]$/)
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

t.test('a commit that cannot be written is refused alone, and not those of its group', async t => {
  const { store } = await fileStore(t, { durable: true })
  // Writes, too, who the process is.
  await create(store)
  failToWriteOnce(t)
  const [failed, succeeded] = await Promise.allSettled([create(store), create(store)])
  t.match(failed, { status: 'rejected', reason: { code: 'ERR_SESSION_STORE', message: /ENOSPC/ } })
  t.equal(succeeded.status, 'fulfilled')
})

t.test('no generation is overwritten before the next one has reached the disk', async t => {
  const { store } = await fileStore(t, { durable: true })
  const { key, version } = await create(store, '0')
  failToFlushOnce(t)
  await t.rejects(async () => await store.compareAndSet(key, recordOf('1'), version), { code: 'ERR_SESSION_STORE' })
  // The slot of generation 1 is the one to be written next, and generation 2 is not known to be on the disk.
  const order: string[] = []
  replaceInFs(t, 'fdatasyncSync', original => file => { order.push('flush'); original(file) })
  replaceInFs(t, 'writeSync', original => (...args) => { order.push('write'); return original(...args) })
  await increment(store, key)
  t.same(order, ['flush', 'write'])
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
