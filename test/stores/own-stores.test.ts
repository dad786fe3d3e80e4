/** What the memory and the file store do beyond the contract. */
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { MemoryStore } from '../../src/index.ts'
import { create, newKey, readLiving } from './conformance.ts'
import { fileStore } from './support.ts'

const stores = {
  memory: async () => new MemoryStore(),
  file: async (t: Test) => (await fileStore(t)).store
}

for (const [name, open] of Object.entries(stores)) {
  t.test(`the ${name} store grants a lock in the order of the calls`, async t => {
    const store = await open(t)
    const key = newKey()
    const order: number[] = []
    await Promise.all([1, 2, 3, 4].map(async n => {
      const unlock = await store.lock(key, { lease: 60_000, wait: 5_000 })
      order.push(n)
      await delay(1)
      await unlock()
    }))
    t.same(order, [1, 2, 3, 4])
  })

  t.test(`the ${name} store keeps NUL characters`, async t => {
    const store = await open(t)
    const { key } = await create(store, 'a\0b')
    t.equal((await readLiving(store, key)).payload, 'a\0b')
  })
}
