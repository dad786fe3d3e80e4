import { setTimeout as delay } from 'node:timers/promises'
import type { TimeLimit } from '../within.ts'
import { isBusy, isWorthRetrying } from './faults.ts'

/** Deadlocks and the like that one statement may meet with. While a database is busy, only time bounds the attempts. */
const MOST_DEADLOCKS = 100
/** Milliseconds to wait at most before a statement is tried again. */
const MAX_BACKOFF = 32

/** Does something again as long as it fails for a reason that passes, until time is up. */
export async function retrying<T> (limit: TimeLimit, attempt: () => Promise<T>): Promise<T> {
  for (let n = 1, deadlocks = 0; ; n++) {
    try {
      return await attempt()
    } catch (error) {
      if (limit.isUp || !isWorthRetrying(error)) throw error
      if (!isBusy(error) && ++deadlocks === MOST_DEADLOCKS) throw error
      limit.reason = error
      // At random, or the same statements would meet again.
      await delay(Math.random() * Math.min(2 ** n, MAX_BACKOFF))
    }
  }
}
