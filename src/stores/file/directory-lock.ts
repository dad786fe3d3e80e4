/** Locks that hold between processes: proper-lockfile's directories, taken without its slow back-off. */
import { setTimeout as delay } from 'node:timers/promises'
import { lock as takeLock } from 'proper-lockfile'
import type { Unlock } from '../store.ts'

/**
 * Milliseconds after which a lock counts as left behind by a process that died. The longest that a killed process can
 * delay the others. A living holder renews its lock long before.
 */
export const STALE = 3_000
const RENEW = 1_000

/**
 * @param path of the lock, a directory that exists while it is held
 * @returns how to let go, or `undefined` when somebody else holds it
 */
export async function tryLock (path: string): Promise<Unlock | undefined> {
  try {
    return letGo(await takeLock(path, { lockfilePath: path, realpath: false, stale: STALE, update: RENEW, onCompromised: ignore }))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return undefined
    throw error
  }
}

/**
 * @param between milliseconds between two attempts, on average; varied so that waiters do not move in step
 * @param until when to give up, in milliseconds since 1970
 * @returns how to let go, or `undefined` when it was not to be had in time
 */
export async function waitForLock (path: string, between: number, until: number): Promise<Unlock | undefined> {
  for (;;) {
    const unlock = await tryLock(path)
    if (unlock !== undefined || Date.now() >= until) return unlock
    await delay(between * (0.5 + Math.random()))
  }
}

/** A lock that was taken over, or whose directory was removed, cannot be released any more, and need not be. */
function letGo (release: () => Promise<void>): Unlock {
  return () => release().catch(ignore)
}

function ignore (): void {}
