import { createHash } from 'node:crypto'
import t from 'tap'
import { isSessionId, keyOf, newSessionId } from '../../src/session/id.ts'

t.test('an id is 256 bits in base64url', async t => {
  const id = newSessionId()
  t.match(id, /^[\w-]{43}$/)
  t.equal(Buffer.from(id, 'base64url').length, 32)
})

t.test('every id is another one, and has the form of one', async t => {
  const ids = Array.from({ length: 1000 }, newSessionId)
  t.equal(new Set(ids).size, ids.length)
  t.ok(ids.every(isSessionId))
})

t.test('a key is the SHA-256 of the id, in hex', async t => {
  const id = newSessionId()
  t.equal(keyOf(id), createHash('sha256').update(id).digest('hex'))
})

t.test('a key is no id: who knows a store\'s keys has no cookie', async t => {
  t.equal(isSessionId(keyOf(newSessionId())), false)
})

t.test('other texts are no ids', async t => {
  const id = newSessionId()
  for (const text of ['', id.slice(1), `${id}A`, `${id.slice(0, 42)}=`, `${id.slice(0, 42)}+`, ` ${id.slice(1)}`, `${id}\n`, '../'.repeat(14) + 'a']) {
    t.equal(isSessionId(text), false, JSON.stringify(text))
  }
})

t.test('each id has one spelling: the bits that base64 leaves over are zero', async t => {
  const id = newSessionId()
  const spellings = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].map(last => id.slice(0, 42) + last)
  const same = spellings.filter(text => Buffer.from(text, 'base64url').equals(Buffer.from(id, 'base64url')))
  t.equal(same.length, 4)
  t.same(same.filter(isSessionId), [id])
})
