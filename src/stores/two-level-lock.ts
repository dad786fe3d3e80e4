import { setTimeout as delay } from 'node:timers/promises'
import { SessionLockTimeoutError } from '../errors.ts'
import { KeyedLock, RETRY_AFTER } from './keyed-lock.ts'
import type { LockOptions, MaybePromise, StoreKey, Unlock } from './store.ts'

/** Milliseconds between two attempts, at random so that waiting processes do not keep in step. */
const SHORTEST_PAUSE = 15
const LONGEST_PAUSE = 45

/**
 * Exclusive locks between processes. Within one process requests wait in the order of their calls, and only the first of them
 * tries to take the lock that all processes share.
 */
export class TwoLevelLock {
  readonly #here = new KeyedLock()

  /**
   * @param attempt takes the lock that all processes share, with the lease of the options; undefined while another holds it
   * @throws SessionLockTimeoutError when the lock is not free within `wait` milliseconds
   */
  async acquire (key: StoreKey, options: LockOptions, attempt: () => MaybePromise<Unlock | undefined>): Promise<Unlock> {
    const until = performance.now() + options.wait
    const unlockHere = await this.#here.acquire(key, options)
    try {
      const unlockEverywhere = await repeated(attempt, until)
      return async () => {
        try {
          await unlockEverywhere()
        } finally {
          await unlockHere()
        }
      }
    } catch (error) {
      await unlockHere()
      throw error
    }
  }
}

async function repeated (attempt: () => MaybePromise<Unlock | undefined>, until: number): Promise<Unlock> {
  for (;;) {
    const unlock = await attempt()
    if (unlock !== undefined) return unlock
    const left = until - performance.now()
    if (left <= 0) throw new SessionLockTimeoutError(RETRY_AFTER)
    await delay(Math.min(left, SHORTEST_PAUSE + Math.random() * (LONGEST_PAUSE - SHORTEST_PAUSE)))
  }
}
