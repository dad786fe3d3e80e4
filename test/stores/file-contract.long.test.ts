/** The file store keeps the contract of stores in the two other ways in which it can be run. */
import t from 'tap'
import { lockfileLocks } from './locks.ts'
import { conforms, fileStore } from './support.ts'

t.test('the file store keeps the contract where the operating system\'s locks are not to be had, and says so', async t => {
  await conforms(t, async t => (await fileStore(t, {}, lockfileLocks())).store)
  const { warnings } = await fileStore(t, {}, lockfileLocks())
  t.match(warnings, [{ code: 'AMBIENT_SESSION_STORE', message: 'proper-lockfile' }])
})

t.test('the durable file store keeps the contract', async t => {
  await conforms(t, async t => (await fileStore(t, { durable: true })).store)
})
