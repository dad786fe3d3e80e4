import assert from 'node:assert/strict'
import type { StoreWith } from '../stores/store.ts'
import { caseOf } from './case.ts'
import { assertGone, create, inFuture, MINUTE, readLiving } from './records.ts'

/** Sweeps after which there should be nothing left. */
const MOST_SWEEPS = 1_000

/** Sweeps away what earlier cases have left. */
async function emptied (store: StoreWith<'sweep'>, now: Date): Promise<void> {
  for (let sweeps = 0; sweeps < MOST_SWEEPS; sweeps++) {
    if (await store.sweep(now, 1000) === 0) return
  }
  throw new assert.AssertionError({ message: `${MOST_SWEEPS} sweeps in a row removed something each` })
}

export const sweeping = [
  caseOf('sweep', 'sweep removes expired records and tombstones, says how many, and leaves the living', async store => {
    await emptied(store, inFuture(2 * MINUTE))
    const { key: living } = await create(store, 'living', 10 * MINUTE)
    await create(store, 'expired', MINUTE)
    const { key: ended } = await create(store, 'ended', 10 * MINUTE)
    await store.destroy(ended, inFuture(MINUTE))
    const { key: endedLater } = await create(store, 'ended', MINUTE)
    await store.destroy(endedLater, inFuture(10 * MINUTE))
    assert.equal(await store.sweep(inFuture(2 * MINUTE), 100), 2)
    assert.equal(await store.sweep(inFuture(2 * MINUTE), 100), 0)
    assert.equal((await readLiving(store, living)).payload, 'living')
    await assertGone(store, endedLater)
  }),
  caseOf('sweep', 'sweep removes at most as many as its limit', async store => {
    await emptied(store, new Date())
    for (let n = 0; n < 5; n++) await create(store, 'expired', -1)
    const now = new Date()
    const removed = []
    for (let n = 0; n < 4; n++) removed.push(await store.sweep(now, 2))
    assert.deepEqual(removed, [2, 2, 1, 0])
  }),
  caseOf('sweep', 'sweep spares what was given a longer life', async store => {
    await emptied(store, inFuture(5 * MINUTE))
    const { key } = await create(store)
    await store.touch(key, inFuture(10 * MINUTE))
    assert.equal(await store.sweep(inFuture(5 * MINUTE), 100), 0)
    await readLiving(store, key)
  })
]
