/** Removal of expired sessions, and of what crashes leave behind, a little at a time and in one process at a time. */
import { rm, rmdir, stat, opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { StoreKey } from '../store.ts'
import { STALE, tryLock } from './directory-lock.ts'

export interface Sweep {
  /** Milliseconds since 1970. */
  readonly now: number
  /** Expired sessions to remove at the most. */
  readonly limit: number
  /** Whether the session in a file is over. */
  readonly isDead: (path: string) => boolean
  /** Removes those of the sessions that are still dead, and says how many. */
  readonly remove: (keys: readonly StoreKey[]) => Promise<number>
}

const SWEEP_LOCK = '.sweep.lock'
const SESSION_NAME = /^[0-9a-f]{64}$/
const TEMPORARY_NAME = /^[0-9a-f]{64}\.tmp$/
const SESSION_LOCK_NAME = /^\.[0-9a-f]{64}\.lock$/
/** Sessions removed under one commit lock. */
const BATCH = 32
/** Milliseconds of work without a pause, and of the pause: requests come first. */
const SLICE = 0.8
const PAUSE = 8

/** @returns how many sessions were removed; 0 at once when another process is sweeping */
export async function sweepDirectory (directory: string, sweep: Sweep): Promise<number> {
  const lock = await tryLock(join(directory, SWEEP_LOCK))
  if (lock === undefined) return 0
  try {
    return await sweepAll(directory, sweep)
  } finally {
    await lock.release()
  }
}

async function sweepAll (directory: string, { now, limit, isDead, remove }: Sweep): Promise<number> {
  let removed = 0
  let dead: StoreKey[] = []
  let sliceBegin = performance.now()
  for await (const { name } of await opendir(directory, { bufferSize: 256 })) {
    if (removed + dead.length >= limit) break
    if (!SESSION_NAME.test(name)) await removeLeftover(directory, name, now)
    else if (isSurelyDead(join(directory, name), isDead)) dead.push(name as StoreKey)
    if (dead.length === BATCH) {
      removed += await remove(dead)
      dead = []
    }
    if (performance.now() - sliceBegin > SLICE) {
      await delay(PAUSE)
      sliceBegin = performance.now()
    }
  }
  return removed + await remove(dead)
}

/** One entry that cannot be read (a directory, a loop of links) does not keep the others from being swept. */
function isSurelyDead (path: string, isDead: (path: string) => boolean): boolean {
  try {
    return isDead(path)
  } catch {
    return false
  }
}

/** What a killed process left: a half-written file, or a lock on a session. */
async function removeLeftover (directory: string, name: string, now: number): Promise<void> {
  const path = join(directory, name)
  if (TEMPORARY_NAME.test(name) && await age(path, now) > STALE) await rm(path, { force: true })
  if (SESSION_LOCK_NAME.test(name) && await age(path, now) > STALE) await rmdir(path).catch(() => {})
}

async function age (path: string, now: number): Promise<number> {
  const status = await stat(path).catch(() => undefined)
  return status === undefined ? 0 : now - status.mtimeMs
}
