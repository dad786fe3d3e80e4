import t from 'tap'
import type { Version } from '../../src/index.ts'
import { nullStore } from '../../src/stores/null.ts'
import { create, newKey, recordOf } from './conformance.ts'

t.test('the null store takes everything and keeps nothing', async t => {
  const { key } = await create(nullStore)
  t.equal(nullStore.read(key), undefined)
})

t.test('it has nothing to replace, to touch or to end', async t => {
  const { key, version } = await create(nullStore)
  t.equal(nullStore.compareAndSet(key, recordOf('changed'), version), 'gone')
  t.equal(nullStore.compareAndSet(newKey(), recordOf('late'), 1 as Version), 'gone')
  t.equal(nullStore.touch(key, new Date()), false)
  t.equal(nullStore.destroy(key, new Date()), 'gone')
})
