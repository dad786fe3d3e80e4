/** A session's exclusive lock between processes: a key with a random token, which goes by itself at the end of the lease. */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Unlock } from '../store.ts'
import type { Link } from './link.ts'
import { LOCK, UNLOCK } from './scripts.ts'

/** Milliseconds between two attempts, at the least and at the most: several who wait are not to come in step. */
const SHORTEST_PAUSE = 15
const LONGEST_PAUSE = 45

/**
 * @param lease milliseconds
 * @param until when to give up, by Date.now()
 * @returns undefined when it was not to be had by then
 */
export async function takeLock (link: Link, name: string, lease: number, until: number): Promise<Unlock | undefined> {
  const token = randomBytes(16).toString('base64url')
  const release = async (): Promise<void> => { await link.run(UNLOCK, [name], [token]) }
  try {
    while (Number(await link.run(LOCK, [name], [token, String(lease)])) !== 1) {
      const left = until - Date.now()
      if (left <= 0) return undefined
      await delay(Math.min(left, SHORTEST_PAUSE + Math.random() * (LONGEST_PAUSE - SHORTEST_PAUSE)))
    }
    return release
  } catch (error) {
    // It may have been taken nevertheless, or be taken later by a server that goes on.
    release().catch(() => {})
    throw error
  }
}
