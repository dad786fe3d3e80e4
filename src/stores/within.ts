/** A time limit for calls to a store that may not answer. */
import { storeError } from './faults.ts'

/**
 * Milliseconds for which opening a store waits at most for its server. Fastify gives a plugin ten seconds, and an outage must not
 * keep it from starting.
 */
export const LONGEST_OPENING = 5_000

/** What work is told of its time, and tells of itself. */
export interface TimeLimit {
  /** After that nothing new may be sent to the store. */
  readonly isUp: boolean
  /** Why the work has not been done yet, as far as it knows: for the log. */
  reason?: unknown
}

/**
 * Waits for work, at most so many milliseconds. Work of several steps looks at its limit before each step, and stops when time is up.
 *
 * @param late makes the error for when time is up
 */
export function within<T> (
  milliseconds: number, work: (limit: TimeLimit) => Promise<T>,
  late: (reason: unknown) => Error = reason => storeError('late', `no answer within ${milliseconds} ms`, reason)
): Promise<T> {
  return new Promise((resolve, reject) => {
    const limit: { isUp: boolean, reason?: unknown } = { isUp: false }
    const timer = setTimeout(() => {
      limit.isUp = true
      reject(late(limit.reason))
    }, milliseconds)
    work(limit).finally(() => { clearTimeout(timer) }).then(resolve, reject)
  })
}
