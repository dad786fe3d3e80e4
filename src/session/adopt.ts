/** A session that began in another package. */
import type { StoreKey } from '../stores/store.ts'
import type { ClientInfo } from './changes.ts'
import { toRecord } from './commit.ts'
import { expiryFrom } from './expiry.ts'
import { checkKey } from './paths.ts'
import type { SessionSettings } from './settings.ts'
import { emptyState, encodeState } from './state.ts'
import { userIdOf } from './user-id.ts'
import { decode, encode } from './values.ts'

/** Who presents it. */
export interface Client {
  readonly clientInfo: ClientInfo
}

/**
 * Stores it under the key, unless something is there: then another request has done so.
 *
 * @param userId whose it is
 * @returns whether it was stored
 * @throws SessionValueError when the data or the user's id cannot be stored
 * @throws SessionTooLargeError when there is too much of it
 */
export async function adopt (settings: SessionSettings, key: StoreKey, data: object, userId: unknown, client: Client): Promise<boolean> {
  const state = emptyState()
  Object.keys(data).forEach(checkKey)
  state.data = decode(encode(data, 'session')) as typeof state.data
  state.userId = userId == null ? undefined : userIdOf(userId)
  const now = new Date(Date.now())
  const expiresAt = new Date(expiryFrom(now.getTime(), now.getTime(), settings.lifetime))
  const record = toRecord(client, settings, key, { state, text: encodeState(state) }, now, expiresAt)
  return typeof await settings.store.compareAndSet(key, record, undefined) === 'number'
}
