/** Locks that hold between processes: proper-lockfile's directories, taken without its slow back-off. */
import { statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { lock as takeLock } from 'proper-lockfile'

/**
 * Milliseconds after which a lock that is not renewed counts as left behind by a process that died. As proper-lockfile dates
 * a new lock up to a second ahead, a killed process delays the others by four seconds at the most.
 */
export const STALE = 3_000
const RENEW = 1_000

/** A lock that is held. */
export interface HeldLock {
  /** Whether it still is: a process that was stopped for longer than {@link STALE} finds its lock taken over. */
  isOurs (): boolean
  /** Lets go. A lock that was taken over is left to its new holder. */
  release (): Promise<void>
}

/**
 * @param path of the lock, a directory that exists while it is held
 * @returns the lock, or `undefined` when somebody else holds it
 */
export async function tryLock (path: string): Promise<HeldLock | undefined> {
  let isCompromised = false
  const onCompromised = (): void => { isCompromised = true }
  try {
    const release = await takeLock(path, { lockfilePath: path, realpath: false, stale: STALE, update: RENEW, onCompromised })
    const taken = identify(path)
    const isOurs = (): boolean => !isCompromised && taken !== undefined && identify(path) === taken
    return {
      isOurs,
      // What is not ours any more is noticed and dropped by proper-lockfile itself, when it next renews the lock.
      release: async () => { if (mayBe(isOurs)) await release().catch(() => {}) }
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ELOCKED') return undefined
    throw error
  }
}

/**
 * @param between milliseconds between two attempts, on average; varied so that waiters do not move in step
 * @param until when to give up, in milliseconds since 1970
 * @param whileHeld called after each attempt in vain
 * @returns the lock, or `undefined` when it was not to be had in time
 */
export async function waitForLock (path: string, between: number, until: number, whileHeld = (): void => {}): Promise<HeldLock | undefined> {
  for (;;) {
    const lock = await tryLock(path)
    if (lock !== undefined || Date.now() >= until) return lock
    whileHeld()
    await delay(between * (0.5 + Math.random()))
  }
}

/** Where it cannot be found out, it has to be taken for ours: a lock that is not released would be renewed for ever. */
function mayBe (isOurs: () => boolean): boolean {
  try {
    return isOurs()
  } catch {
    return true
  }
}

/** Tells one making of the lock's directory from the next: its inode may be used again, but not at the same time. */
function identify (path: string): string | undefined {
  const status = statSync(path, { throwIfNoEntry: false })
  return status === undefined ? undefined : `${status.ino} ${status.birthtimeMs}`
}
