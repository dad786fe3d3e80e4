import { SessionLockTimeoutError } from '../errors.ts'
import type { LockOptions, StoreKey, Unlock } from './store.ts'

/** Seconds after which a request that got no lock is advised to try again. */
export const RETRY_AFTER = 1

/** Exclusive locks by key within one process, granted in the order of the calls. */
export class KeyedLock {
  /** For every held key, the grants of the calls that wait. */
  readonly #waiting = new Map<StoreKey, (() => void)[]>()

  /** @throws SessionLockTimeoutError when the turn does not come within `wait` milliseconds */
  acquire (key: StoreKey, { lease, wait }: LockOptions): Promise<Unlock> {
    const queue = this.#waiting.get(key)
    if (queue === undefined) {
      this.#waiting.set(key, [])
      return Promise.resolve(this.#hold(key, lease))
    }
    return new Promise((resolve, reject) => {
      const grant = (): void => {
        clearTimeout(timer)
        resolve(this.#hold(key, lease))
      }
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(grant), 1)
        reject(new SessionLockTimeoutError(RETRY_AFTER))
      }, wait)
      queue.push(grant)
    })
  }

  #hold (key: StoreKey, lease: number): Unlock {
    let isHeld = true
    const unlock = (): void => {
      if (!isHeld) return
      isHeld = false
      clearTimeout(timer)
      const next = this.#waiting.get(key)?.shift()
      if (next === undefined) this.#waiting.delete(key)
      else next()
    }
    const timer = setTimeout(unlock, lease).unref()
    return unlock
  }
}
