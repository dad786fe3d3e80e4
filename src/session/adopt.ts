/** A session that began in another package. */
import type { StoreKey } from '../stores/store.ts'
import { toRecord } from './commit.ts'
import { expiryFrom } from './expiry.ts'
import type { SessionManager } from './manager.ts'
import { emptyState, encodeState } from './state.ts'
import { userIdOf } from './user-id.ts'
import { decode, encode } from './values.ts'

/**
 * Stores it under the key, unless something is there: then another request has done so.
 *
 * @param userId whose it is
 * @throws SessionValueError when the data or the user's id cannot be stored
 * @throws SessionTooLargeError when there is too much of it
 */
export async function adopt (manager: SessionManager, key: StoreKey, data: object, userId: unknown): Promise<void> {
  const state = emptyState()
  state.data = decode(encode(data, 'session')) as typeof state.data
  state.userId = userId == null ? undefined : userIdOf(userId)
  const now = new Date(Date.now())
  const expiresAt = new Date(expiryFrom(now.getTime(), now.getTime(), manager.lifetime))
  await manager.store.compareAndSet(key, toRecord({}, manager, key, { state, text: encodeState(state) }, now, expiresAt), undefined)
}
