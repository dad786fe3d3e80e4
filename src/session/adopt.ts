/** A session that began in another package. */
import type { StoreKey } from '../stores/store.ts'
import type { ClientInfo } from './changes.ts'
import { toRecord } from './commit.ts'
import { expiryFrom } from './expiry.ts'
import { checkKey } from './paths.ts'
import type { SessionSettings } from './settings.ts'
import { emptyState, encodeState } from './state.ts'
import { decode, encode } from './values.ts'

/**
 * Stores the session under the key, unless something is there: then another request has done so.
 *
 * @param userId whose it is
 * @param clientInfo of the request that brings it; undefined where its client has left
 * @returns whether it was stored
 * @throws SessionValueError when the data cannot be stored
 * @throws SessionTooLargeError when there is too much of it
 */
export async function adopt (settings: SessionSettings, key: StoreKey, data: object, userId: string | undefined, clientInfo: ClientInfo | undefined): Promise<boolean> {
  const state = emptyState()
  Object.keys(data).forEach(checkKey)
  state.data = decode(encode(data, 'session')) as typeof state.data
  state.userId = userId
  const now = new Date(Date.now())
  const expiresAt = new Date(expiryFrom(now.getTime(), now.getTime(), settings.lifetime))
  const record = toRecord({ clientInfo }, settings, key, { state, text: encodeState(state) }, now, expiresAt)
  return typeof await settings.store.compareAndSet(key, record, undefined) === 'number'
}
