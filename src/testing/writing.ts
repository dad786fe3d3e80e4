import assert from 'node:assert/strict'
import type { Version } from '../stores/store.ts'
import { type Case, storeCase } from './case.ts'
import { atOnce, create, essence, increment, MINUTE, newKey, readLiving, recordOf, versionIn } from './records.ts'

export const writing: readonly Case[] = [
  storeCase('a write gives another version, which is the one to expect next', async ({ store }) => {
    const { key, version } = await create(store, 'first')
    const second = versionIn(await store.compareAndSet(key, recordOf('second'), version))
    assert.notEqual(second, version)
    assert.equal((await readLiving(store, key)).version, second)
    versionIn(await store.compareAndSet(key, recordOf('third'), second))
    assert.equal((await readLiving(store, key)).payload, 'third')
  }),
  storeCase('a write with a version that is not the stored one is a conflict and changes nothing', async ({ store }) => {
    const { key, version } = await create(store, 'first')
    await store.compareAndSet(key, recordOf('second'), version)
    assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'conflict')
    assert.equal((await readLiving(store, key)).payload, 'second')
  }),
  storeCase('the creation of what exists is a conflict and changes nothing', async ({ store }) => {
    const { key, version } = await create(store, 'first')
    const before = essence(await readLiving(store, key))
    assert.equal(await store.compareAndSet(key, recordOf('another', 7 * MINUTE), undefined), 'conflict')
    assert.deepEqual(essence(await readLiving(store, key)), { ...before, version })
  }),
  storeCase('a write to what was never there finds it gone and creates nothing', async ({ store }) => {
    const key = newKey()
    assert.equal(await store.compareAndSet(key, recordOf('late'), 1 as Version), 'gone')
    assert.equal(await store.read(key), undefined)
  }),
  storeCase('a write to what has expired finds it gone and does not bring it back', async ({ store }) => {
    const { key, version } = await create(store, 'payload', -1)
    assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
    assert.equal(await store.read(key), undefined)
  }),
  storeCase('a write sets the expiry it says, be it later or earlier', async ({ store }) => {
    let { key, version } = await create(store)
    for (const minutes of [7, 3]) {
      const record = recordOf('payload', minutes * MINUTE)
      version = versionIn(await store.compareAndSet(key, record, version))
      assert.deepEqual((await readLiving(store, key)).expiresAt, record.expiresAt)
    }
  }),
  storeCase('a payload may grow and shrink from write to write', async ({ store, maxBytes }) => {
    let { key, version } = await create(store, 'x')
    for (const length of [1_000, maxBytes / 10, 10, maxBytes / 4, 0, 5_000]) {
      const payload = 'y'.repeat(Math.min(length, maxBytes))
      version = versionIn(await store.compareAndSet(key, recordOf(payload), version))
      assert.equal((await readLiving(store, key)).payload.length, payload.length)
    }
  }),
  storeCase('of creations of one key at the same time one succeeds', async ({ store, other }) => {
    const key = newKey()
    const answers = await atOnce(20, n => (n % 2 === 0 ? store : other).compareAndSet(key, recordOf(String(n)), undefined))
    assert.equal(answers.filter(answer => answer === 'conflict').length, 19, 'all but one have to be conflicts')
    assert.equal((await readLiving(store, key)).payload, String(answers.findIndex(answer => answer !== 'conflict')))
  }),
  storeCase('of writes with one version at the same time one succeeds', async ({ store, other }) => {
    const { key, version } = await create(store)
    const answers = await atOnce(20, n => (n % 2 === 0 ? store : other).compareAndSet(key, recordOf(String(n)), version))
    assert.equal(answers.filter(answer => answer === 'conflict').length, 19, 'all but one have to be conflicts')
    assert.equal((await readLiving(store, key)).payload, String(answers.findIndex(answer => answer !== 'conflict')))
  }),
  storeCase('fifty compare-and-set loops at the same time lose nothing', async ({ store, other }) => {
    const { key } = await create(store, '0')
    await atOnce(50, n => increment(n % 2 === 0 ? store : other, key))
    assert.equal((await readLiving(store, key)).payload, '50')
  }),
  storeCase('a record that one store has written is read at once by another', async ({ store, other }) => {
    let { key, version } = await create(store, '0')
    for (let n = 1; n <= 20; n++) {
      const [writer, reader] = n <= 10 ? [store, other] : [other, store]
      version = versionIn(await writer.compareAndSet(key, recordOf(String(n)), version))
      assert.equal((await readLiving(reader, key)).payload, String(n))
    }
  })
]
