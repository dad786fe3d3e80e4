/**
 * A process that writes a session and then does nothing, without turning its event loop, until a file is there:
 * `stalling.ts DIRECTORY KEY ANOTHER outside|within FILE`, outside of or within a commit to the session KEY.
 */
import { existsSync, writeSync } from 'node:fs'
import type { NewRecord, StoreKey } from '../../src/index.ts'
import { increment, readLiving } from '../stores/conformance.ts'
import { newFileStore } from '../stores/locks.ts'
import { endWithParent } from './orphan.ts'

const [directory = '', key = '', another = '', where = '', file = ''] = process.argv.slice(2)
endWithParent()
const store = newFileStore({ directory, report: ({ message }) => { say(message) } })
await store.open()
const { version, ...record } = await readLiving(store, key as StoreKey)
await increment(store, another as StoreKey)
if (where === 'outside') {
  wait()
} else {
  await store.compareAndSet(key as StoreKey, stalling({ ...record, payload: 'theirs' }), version)
}
say('done')

function stalling (record: NewRecord): NewRecord {
  const { payload } = record
  return {
    ...record,
    get payload (): string {
      wait()
      return payload
    }
  }
}

function wait (): void {
  say('waits')
  const cell = new Int32Array(new SharedArrayBuffer(4))
  while (!existsSync(file)) Atomics.wait(cell, 0, 0, 5)
}

function say (line: string): void {
  writeSync(1, `${line}\n`)
}
