/** A worker thread with a file store of its own, which takes a session's lock and keeps it. */
import { parentPort, workerData } from 'node:worker_threads'
import { FileStore } from '../../src/index.ts'
import type { StoreKey } from '../../src/index.ts'

const { directory, key } = workerData as { directory: string, key: StoreKey }
const store = new FileStore({ directory, report: () => {} })
store.open()
await store.lock(key, { lease: 60_000, wait: 0 })
parentPort?.postMessage('locked')
// Goes on until it is told to end, and then lets go of nothing.
parentPort?.once('message', () => { process.exit() })
