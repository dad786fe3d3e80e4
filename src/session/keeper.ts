/** What sessions are kept with: a store, a format and the rules of how long. The same for all requests of a plugin. */
import type { Report } from '../report.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Lifetime } from './expiry.ts'
import type { SessionId, StoreKey } from './id.ts'
import type { KnownSessions } from './known.ts'
import type { PayloadFormat } from './payload.ts'
import type { SessionState } from './state.ts'
import { decodeState, emptyState } from './state.ts'
import type { Start } from './unit-of-work.ts'

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

const NOTHING: Start = { origin: { kind: 'none' }, text: undefined, state: emptyState() }
const GONE: Start = { ...NOTHING, origin: { kind: 'gone' } }

/** What a unit of work starts from where no session was presented. */
export function nothing (): Start {
  return NOTHING
}

/** @returns what a unit of work starts from, given what the store has under the presented id */
export function startFrom (keeper: Keeper, id: SessionId, key: StoreKey, found: Found): Start {
  if (found === 'gone') return GONE
  const { absolute = Infinity } = keeper.lifetime
  if (found === undefined || found.createdAt.getTime() + absolute <= Date.now()) return NOTHING
  const known = keeper.known.opened(id, found.payload)
  const opened = known ?? openRecord(keeper, key, found)
  if (opened === undefined) return NOTHING
  if (known === undefined) keeper.known.remember(id, key, found.payload, opened)
  return { origin: { kind: 'stored', id, key, record: found }, text: opened.text, state: opened.state }
}

/** @returns what is in a record, or `undefined`, after a warning, when it cannot be read any more */
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
