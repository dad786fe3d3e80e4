import assert from 'node:assert/strict'
import type { MaybePromise, SessionStore, StoreKey, StoreWith, Version } from '../stores/store.ts'
import { caseOf } from './case.ts'
import { assertGone, atOnce, create, inEitherOrder, inFuture, MINUTE, readLiving, recordOf, ROUNDS, versionIn } from './records.ts'

/** Sweeps after which there should be nothing left. */
const MOST_SWEEPS = 1_000
/** Records of each kind that change while a sweep is under way. */
const BETWEEN = 5

/** Sweeps away what earlier cases have left. */
async function emptied (store: StoreWith<'sweep'>, now: Date): Promise<void> {
  for (let sweeps = 0; sweeps < MOST_SWEEPS; sweeps++) {
    if (await store.sweep(now, 1000) === 0) return
  }
  throw new assert.AssertionError({ message: `${MOST_SWEEPS} sweeps in a row removed something each` })
}

/** Creates a record under the key of an expired one. What was in the way the first time may have been swept away since. */
async function createAnew (store: SessionStore, key: StoreKey): Promise<void> {
  const create = (): MaybePromise<Version | 'conflict' | 'gone'> => store.compareAndSet(key, recordOf('new', 10 * MINUTE), undefined)
  const answer = await create()
  versionIn(answer === 'conflict' ? await create() : answer)
}

/**
 * Touches records whose end the sweep takes for passed, and creates others again under the keys of expired ones. One after the other,
 * so that some come between two steps of the sweep, if it has several.
 *
 * @returns the keys that have a living record according to the store. A touch may come too late, a creation cannot.
 */
async function keepAlive (store: SessionStore, dying: readonly StoreKey[], expired: readonly StoreKey[]): Promise<StoreKey[]> {
  const kept: StoreKey[] = []
  for (const [n, key] of expired.entries()) {
    await createAnew(store, key)
    kept.push(key)
    const touched = dying[n]
    if (touched !== undefined && await store.touch(touched, inFuture(10 * MINUTE))) kept.push(touched)
  }
  return kept
}

export const sweeping = [
  caseOf('sweep', 'sweep removes expired records and tombstones, says how many, and leaves the living', async ({ store, other }) => {
    await emptied(store, inFuture(2 * MINUTE))
    const { key: living } = await create(store, 'living', 10 * MINUTE)
    await create(store, 'expired', MINUTE)
    const { key: ended } = await create(store, 'ended', 10 * MINUTE)
    await store.destroy(ended, inFuture(MINUTE))
    const { key: endedLater } = await create(store, 'ended', MINUTE)
    await store.destroy(endedLater, inFuture(10 * MINUTE))
    assert.equal(await other.sweep(inFuture(2 * MINUTE), 100), 2)
    assert.equal(await other.sweep(inFuture(2 * MINUTE), 100), 0)
    assert.equal((await readLiving(store, living)).payload, 'living')
    await assertGone(store, endedLater)
  }),
  caseOf('sweep', 'sweep removes at most as many as its limit', async ({ store }) => {
    await emptied(store, new Date())
    for (let n = 0; n < 5; n++) await create(store, 'expired', -1)
    const now = new Date()
    const removed = []
    for (let n = 0; n < 4; n++) removed.push(await store.sweep(now, 2))
    assert.deepEqual(removed, [2, 2, 1, 0])
  }),
  caseOf('sweep', 'sweep spares what was given a longer life', async ({ store, other }) => {
    await emptied(store, inFuture(5 * MINUTE))
    const { key } = await create(store)
    await other.touch(key, inFuture(10 * MINUTE))
    assert.equal(await store.sweep(inFuture(5 * MINUTE), 100), 0)
    await readLiving(store, key)
  }),
  caseOf('sweep', 'sweep leaves what is touched or created anew while it is under way', async ({ store, other }) => {
    const now = inFuture(2 * MINUTE)
    await emptied(store, now)
    for (let round = 0; round < ROUNDS; round++) {
      const dying = await atOnce(BETWEEN, async () => (await create(store)).key)
      const expired = await atOnce(BETWEEN, async () => (await create(store, 'expired', -1)).key)
      const [kept] = await inEitherOrder(round, () => keepAlive(other, dying, expired), () => store.sweep(now, 1000))
      for (const key of kept) {
        await readLiving(store, key)
        await store.destroy(key)
      }
    }
  })
]
