/** The file store alone, and a look inside: sweeping happens when it is asked for. */
import { createHistogram } from 'node:perf_hooks'
import ambientSession, { FileStore } from '../../dist/index.js'
import { ambientStack } from './ambient-stack.js'
import { serve } from './serve.js'

const [directory] = process.argv.slice(2)
const store = new FileStore({ directory, report: ({ message }) => { throw new Error(message) } })
/** How long each call keeps the event loop, in nanoseconds. */
const calls = createHistogram()
for (const method of ['read', 'compareAndSet', 'touch', 'destroy', 'flush']) {
  const original = store[method].bind(store)
  store[method] = (...args) => {
    if (!counts(method)) return original(...args)
    const begin = process.hrtime.bigint()
    const result = original(...args)
    calls.record(process.hrtime.bigint() - begin || 1n)
    return result
  }
}

let hasCommitted = false

/** All calls do, but for those that have nothing to write: there are many of those, and they take no time. */
function counts (method) {
  const isEmpty = method === 'flush' && !hasCommitted
  hasCommitted = method === 'compareAndSet' || (hasCommitted && method !== 'flush')
  return !isEmpty
}

await serve(ambientStack(app => app.register(ambientSession, { driver: store, sweep: false })), {
  /** @returns how many sessions were removed */
  sweep: () => store.sweep(new Date(), Infinity),
  /** @returns bytes */
  peakMemory: () => process.resourceUsage().maxRSS * 1024,
  startWatchingCalls () { calls.reset() },
  /** @returns milliseconds, and how many there were */
  stopWatchingCalls: () => ({ count: calls.count, p50: calls.percentile(50) / 1e6, p99: calls.percentile(99) / 1e6, max: calls.max / 1e6 })
})
