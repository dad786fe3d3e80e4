import assert from 'node:assert/strict'
import { type Case, storeCase } from './case.ts'
import { create, createRecord, essence, inFuture, newKey, readLiving, recordOf, until, versionIn } from './records.ts'

const CENTURY = 100 * 365 * 24 * 60 * 60_000

/** Text of every kind that an application may put into a session. What a payload never has in it is a NUL character. */
const TEXTS = ['', ' ', '\n\n', 'two\nlines\r\n', '"\'\\`%_$1', 'ü€\u{1f600}', '\u{2028}\u{feff}', '{', '{"user":"Ada","tags":["a","b"]}']

export const reading: readonly Case[] = [
  storeCase('a key that was never written is missing', async ({ store }) => {
    assert.equal(await store.read(newKey()), undefined)
  }),
  storeCase('a record is read as it was created', async ({ store }) => {
    const record = recordOf('{"data":{"user":"Ada"}}')
    const { key, version } = await createRecord(store, record)
    assert.deepEqual(essence(await readLiving(store, key)), { ...record, version })
  }),
  storeCase('any text is a payload', async ({ store }) => {
    for (const payload of TEXTS) {
      const { key } = await create(store, payload)
      assert.equal((await readLiving(store, key)).payload, payload)
    }
  }),
  storeCase('a payload of the largest size is read as it was, in ASCII and beyond', async ({ store, maxBytes }) => {
    for (const letter of ['x', '€', '\u{1f600}']) {
      const payload = letter.repeat(Math.floor(maxBytes / Buffer.byteLength(letter)))
      const { key } = await create(store, payload)
      // Not equal(), which would print both.
      assert.ok((await readLiving(store, key)).payload === payload, `a payload of ${payload.length} times '${letter}' has changed`)
    }
  }),
  storeCase('records under different keys have nothing to do with each other', async ({ store }) => {
    const first = await create(store, 'first')
    const second = await create(store, 'second')
    await store.compareAndSet(first.key, recordOf('first, changed'), first.version)
    await store.destroy(first.key, inFuture())
    assert.equal((await readLiving(store, second.key)).payload, 'second')
  }),
  storeCase('an expired record is missing, although nothing has swept it away', async ({ store }) => {
    const { key } = await create(store, 'payload', -1)
    assert.equal(await store.read(key), undefined)
  }),
  storeCase('a record is missing from the moment on at which it expires', async ({ store }) => {
    const record = recordOf('payload', 200)
    const { key } = await createRecord(store, record)
    await until(async () => await store.read(key) === undefined, 'it is still there')
    assert.ok(new Date() >= record.expiresAt, 'it has expired early')
  }),
  storeCase('the key of an expired record is free', async ({ store }) => {
    const { key } = await create(store, 'payload', -1)
    versionIn(await store.compareAndSet(key, recordOf('new'), undefined))
    assert.equal((await readLiving(store, key)).payload, 'new')
  }),
  storeCase('a record may live for a hundred years', async ({ store }) => {
    const record = recordOf('payload', CENTURY)
    const { key } = await createRecord(store, record)
    assert.deepEqual((await readLiving(store, key)).expiresAt, record.expiresAt)
  })
]
