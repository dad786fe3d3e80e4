/** What sessions are kept with: a store, a format and the rules of how long. The same for all requests of a plugin. */
import type { Report } from '../report.ts'
import type { SessionStore, StoredRecord } from '../stores/store.ts'
import type { Lifetime } from './expiry.ts'
import type { SessionId, StoreKey } from './id.ts'
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
  /** What has been opened of the records that the store holds on to: the state where it is shared, or that it was seen. */
  readonly opened: WeakMap<StoredRecord, Opened | null>
}

/** What is in a record: the opened payload, and what it says. */
export interface Opened {
  readonly text: string
  readonly state: SessionState
}

/** What {@link SessionStore.read} answers. */
export type Found = StoredRecord | 'gone' | undefined

/** What a unit of work starts from where no session was presented. */
export function nothing (): Start {
  return { origin: { kind: 'none' }, text: undefined, state: emptyState(), isShared: false }
}

/** @returns what a unit of work starts from, given what the store has under the presented id */
export function startFrom (keeper: Keeper, id: SessionId, key: StoreKey, found: Found): Start {
  if (found === 'gone') return { ...nothing(), origin: { kind: 'gone' } }
  const { absolute = Infinity } = keeper.lifetime
  if (found === undefined || found.createdAt.getTime() + absolute <= Date.now()) return nothing()
  const opened = openForReading(keeper, key, found)
  return opened === undefined ? nothing() : { origin: { kind: 'stored', id, key, record: found }, ...opened }
}

/**
 * As {@link openRecord}. From the second time on that a store hands out the same record, its state is kept and shared: it
 * costs a request that only reads nothing. The first time it is the caller's own: a session that is written again and
 * again is a new record each time, and would only be decoded once more.
 */
function openForReading (keeper: Keeper, key: StoreKey, record: StoredRecord): Opened & { isShared: boolean } | undefined {
  const { opened } = keeper
  const known = opened.get(record) ?? openRecord(keeper, key, record)
  if (known === undefined) return undefined
  const isShared = opened.has(record)
  opened.set(record, isShared ? known : null)
  return { ...known, isShared }
}

/** @returns what is in a record, or `undefined`, after a warning, when it cannot be read any more */
export function openRecord ({ format, report }: Keeper, key: StoreKey, { payload }: StoredRecord): Opened | undefined {
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
