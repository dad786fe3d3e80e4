/**
 * A process that writes a session and is then in the middle of something, until a file is there:
 * `stalling.ts DIRECTORY KEY ANOTHER busy|stopped|waiting FILE`. It is busy outside of any commit; stopped or waiting within one.
 */
import { existsSync, writeSync } from 'node:fs'
import type { NewRecord, StoreKey } from '../../src/index.ts'
import { increment, readLiving } from '../stores/conformance.ts'
import { newFileStore } from '../stores/locks.ts'
import { endWithParent } from './orphan.ts'

const [directory = '', key = '', another = '', how = '', file = ''] = process.argv.slice(2)
if (how !== 'stopped') endWithParent()
const store = newFileStore({ directory, report: ({ message }) => { say(message) } })
await store.open()
const { version, ...record } = await readLiving(store, key as StoreKey)
await increment(store, another as StoreKey)
if (how === 'busy') {
  say('inside')
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
      say('inside')
      if (how === 'stopped') process.kill(process.pid, 'SIGSTOP')
      else wait()
      return payload
    }
  }
}

function wait (): void {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  while (!existsSync(file)) Atomics.wait(cell, 0, 0, 5)
}

function say (line: string): void {
  writeSync(1, `${line}\n`)
}
