/**
 * A process of its own with a file store, for tests with several: `child.ts DIRECTORY COMMAND KEY [COUNT]`. Prints its
 * results as lines, written at once however busy it is.
 */
import { writeSync } from 'node:fs'
import type { StoreKey, StoredRecord, Version } from '../../src/index.ts'
import { increment, isRecord, newKey, readLiving, recordOf } from './conformance.ts'
import { generationOf, wholePayload } from './generations.ts'
import { newFileStore } from './locks.ts'

const [directory = '', command = '', name = '', count = '0'] = process.argv.slice(2)
const key = name as StoreKey
const store = newFileStore({ directory, report: ({ message }) => { say(`warning: ${message}`) } })
await store.open()

const commands: Record<string, () => Promise<void>> = {
  /** Adds to a number, as requests would. */
  async increment () {
    for (let n = 0; n < Number(count); n++) await increment(store, key)
  },

  /** Writes so many generations, long and short. */
  async write () {
    let { version, ...record } = await readLiving(store, key)
    for (let n = 1; n <= Number(count); n++) {
      version = await store.compareAndSet(key, { ...record, payload: wholePayload(n) }, version) as Version
    }
  },

  /** Reads until the generation of that number is there. */
  async read () {
    let reads = 0
    for (let generation = 0; generation < Number(count);) {
      const record = await store.read(key)
      const seen = isRecord(record) ? generationOf(record.payload) : undefined
      if (seen === undefined || seen < generation) return say(`broken: ${JSON.stringify(record)} after ${generation}`)
      generation = seen
      reads++
      // Timers of the store (and signals) get their turn now and then.
      if (reads % 100 === 0) await new Promise(resolve => { setImmediate(resolve) })
    }
    say(`whole: ${reads}`)
  },

  /** Stops in the middle of a commit, for ever. */
  async hang () {
    const record = await readLiving(store, key)
    await store.compareAndSet(key, stoppingAt(record), record.version)
  },

  /** Takes the session's lock, for longer than any test waits. */
  async lock () {
    await store.lock(key, { lease: 60_000, wait: 10_000 })
    say('locked')
    await new Promise(resolve => { setTimeout(resolve, 60_000) })
  },

  /** Holds the session's lock while adding to a number that it reads and writes without compare-and-set's help. */
  async blocking () {
    for (let n = 0; n < Number(count); n++) {
      const unlock = await store.lock(key, { lease: 60_000, wait: 30_000 })
      const { payload, version, ...times } = await readLiving(store, key)
      const answer = await store.compareAndSet(key, { ...times, payload: String(Number(payload) + 1) }, version)
      if (typeof answer !== 'number') say(`not exclusive: ${answer}`)
      await unlock()
    }
  },

  /** Makes sessions of the user of that name, and says the key of each once it is stored. */
  async users () {
    for (let n = 0; n < Number(count); n++) {
      const made = newKey()
      await store.compareAndSet(made, { ...recordOf('', 60_000), userId: name }, undefined)
      say(made)
    }
  },

  async sweep () {
    say(`swept: ${await store.sweep(new Date(), 1000)}`)
  }
}

await commands[command]?.()
store.close()
say('done')

function say (line: string): void {
  writeSync(1, `${line}\n`)
}

/** A record that is never written to the end. */
function stoppingAt (record: StoredRecord): StoredRecord {
  return {
    ...record,
    get payload (): string {
      say('inside')
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
      return ''
    }
  }
}
