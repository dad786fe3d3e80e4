/** Removal of expired sessions, and of what crashes leave behind, a little at a time and in one process at a time. */
import { opendir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { StoreKey } from '../store.ts'
import type { FileLock } from './file-lock.ts'
import { isOfDeadOwner, isOwnerFile, STALE } from './owner.ts'
import { isSessionName } from './session-file.ts'

export interface Sweep {
  /** Expired sessions to remove at the most. */
  readonly limit: number
  /** Held for as long as this process sweeps. */
  readonly lock: FileLock
  /** Removes a lock whose holder has died. */
  readonly freeLock: (path: string) => void
  /** Whether the session in a file is over. */
  readonly isDead: (path: string) => boolean
  /** Removes those of the sessions that are still dead, and says how many. */
  readonly remove: (keys: readonly StoreKey[]) => Promise<number>
  /**
   * What else there is to do while this process sweeps.
   *
   * @param pause to be called now and then: waits if there has been enough work without a pause
   */
  readonly finish: (pause: () => Promise<void>) => Promise<void>
}

const TEMPORARY_NAME = /^[0-9a-f]{64}\.tmp$/
/** Locks on sessions, and the rights to take one over. */
const LOCK_NAME = /^\.[0-9a-f]{64}\.lock(\.takeover)*$/
/** Sessions removed under one commit lock. */
const BATCH = 8
/** Milliseconds of work without a pause. */
const SLICE = 0.3
/** Milliseconds of a pause: requests come first. Where there are none, little is lost by it. */
const PAUSE = { busy: 6, idle: 1 }
/** Share of its time that the event loop works, from which on it counts as busy. */
const BUSY = 0.5

/** @returns how many sessions were removed; 0 at once when another process is sweeping */
export async function sweepDirectory (directory: string, sweep: Sweep): Promise<number> {
  if (!sweep.lock.tryTake()) return 0
  try {
    const pause = pauses()
    const removed = await sweepAll(directory, sweep, pause)
    await sweep.finish(pause)
    return removed
  } finally {
    sweep.lock.release()
  }
}

async function sweepAll (directory: string, { limit, freeLock, isDead, remove }: Sweep, pause: () => Promise<void>): Promise<number> {
  let removed = 0
  let dead: StoreKey[] = []
  for await (const { name } of await opendir(directory, { bufferSize: 64 })) {
    if (removed + dead.length >= limit) break
    if (!isSessionName(name)) await removeLeftover(join(directory, name), name, freeLock)
    else if (isSurelyDead(join(directory, name), isDead)) dead.push(name)
    if (dead.length === BATCH) {
      removed += await remove(dead)
      dead = []
    }
    await pause()
  }
  return dead.length === 0 ? removed : removed + await remove(dead)
}

/** @returns a function that waits when there has been enough work since it last did, longer where requests are coming in */
function pauses (): () => Promise<void> {
  let load = performance.eventLoopUtilization()
  let sliceBegin = performance.now()
  return async () => {
    if (performance.now() - sliceBegin <= SLICE) return
    const { utilization } = performance.eventLoopUtilization(load)
    load = performance.eventLoopUtilization()
    await delay(utilization > BUSY ? PAUSE.busy : PAUSE.idle)
    sliceBegin = performance.now()
  }
}

/** One entry that cannot be read (a directory, a loop of links) does not keep the others from being swept. */
function isSurelyDead (path: string, isDead: (path: string) => boolean): boolean {
  try {
    return isDead(path)
  } catch {
    return false
  }
}

/** What a killed process left: a half-written file, a lock on a session, or the file that says who it was. */
async function removeLeftover (path: string, name: string, freeLock: (path: string) => void): Promise<void> {
  try {
    if (LOCK_NAME.test(name)) freeLock(path)
    else if ((TEMPORARY_NAME.test(name) && await age(path) > STALE) || (isOwnerFile(name) && isOfDeadOwner(path))) await rm(path, { force: true })
  } catch {
    // What cannot be removed now is left for the next sweep.
  }
}

/** Milliseconds since a file was last changed, by the file system's clock as far as it is this machine's. */
async function age (path: string): Promise<number> {
  const status = await stat(path).catch(() => undefined)
  return status === undefined ? 0 : Date.now() - status.mtimeMs
}
