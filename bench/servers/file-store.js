/** The file store alone, and a look inside: sweeping happens when it is asked for. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import ambientSession, { FileStore } from '../../dist/index.js'
import { ambientStack } from './ambient-stack.js'
import { serve } from './serve.js'

const [directory] = process.argv.slice(2)
const store = new FileStore({ directory, report: ({ message }) => { throw new Error(message) } })
/** Looks every millisecond. */
const delay = monitorEventLoopDelay({ resolution: 1 })

await serve(ambientStack(app => app.register(ambientSession, { driver: store, sweep: false })), {
  /** @returns how many sessions were removed */
  sweep: () => store.sweep(new Date(), Infinity),
  /** @returns bytes */
  peakMemory: () => process.resourceUsage().maxRSS * 1024,
  startWatchingDelay () {
    delay.reset()
    delay.enable()
  },
  /** @returns milliseconds from one look to the next */
  stopWatchingDelay () {
    delay.disable()
    return { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 }
  }
})
