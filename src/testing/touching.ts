import assert from 'node:assert/strict'
import { type Case, storeCase } from './case.ts'
import { assertGone, create, createRecord, essence, inEitherOrder, inFuture, MINUTE, newKey, readLiving, recordOf, ROUNDS, until, versionIn } from './records.ts'

export const touching: readonly Case[] = [
  storeCase('touch moves the expiry, and neither the version nor anything else', async ({ store }) => {
    const { key } = await create(store)
    const before = essence(await readLiving(store, key))
    const expiresAt = inFuture(5 * MINUTE)
    assert.equal(await store.touch(key, expiresAt), true)
    assert.deepEqual(essence(await readLiving(store, key)), { ...before, expiresAt })
  }),
  storeCase('touch may move the expiry to an earlier time, at which the record goes missing', async ({ store }) => {
    const { key } = await create(store)
    assert.equal(await store.touch(key, inFuture(50)), true)
    await until(async () => await store.read(key) === undefined, 'it is still there')
  }),
  storeCase('a record that was touched outlives the expiry it had before', async ({ store }) => {
    const record = recordOf('payload', 500)
    const { key } = await createRecord(store, record)
    assert.equal(await store.touch(key, inFuture()), true)
    await until(() => new Date() > record.expiresAt, 'the clock stands still')
    assert.equal((await readLiving(store, key)).payload, 'payload')
  }),
  storeCase('a write that expects the version from before a touch succeeds', async ({ store }) => {
    const { key, version } = await create(store)
    await store.touch(key, inFuture())
    versionIn(await store.compareAndSet(key, recordOf('changed'), version))
  }),
  storeCase('touch never brings back what is missing, has expired or was ended', async ({ store }) => {
    const missing = newKey()
    const { key: expired } = await create(store, 'payload', -1)
    const { key: ended } = await create(store)
    await store.destroy(ended, inFuture())
    const { key: removed } = await create(store)
    await store.destroy(removed)
    for (const key of [missing, expired, ended, removed]) assert.equal(await store.touch(key, inFuture()), false)
    for (const key of [missing, expired, removed]) assert.equal(await store.read(key), undefined)
    await assertGone(store, ended)
  }),
  storeCase('a touch at the same time as a write does not undo it', async ({ store, other }) => {
    let { key, version } = await create(store)
    for (let round = 0; round < ROUNDS; round++) {
      const before = version
      const write = () => store.compareAndSet(key, recordOf(String(round)), before)
      const touch = () => other.touch(key, inFuture(5 * MINUTE))
      const [written, touched] = await inEitherOrder(round, write, touch)
      version = versionIn(written)
      assert.equal(touched, true)
      assert.deepEqual(await readLiving(store, key).then(({ payload, version }) => ({ payload, version })), { payload: String(round), version })
    }
  }),
  storeCase('a touch at the same time as the end of a session does not bring it back', async ({ store, other }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { key } = await create(store)
      await Promise.all([other.touch(key, inFuture(5 * MINUTE)), store.destroy(key, inFuture()), other.touch(key, inFuture(6 * MINUTE))])
      await assertGone(store, key)
    }
  })
]
