import t from 'tap'
import { MemoryStore } from '../../src/index.ts'
import { conforms } from './support.ts'
import { create, newKey } from './conformance.ts'

t.test('the memory store keeps the contract', async t => {
  await conforms(t, async () => new MemoryStore())
})

t.test('it answers at once, without promises', async t => {
  const store = new MemoryStore()
  t.equal(store.readsSynchronously, true)
  t.equal(store.read(newKey()), undefined)
})

t.test('it forgets everything when it is closed', async t => {
  const store = new MemoryStore()
  const { key } = await create(store)
  store.close()
  t.equal(store.read(key), undefined)
})
