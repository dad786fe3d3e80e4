import assert from 'node:assert/strict'
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { isRecord } from '../stores/store.ts'
import { type Case, storeCase } from './case.ts'
import { assertGone, atOnce, create, inEitherOrder, inFuture, newKey, readLiving, recordOf, ROUNDS, until, versionIn } from './records.ts'

export const destroying: readonly Case[] = [
  storeCase('destroy with a tombstone leaves the key gone: it cannot be written, created or touched', async ({ store }) => {
    const { key, version } = await create(store)
    assert.equal(await store.destroy(key, inFuture()), 'destroyed')
    await assertGone(store, key)
    assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
    assert.equal(await store.compareAndSet(key, recordOf('late'), undefined), 'gone')
    assert.equal(await store.touch(key, inFuture()), false)
    await assertGone(store, key)
  }),
  storeCase('a tombstone says why the session is over, and since when', async ({ store, other }) => {
    for (const reason of ['ended', 'regenerated', 'replaced', undefined] as const) {
      const { key, version } = await create(store)
      const before = Date.now()
      await store.destroy(key, inFuture(), version, reason)
      const after = Date.now()
      const found = await other.read(key)
      if (found === 'gone') continue
      assert.ok(typeof found === 'object' && !isRecord(found), 'there is no tombstone')
      assert.equal(found.reason, reason ?? 'ended')
      assert.ok(found.since.getTime() >= before && found.since.getTime() <= after, 'the tombstone says another time than that of its call')
    }
  }),
  storeCase('a tombstone that stands is left standing', async ({ store }) => {
    const { key, version } = await create(store)
    await store.destroy(key, inFuture())
    assert.equal(await store.destroy(key), 'gone')
    assert.equal(await store.destroy(key, inFuture(-1)), 'gone')
    assert.equal(await store.destroy(key, inFuture(), version), 'gone')
    await assertGone(store, key)
  }),
  storeCase('a tombstone whose time has passed leaves the key missing, and free', async ({ store }) => {
    const { key } = await create(store)
    await store.destroy(key, inFuture(-1))
    assert.equal(await store.read(key), undefined)
    versionIn(await store.compareAndSet(key, recordOf('new'), undefined))
    assert.equal((await readLiving(store, key)).payload, 'new')
  }),
  storeCase('a tombstone stands until its time has come, and then the key is free', async ({ store }) => {
    const { key } = await create(store)
    const tombstoneUntil = inFuture(200)
    assert.equal(await store.destroy(key, tombstoneUntil), 'destroyed')
    await until(async () => await store.read(key) === undefined, 'it still stands')
    assert.ok(new Date() >= tombstoneUntil, 'it has gone early')
    versionIn(await store.compareAndSet(key, recordOf('new'), undefined))
  }),
  storeCase('destroy without a tombstone leaves the key missing, and free', async ({ store }) => {
    const { key, version } = await create(store)
    assert.equal(await store.destroy(key), 'destroyed')
    assert.equal(await store.read(key), undefined)
    assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
    versionIn(await store.compareAndSet(key, recordOf('new'), undefined))
  }),
  storeCase('destroy of the expected version ends it', async ({ store }) => {
    const { key, version } = await create(store)
    assert.equal(await store.destroy(key, inFuture(), version), 'destroyed')
    await assertGone(store, key)
  }),
  storeCase('destroy of another version is a conflict and changes nothing', async ({ store }) => {
    const { key, version } = await create(store, 'first')
    const second = await store.compareAndSet(key, recordOf('second'), version)
    assert.equal(await store.destroy(key, inFuture(), version), 'conflict')
    assert.equal(await store.destroy(key, undefined, version), 'conflict')
    assert.deepEqual(await readLiving(store, key).then(({ payload, version }) => [payload, version]), ['second', second])
  }),
  storeCase('destroy of what is missing or has expired finds it gone, and makes no tombstone', async ({ store }) => {
    const missing = newKey()
    const { key: expired, version } = await create(store, 'payload', -1)
    assert.equal(await store.destroy(missing, inFuture()), 'gone')
    assert.equal(await store.destroy(expired, inFuture()), 'gone')
    assert.equal(await store.destroy(expired, inFuture(), version), 'gone')
    for (const key of [missing, expired]) assert.equal(await store.read(key), undefined)
  }),
  storeCase('of a write and the destruction of one version at the same time one succeeds', async ({ store, other }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { key, version } = await create(store)
      const write = () => store.compareAndSet(key, recordOf('changed'), version)
      const destroy = () => other.destroy(key, inFuture(), version)
      const [written, destroyed] = await inEitherOrder(round, write, destroy)
      assert.ok(
        typeof written === 'number' ? destroyed === 'conflict' : written === 'gone' && destroyed === 'destroyed',
        `the write answered ${written} and the destruction ${destroyed}`
      )
    }
  }),
  storeCase('of destructions at the same time one succeeds', async ({ store, other }) => {
    const { key } = await create(store)
    const answers = await atOnce(10, n => (n % 2 === 0 ? store : other).destroy(key, inFuture()))
    assert.deepEqual(answers.sort(), ['destroyed', ...Array<string>(9).fill('gone')])
  }),
  storeCase('writes under way while a session is ended do not bring it back', async ({ store, other }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const { key } = await create(store, '0')
      const ended = new AbortController()
      const end = async (): Promise<void> => {
        await delay(round % 4)
        await store.destroy(key, inFuture())
      }
      await Promise.all([
        end().finally(() => { ended.abort() }),
        atOnce(5, async () => {
          while (!ended.signal.aborted) {
            const record = await other.read(key)
            if (isRecord(record)) await other.compareAndSet(key, recordOf(`${record.payload}+`), record.version)
            await nextTurn()
          }
        })
      ])
      for (const each of [store, other]) await assertGone(each, key)
    }
  })
]
