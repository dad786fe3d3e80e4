/** A session's exclusive lock between processes: a key with a random token, which goes by itself at the end of the lease. */
import { randomBytes } from 'node:crypto'
import type { Unlock } from '../store.ts'
import type { Link } from './link.ts'
import { LOCK, UNLOCK } from './scripts.ts'

/**
 * @param lease milliseconds
 * @returns a function that takes the lock unless another holds it
 */
export function lockAttempt (link: Link, name: string, lease: number): () => Promise<Unlock | undefined> {
  const token = randomBytes(16).toString('base64url')
  const release = async (): Promise<void> => { await link.run(UNLOCK, [name], [token]) }
  return async () => {
    try {
      return Number(await link.run(LOCK, [name], [token, String(lease)])) === 1 ? release : undefined
    } catch (error) {
      // The lock may have been taken nevertheless, or be taken later when a stopped server continues.
      release().catch(() => {})
      throw error
    }
  }
}
