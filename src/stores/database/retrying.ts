/** Tries a statement again after a deadlock, or while the database is busy. */
import { setTimeout as delay } from 'node:timers/promises'
import type { IsTimeUp } from '../within.ts'
import { isWorthRetrying } from './faults.ts'

const ATTEMPTS = 100
/** Milliseconds to wait at most before a statement is tried again. */
const MAX_BACKOFF = 32

/** Does something again as long as it fails for a reason that passes, a bounded number of times. */
export async function retrying<T> (isTimeUp: IsTimeUp, attempt: () => Promise<T>): Promise<T> {
  for (let n = 1; n < ATTEMPTS; n++) {
    try {
      return await attempt()
    } catch (error) {
      if (isTimeUp() || !isWorthRetrying(error)) throw error
      // At random, or the same statements would meet again.
      await delay(Math.random() * Math.min(2 ** n, MAX_BACKOFF))
    }
  }
  return await attempt()
}
