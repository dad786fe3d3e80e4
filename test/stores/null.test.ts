import t from 'tap'
import { nullStore } from '../../src/stores/null.ts'
import { create, recordOf } from './conformance.ts'

t.test('the null store takes everything and keeps nothing', async t => {
  const { key, version } = await create(nullStore)
  t.equal(nullStore.compareAndSet(key, recordOf('changed'), version), 2)
  t.equal(nullStore.touch(key, new Date()), true)
  t.equal(nullStore.destroy(key, new Date()), 'destroyed')
  t.equal(nullStore.read(key), undefined)
})
