/**
 * A process of its own with a database store, for tests with several: `database-child.ts URL TABLE COMMAND KEY [COUNT]`. Says
 * what it has come to on lines of its standard output, written at once.
 */
import { writeSync } from 'node:fs'
import { DatabaseStore } from '../../src/stores/database/store.ts'
import type { StoreKey } from '../../src/stores/store.ts'
import { increment, readLiving } from './conformance.ts'

const [connection = '', table = '', command = '', name = '', count = '0'] = process.argv.slice(2)
const key = name as StoreKey
// Several processes that write to one SQLite file take turns, on a machine that may be busy with other things.
const store = new DatabaseStore({ connection, table, createTable: true, timeout: 20_000, report: ({ message }) => { say(`warning: ${message}`) } })

const commands: Record<string, () => Promise<void>> = {
  /** Opens the store when it gets input, so that several processes do at the same time. */
  async open () {
    say('waiting')
    await new Promise(resolve => { process.stdin.once('data', resolve) })
    process.stdin.destroy()
    await store.open()
  },

  /** Adds to a number, as requests would, and prints each acknowledgement. */
  async increment () {
    await store.open()
    for (let n = 1; n <= Number(count); n++) {
      await increment(store, key)
      say(`acknowledged: ${n}`)
    }
  },

  /** Holds the session's lock while adding to a number that it reads and writes without compare-and-set's help. */
  async blocking () {
    for (let n = 0; n < Number(count); n++) {
      const unlock = await store.lock(key, { lease: 60_000, wait: 50_000 })
      const { payload, version, ...rest } = await readLiving(store, key)
      const answer = await store.compareAndSet(key, { ...rest, payload: String(Number(payload) + 1) }, version)
      if (typeof answer !== 'number') say(`not exclusive: ${answer}`)
      await unlock()
    }
  },

  /** Opens the store, and closes it when it gets input. */
  async close () {
    await store.open()
    say('opened')
    await new Promise(resolve => { process.stdin.once('data', resolve) })
    process.stdin.destroy()
  },

  /** Takes the session's lock, and keeps it. Says first when it asked for it. */
  async lock () {
    say(String(Date.now()))
    await store.lock(key, { lease: Number(count), wait: 10_000 })
    say('locked')
    await new Promise(resolve => { setTimeout(resolve, 60_000) })
  }
}

await commands[command]?.()
await store.close()
say('done')

function say (line: string): void {
  writeSync(1, `${line}\n`)
}
