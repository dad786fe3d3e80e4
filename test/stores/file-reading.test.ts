/** What the file store looks at to know that what it has read is still true, and when it need not look at all. */
import { closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import type { FileStore, StoreKey, Version } from '../../src/index.ts'
import type { FastClock } from './clock.ts'
import { fastClock, until } from './clock.ts'
import { create, readLiving, recordOf } from './conformance.ts'
import { fault, replaceInFs } from './faults.ts'
import { fileStore } from './support.ts'

/** More than a process has to read in ten milliseconds to keep the lock for it. */
const MANY = 150

interface Reading {
  readonly store: FileStore
  readonly other: FileStore
  readonly directory: string
  readonly lock: string
  readonly key: StoreKey
  readonly version: Version
}

/** A session that one store has read, in a directory whose lock nobody has, and another store beside it. */
async function reading (t: Test): Promise<Reading> {
  const { store, directory } = await fileStore(t)
  const { store: other } = await fileStore(t, { directory })
  const made = await create(store, '0')
  const lock = join(directory, '.commit.lock')
  await until(() => !existsSync(lock))
  await readLiving(store, made.key)
  return { store, other, directory, lock, ...made }
}

/** Resolves with the next turn of the event loop. */
type Turn = () => Promise<unknown>

/** Reads a lot, for long enough to be noticed. */
async function readMuch ({ store, key }: Reading, times = MANY, turn: Turn = nextTurn): Promise<void> {
  const begin = performance.now()
  for (let n = 0; n < times; n++) await readLiving(store, key)
  // The next turn that begins when the time is over in which reads are counted.
  while (performance.now() - begin < 12) await turn()
  await readLiving(store, key)
}

/** Has the other store write while this one reads on and on, so that it never has nothing to do. */
async function writeWhileReading ({ store, other, key, version }: Reading, turn: Turn = nextTurn): Promise<void> {
  const writing = { isOver: false }
  const written = Promise.resolve(other.compareAndSet(key, recordOf('1'), version)).finally(() => { writing.isOver = true })
  while (!writing.isOver) {
    await readLiving(store, key)
    await turn()
  }
  await written
}

/** A clock by which each turn of the event loop takes a millisecond, however long the machine takes. */
function evenTurns (t: Test): { clock: FastClock, turn: Turn } {
  const clock = fastClock(t)
  clock.stand()
  const turn = async (): Promise<void> => {
    clock.jump(1)
    await nextTurn()
  }
  return { clock, turn }
}

/** Counts how often files are read from now on. */
function countReads (t: Test): () => number {
  let reads = 0
  replaceInFs(t, 'readSync', original => (...args) => {
    reads++
    return original(...args)
  })
  return () => reads
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
    t.equal(store.read(key), 'gone')
  })

  await t.test('a generation that was found half written is seen once it is written', async t => {
    const { store, other, directory, key, version } = await reading(t)
    const path = join(directory, key)
    await other.compareAndSet(key, recordOf('1'.repeat(300)), version)
    const whole = readFileSync(path)
    const half = Buffer.from(whole)
    // What another process is writing: so far no more than the head has reached the file.
    half.fill('\n', whole.length / 2 + 100)
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

  await t.test('no more than the head of one slot is read as long as nothing has changed', async t => {
    const { store, key } = await reading(t)
    let bytes = 0
    replaceInFs(t, 'readSync', original => (...args) => {
      bytes += args[3]
      return original(...args)
    })
    await nextTurn()
    await readLiving(store, key)
    t.ok(bytes > 0 && bytes <= 32, `${bytes} bytes were read`)
  })
})

t.test('a process that reads a lot', async t => {
  await t.test('takes the lock, and then reads without looking at the files', async t => {
    const about = await reading(t)
    await readMuch(about)
    t.ok(existsSync(about.lock))
    const reads = countReads(t)
    for (let n = 0; n < 10; n++) await readLiving(about.store, about.key)
    t.equal(reads(), 0)
  })

  await t.test('does not take the lock for a few reads', async t => {
    const about = await reading(t)
    await readMuch(about, 10)
    t.notOk(existsSync(about.lock))
  })

  await t.test('lets go of it soon after the last read', async t => {
    const about = await reading(t)
    await readMuch(about)
    await until(() => !existsSync(about.lock))
    t.pass()
  })

  await t.test('gives way as soon as another process wants to write, and sees what that one writes', async t => {
    const about = await reading(t)
    await readMuch(about)
    await writeWhileReading(about)
    t.equal((await readLiving(about.store, about.key)).payload, '1')
  })

  await t.test('does not take the lock for a minute after another one has wanted it', async t => {
    const about = await reading(t)
    const { clock, turn } = evenTurns(t)
    await readMuch(about, MANY, turn)
    await writeWhileReading(about, turn)
    while (existsSync(about.lock)) await turn()
    await readMuch(about, MANY, turn)
    t.notOk(existsSync(about.lock))
    clock.jump(61_000)
    await readMuch(about, MANY, turn)
    t.ok(existsSync(about.lock))
  })

  await t.test('nor after another one has wanted it while it had nothing to do', async t => {
    const about = await reading(t)
    const { turn } = evenTurns(t)
    await readMuch(about, MANY, turn)
    t.ok(existsSync(about.lock))
    // What another process leaves that waits.
    writeFileSync(join(about.directory, '.commit.wanted'), '')
    while (existsSync(about.lock)) await turn()
    await readMuch(about, MANY, turn)
    t.notOk(existsSync(about.lock))
  })

  await t.test('reads on where the lock cannot be made', async t => {
    const about = await reading(t)
    replaceInFs(t, 'linkSync', () => () => { throw fault('EROFS') })
    await readMuch(about)
    t.notOk(existsSync(about.lock))
    t.equal((await readLiving(about.store, about.key)).payload, '0')
  })

  await t.test('looks at the files again when somebody has taken its lock away', async t => {
    const about = await reading(t)
    const { store, other, key, version, lock } = about
    await readMuch(about)
    rmSync(lock)
    await other.compareAndSet(key, recordOf('1'), version)
    const clock = fastClock(t)
    clock.jump(200)
    await nextTurn()
    t.equal((await readLiving(store, key)).payload, '1')
  })
})
