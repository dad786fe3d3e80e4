import type { Report } from './report.ts'
import type { SessionStore } from './stores/store.ts'

/** Expired sessions removed in one go, so that a sweep ends before the next is due even after a long pause. */
const LIMIT = 10_000

/**
 * Sweeps a store now and then, in the background.
 *
 * @param interval milliseconds between the end of one sweep and the beginning of the next
 * @returns how to stop; resolves when a sweep under way has ended
 */
export function startSweeping (store: SessionStore, interval: number, report: Report): () => Promise<void> {
  let underWay: Promise<void> = Promise.resolve()
  let timer = setTimeout(sweep, interval).unref()
  let isStopped = false

  function sweep (): void {
    underWay = sweepOnce(store, report).then(() => {
      if (!isStopped) timer = setTimeout(sweep, interval).unref()
    })
  }

  return async () => {
    isStopped = true
    clearTimeout(timer)
    await underWay
  }
}

async function sweepOnce (store: SessionStore, report: Report): Promise<void> {
  try {
    await store.sweep?.(new Date(), LIMIT)
  } catch (cause) {
    report({ code: 'AMBIENT_SESSION_STORE', message: 'expired sessions could not be swept away; the next sweep tries again', cause })
  }
}
