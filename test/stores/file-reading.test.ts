/** What the file store looks at to know that what it has read is still true. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FileStore, StoreKey, Version } from '../../src/index.ts'
import { create, readLiving, recordOf } from './conformance.ts'
import { replaceInFs } from './faults.ts'
import { fileStore } from './support.ts'

interface Reading {
  readonly store: FileStore
  readonly other: FileStore
  readonly directory: string
  readonly key: StoreKey
  readonly version: Version
}

/** A session that one store has read, and another store beside it. */
async function reading (t: Test): Promise<Reading> {
  const { store, directory } = await fileStore(t)
  const { store: other } = await fileStore(t, { directory })
  const made = await create(store, '0')
  await readLiving(store, made.key)
  return { store, other, directory, ...made }
}

t.test('of a session whose file has room for two generations', async t => {
  await t.test('every generation that another process writes is seen at once', async t => {
    const { store, other, key, version } = await reading(t)
    let expected = version
    for (let n = 1; n < 10; n++) {
      expected = await other.compareAndSet(key, recordOf(String(n)), expected) as Version
      t.equal((await readLiving(store, key)).payload, String(n))
    }
  })

  await t.test('two generations that have been written since are seen', async t => {
    const { store, other, key, version } = await reading(t)
    const next = await other.compareAndSet(key, recordOf('1'), version) as Version
    await other.compareAndSet(key, recordOf('2'), next)
    t.equal((await readLiving(store, key)).payload, '2')
  })

  await t.test('its removal is seen at once, also when nothing was ever written into its second slot', async t => {
    const { store, other, key } = await reading(t)
    await other.destroy(key)
    t.equal(store.read(key), undefined)
  })

  await t.test('its end is seen at once, also when nothing was ever written into its second slot', async t => {
    const { store, other, key } = await reading(t)
    await other.destroy(key, new Date(Date.now() + 60_000))
    t.match(store.read(key), { reason: 'ended' })
  })

  await t.test('a generation that was found half written is seen once it is written', async t => {
    const { store, other, directory, key, version } = await reading(t)
    const path = join(directory, key)
    await other.compareAndSet(key, recordOf('1'.repeat(300)), version)
    const whole = readFileSync(path)
    const half = Buffer.from(whole)
    // What another process is writing: so far no more than the head has reached the file.
    half.fill(0, whole.length / 2 + 100)
    const file = openSync(path, 'r+')
    t.teardown(() => { closeSync(file) })
    writeSync(file, half, 0, half.length, 0)
    t.equal((await readLiving(store, key)).payload, '0')
    writeSync(file, whole, 0, whole.length, 0)
    t.equal((await readLiving(store, key)).payload, '1'.repeat(300))
    t.equal(await store.compareAndSet(key, recordOf('late'), version), 'conflict')
  })

  await t.test('every payload is read by others as it was written, whatever is left of its slot', async t => {
    const { store, other } = await reading(t)
    for (const letter of ['x', 'é', '€', '\u{1f600}']) {
      // From less than a slot has room for to more than that: it has 512 bytes at first.
      for (let length = 340; length < 440; length++) {
        const payload = letter + 'x'.repeat(length)
        const { key, version } = await create(other, '')
        await other.compareAndSet(key, recordOf(payload), version)
        if ((await readLiving(store, key)).payload !== payload) t.fail(`${length} characters and '${letter}'`)
      }
    }
    t.pass()
  })

  await t.test('no more than the heads of the slots are read as long as nothing has changed', async t => {
    const { store, key } = await reading(t)
    let bytes = 0
    replaceInFs(t, 'readSync', original => (...args) => {
      bytes += args[3]
      return original(...args)
    })
    await readLiving(store, key)
    t.ok(bytes > 0 && bytes <= 128, `${bytes} bytes were read`)
  })
})
