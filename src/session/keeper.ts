/** What sessions are kept with: a store, a format and the rules of how long. The same for all requests of a plugin. */
import type { Report } from '../report.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Lifetime } from './expiry.ts'
import type { SessionId, StoreKey } from './id.ts'
import type { Known, KnownSessions } from './known.ts'
import type { PayloadFormat } from './payload.ts'
import { GONE, NOTHING, Opened, Start, StoredOrigin } from './start.ts'
import type { SessionState } from './state.ts'
import { decodeState } from './state.ts'
import { isPlainText } from './values.ts'

export interface Keeper {
  readonly store: SessionStore
  readonly format: PayloadFormat
  readonly lifetime: Lifetime
  /** Milliseconds for which a tombstone stands. */
  readonly grace: number
  /** The largest payload, in bytes. */
  readonly maxBytes: number
  readonly report: Report
  readonly known: KnownSessions
}

/** What {@link SessionStore.read} answers. */
export type Found = StoredRecord | 'gone' | undefined

/**
 * @param known what is remembered of the session
 * @returns what a unit of work starts from, given what the store has under the presented id
 */
export function startFrom (keeper: Keeper, id: SessionId, key: StoreKey, found: Found, known?: Known): Start {
  if (found === 'gone') return GONE
  const { absolute } = keeper.lifetime
  if (found === undefined || (absolute !== undefined && found.createdAt.getTime() + absolute <= Date.now())) return NOTHING
  return known?.startFrom(found) ?? openAnew(keeper, id, key, found)
}

function openAnew (keeper: Keeper, id: SessionId, key: StoreKey, found: StoredRecord): Start {
  const read = openRecord(keeper, key, found)
  if (read === undefined) return NOTHING
  const opened = new Opened(read.text, read.state, isPlainText(read.text))
  const known = keeper.known.meet(id, key)
  known.remember(found.payload, opened)
  return known.startFrom(found) ?? new Start(new StoredOrigin(known, found), opened)
}

/** @returns what is in a record, of nobody else yet; or `undefined`, after a warning, when it cannot be read any more */
export function openRecord ({ format, report }: Keeper, key: StoreKey, { payload }: StoredRecord): { text: string, state: SessionState } | undefined {
  const text = format.open(payload, key)
  try {
    if (text !== undefined) return { text, state: decodeState(text) }
  } catch {
    // Reported below, like a payload that does not open.
  }
  report({
    code: 'AMBIENT_SESSION_DAMAGED',
    message: 'a stored session cannot be read and counts as missing: its payload is damaged, or `encrypt` or `secret` was changed since it was written',
    key
  })
  return undefined
}
