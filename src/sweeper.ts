/** Removes expired sessions in the background. */
import type { Report } from './report.ts'
import type { StoreWith } from './stores/store.ts'

/** Expired sessions removed in one sweep. Where there are more, the next one follows at once. */
const LIMIT = 10_000

/**
 * Sweeps a store at intervals, in the background.
 *
 * @param interval milliseconds between the end of one sweep and the beginning of the next, unless there is more to do
 * @returns a function that stops it, and resolves when a running sweep has ended
 */
export function startSweeping (store: StoreWith<'sweep'>, interval: number, report: Report): () => Promise<void> {
  let underWay: Promise<void> = Promise.resolve()
  let timer = setTimeout(sweep, interval).unref()
  const stopped = new AbortController()

  function sweep (): void {
    underWay = sweepOnce(store, report, stopped.signal).then(removed => {
      if (!stopped.signal.aborted) timer = setTimeout(sweep, removed >= LIMIT ? 0 : interval).unref()
    })
  }

  return async () => {
    stopped.abort()
    clearTimeout(timer)
    await underWay
  }
}

/** @returns how many were removed */
async function sweepOnce (store: StoreWith<'sweep'>, report: Report, signal: AbortSignal): Promise<number> {
  try {
    return await store.sweep(new Date(), LIMIT, signal)
  } catch (cause) {
    report({ code: 'AMBIENT_SESSION_STORE', message: 'expired sessions could not be swept away; the next sweep tries again', cause })
    return 0
  }
}
