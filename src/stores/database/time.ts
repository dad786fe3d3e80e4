/** Bounds on what a call of the store may take. */
import { setTimeout as delay } from 'node:timers/promises'
import { SessionStoreError } from '../../errors.ts'
import { isWorthRetrying } from './faults.ts'

/** Whether time is up. Nothing may be begun then. */
export type IsOver = () => boolean

const ATTEMPTS = 100
/** Milliseconds to wait at most before a statement is tried again. */
const MAX_BACKOFF = 32

/**
 * Waits for work no longer than it is given. What is still under way then is told by `isOver` to begin nothing more.
 *
 * @throws SessionStoreError when time is up
 */
export async function within<T> (milliseconds: number, work: (isOver: IsOver) => Promise<T>): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    let isOver = false
    const timer = setTimeout(() => {
      isOver = true
      reject(new SessionStoreError(`the database did not answer within ${milliseconds} ms`))
    }, milliseconds)
    work(() => isOver).then(resolve, reject).finally(() => { clearTimeout(timer) })
  })
}

/** Does something again as long as it fails for a reason that passes, a bounded number of times. */
export async function retrying<T> (isOver: IsOver, attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; n < ATTEMPTS; n++) {
    try {
      return await attempt()
    } catch (error) {
      if (isOver() || !isWorthRetrying(error)) throw error
      // At random, or those who got in each other's way would meet again.
      await delay(Math.random() * Math.min(2 ** n, MAX_BACKOFF))
    }
  }
  return await attempt()
}
