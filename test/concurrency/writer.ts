/**
 * A process of its own that appends to a session's payload with the store alone: `writer.ts DIRECTORY KEY COUNT [stopping]`.
 * With `stopping` it stops itself (SIGSTOP) where the store asks for what is to be written. Says what it appended.
 */
import { writeSync } from 'node:fs'
import type { NewRecord, StoredRecord, StoreKey } from '../../src/index.ts'
import { append } from './append.ts'
import { endWithParent } from './orphan.ts'
import { newFileStore } from '../stores/locks.ts'

endWithParent()

const [directory = '', key = '', count = '0', how] = process.argv.slice(2)
const store = newFileStore({ directory, report: ({ message }) => { say(message) } })
await store.open()
say('ready')
for (let n = 0; n < Number(count); n++) {
  await append(store, key as StoreKey, `theirs${n}`, how === 'stopping' ? stoppingAt : undefined)
  say(`theirs${n}`)
}
store.close()

function say (line: string): void {
  writeSync(1, `${line}\n`)
}

function stoppingAt (record: StoredRecord, payload: string): NewRecord {
  return {
    ...record,
    get payload (): string {
      say('inside')
      process.kill(process.pid, 'SIGSTOP')
      return payload
    }
  }
}
