/** A time limit for calls to a store that may not answer. */
import { storeError } from './faults.ts'

/**
 * Milliseconds for which opening a store waits at most for its server. Fastify gives a plugin ten seconds, and an outage must not
 * keep it from starting.
 */
export const LONGEST_OPENING = 5_000

/** Whether time is up. After that nothing new may be sent to the store. */
export type IsTimeUp = () => boolean

/**
 * Waits for work, at most so many milliseconds. Work of several steps asks `isTimeUp` before each step, and stops when it is.
 *
 * @param late makes the error for when time is up
 */
export function within<T> (
  milliseconds: number, work: (isTimeUp: IsTimeUp) => Promise<T>,
  late: () => Error = () => storeError('late', `no answer within ${milliseconds} ms`)
): Promise<T> {
  return new Promise((resolve, reject) => {
    let isTimeUp = false
    const timer = setTimeout(() => {
      isTimeUp = true
      reject(late())
    }, milliseconds)
    work(() => isTimeUp).finally(() => { clearTimeout(timer) }).then(resolve, reject)
  })
}
