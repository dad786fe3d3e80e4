/** Removal of expired sessions, and of what crashes leave behind, a little at a time and in one process at a time. */
import { lstatSync, rmdirSync, rmSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isStoreKey } from '../../session/id.ts'
import type { StoreKey } from '../store.ts'
import { codeOf } from './disk.ts'
import type { Content } from './format.ts'
import { inspectFile } from './inspect.ts'

export interface Sweep {
  readonly now: Date
  /** Expired sessions to remove at the most. */
  readonly limit: number
  /** Ends the sweep after the file at hand. */
  readonly signal: AbortSignal | undefined
  /** Removes a session under its lock if what is in its file has expired by then. @returns whether it was removed */
  readonly remove: (key: StoreKey, isExpired: (content: Content) => boolean) => boolean
  /** Takes a lock on a file of its own. @returns undefined while another process holds it */
  readonly tryLock: (path: string) => (() => void) | undefined
  /** Called for a session that this process may not read. */
  readonly reportUnreadable: (key: StoreKey, cause: unknown) => void
  /** Further work of the sweeping process. @param pause to be called between its steps */
  readonly finish: (pause: () => Promise<void>) => Promise<void>
}

const MINUTE = 60_000
/** Milliseconds for which an unreadable file is left for the operator to look at. */
const DAMAGED_FOR = 24 * 60 * MINUTE
/** Milliseconds after which a temporary file or the lock of a process counts as left behind. */
const LEFT_BEHIND = MINUTE
const TEMPORARY_NAME = /^\.[0-9a-f]{64}\.[0-9a-f]{16}\.tmp$/
const BLOCK_NAME = /^\.[0-9a-f]{64}\.block$/
const LOCK_NAME = /^(?:[0-9a-f]{64}|\.[0-9a-f]{64}\.block|\.sweep)\.lock$/
/** Files that are looked at without a pause, and the milliseconds of a pause: requests come first. */
const BATCH = 16
const PAUSE = 4

/** @returns how many sessions were removed; 0 at once when another process is sweeping */
export async function sweepDirectory (directory: string, sweep: Sweep): Promise<number> {
  const unlock = sweep.tryLock(join(directory, '.sweep'))
  if (unlock === undefined) return 0
  try {
    const pause = pauses()
    const removed = await sweepAll(directory, sweep, pause)
    await sweep.finish(pause)
    return removed
  } finally {
    unlock()
  }
}

async function sweepAll (directory: string, sweep: Sweep, pause: () => Promise<void>): Promise<number> {
  let removed = 0
  for await (const { name } of await opendir(directory, { bufferSize: 64 })) {
    if (removed >= sweep.limit || sweep.signal?.aborted === true) break
    if (isStoreKey(name)) removed += await sweepSession(join(directory, name), name, sweep) ? 1 : 0
    else sweepLeftover(join(directory, name), name, sweep)
    await pause()
  }
  return removed
}

async function sweepSession (path: string, key: StoreKey, sweep: Sweep): Promise<boolean> {
  try {
    const found = await inspectFile(path)
    if (found === undefined) return false
    const isExpired = ({ entry }: Content): boolean => (entry?.expiresAt.getTime() ?? found.changedAt + DAMAGED_FOR) <= sweep.now.getTime()
    return (found.content === undefined || isExpired(found.content)) && sweep.remove(key, isExpired)
  } catch (error) {
    return codeOf(error) === 'EACCES' && sweepUnreadable(path, key, sweep, error)
  }
}

/** A file that this process may not read may still be removed: the directory belongs to it. */
function sweepUnreadable (path: string, key: StoreKey, { now, reportUnreadable }: Sweep, cause: unknown): boolean {
  try {
    if (lstatSync(path).ctimeMs + DAMAGED_FOR <= now.getTime()) {
      rmSync(path)
      return true
    }
    reportUnreadable(key, cause)
  } catch (error) {
    reportUnreadable(key, error)
  }
  return false
}

/** Removes what a killed process left: a half-written file, or a lock. A failure is left for the next sweep. */
function sweepLeftover (path: string, name: string, { now, tryLock }: Sweep): void {
  try {
    if (BLOCK_NAME.test(name)) tryLock(path)?.()
    const isLeft = (TEMPORARY_NAME.test(name) || LOCK_NAME.test(name)) && lstatSync(path).mtimeMs + LEFT_BEHIND <= now.getTime()
    if (!isLeft) return
    if (TEMPORARY_NAME.test(name)) rmSync(path, { force: true })
    else rmdirSync(path)
  } catch {}
}

function pauses (): () => Promise<void> {
  let looked = 0
  return async () => {
    if (++looked % BATCH === 0) await delay(PAUSE)
  }
}
