import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Case, caseOf } from './case.ts'
import { atOnce, create, increment, MINUTE, newKey, PATIENCE, readLiving } from './records.ts'

const LEASE = MINUTE
const TIMEOUT = { code: 'ERR_SESSION_LOCK_TIMEOUT', statusCode: 423 }

export const locking: readonly Case[] = [
  caseOf('lock', 'a lock is held by one request at a time, and every waiting one gets it', async ({ store, other }) => {
    const key = newKey()
    let holders = 0
    let turns = 0
    await atOnce(6, async n => {
      const unlock = await (n % 2 === 0 ? store : other).lock(key, { lease: LEASE, wait: PATIENCE })
      assert.equal(++holders, 1, 'the lock has two holders')
      turns++
      await delay(1)
      holders--
      await unlock()
    })
    assert.equal(turns, 6)
  }),
  caseOf('lock', 'locks of different keys do not wait for each other', async ({ store }) => {
    const unlocks = await atOnce(2, () => store.lock(newKey(), { lease: LEASE, wait: 0 }))
    for (const unlock of unlocks) await unlock()
  }),
  caseOf('lock', 'a request that waits in vain gets a SessionLockTimeoutError, and the lock later', async ({ store, other }) => {
    const key = newKey()
    const unlock = await store.lock(key, { lease: LEASE, wait: 0 })
    const begin = Date.now()
    await assert.rejects(() => other.lock(key, { lease: LEASE, wait: 30 }), TIMEOUT)
    assert.ok(Date.now() - begin >= 29, 'it did not wait')
    await unlock()
    const again = await other.lock(key, { lease: LEASE, wait: PATIENCE })
    await again()
  }),
  caseOf('lock', 'a request that has given up waiting does not get the lock', async ({ store }) => {
    const key = newKey()
    const unlock = await store.lock(key, { lease: LEASE, wait: 0 })
    const giveUp = async (): Promise<void> => {
      await assert.rejects(() => store.lock(key, { lease: LEASE, wait: 1 }), TIMEOUT)
      await unlock()
    }
    const [itsTurn] = await Promise.all([store.lock(key, { lease: LEASE, wait: PATIENCE }), giveUp()])
    await itsTurn()
  }),
  caseOf('lock', 'a lock is released when its lease has run out', async ({ store, other }) => {
    const key = newKey()
    await store.lock(key, { lease: 20, wait: 0 })
    const unlock = await other.lock(key, { lease: LEASE, wait: PATIENCE })
    await unlock()
  }),
  caseOf('lock', 'unlocking twice, or after the lease has run out, does not release the lock of its next holder', async ({ store, other }) => {
    const key = newKey()
    const late = await store.lock(key, { lease: 20, wait: 0 })
    const unlock = await other.lock(key, { lease: LEASE, wait: PATIENCE })
    await late()
    await late()
    await assert.rejects(() => store.lock(key, { lease: LEASE, wait: 30 }), TIMEOUT)
    await unlock()
  }),
  caseOf('lock', 'a lock does not prevent reading and writing', async ({ store, other }) => {
    const { key } = await create(store, '0')
    const unlock = await store.lock(key, { lease: LEASE, wait: 0 })
    await increment(other, key)
    await unlock()
    assert.equal((await readLiving(store, key)).payload, '1')
  })
]
