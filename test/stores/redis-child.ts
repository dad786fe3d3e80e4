/** A process of its own with a Redis store, for tests with several: `redis-child.ts URL COMMAND KEY COUNT`. Fails when something does. */
import assert from 'node:assert/strict'
import { RedisStore } from '../../src/stores/redis/store.ts'
import type { StoreKey } from '../../src/stores/store.ts'
import { increment, readLiving } from './conformance.ts'

const [url = '', command = '', name = '', count = '0'] = process.argv.slice(2)
const key = name as StoreKey
const store = new RedisStore({ connection: url })
await store.open()

const commands: Record<string, () => Promise<void>> = {
  /** Adds to a number, as requests at the same time would. */
  async increment () {
    await Promise.all(Array.from({ length: Number(count) }, async () => { await increment(store, key) }))
  },

  /** Holds the session's lock while adding to a number, and checks that no other process has written meanwhile. */
  async blocking () {
    for (let n = 0; n < Number(count); n++) {
      const unlock = await store.lock(key, { lease: 60_000, wait: 30_000 })
      const { payload, version, ...facts } = await readLiving(store, key)
      assert.equal(typeof await store.compareAndSet(key, { ...facts, payload: String(Number(payload) + 1) }, version), 'number')
      await unlock()
    }
  }
}

await commands[command]?.()
await store.close()
