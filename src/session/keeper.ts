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
  return { origin: { kind: 'none' }, text: undefined, state: emptyState() }
}

/** @returns what a unit of work starts from, given what the store has under the presented id */
export function startFrom (keeper: Keeper, id: SessionId, key: StoreKey, found: Found): Start {
  if (found === 'gone') return { origin: { kind: 'gone' }, text: undefined, state: emptyState() }
  const { absolute = Infinity } = keeper.lifetime
  const isLiving = found !== undefined && found.createdAt.getTime() + absolute > Date.now()
  const opened = isLiving ? openShared(keeper, key, found) : undefined
  return opened === undefined ? nothing() : { origin: { kind: 'stored', id, key, record: found as StoredRecord }, ...opened }
}

/** What is in the records that stores hand out, as long as they hold on to them: a store that caches need not be decoded. */
const decoded = new WeakMap<StoredRecord, Opened>()

/** As {@link openRecord}, with a state that is shared by all who ask for the same record and not to be changed. */
function openShared (keeper: Keeper, key: StoreKey, record: StoredRecord): Opened | undefined {
  const known = decoded.get(record)
  if (known !== undefined) return known
  const opened = openRecord(keeper, key, record)
  if (opened !== undefined) decoded.set(record, opened)
  return opened
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
