/** What the session that was asked for turned out to be: stored, none, or over. */
import { isRecord, type StoredRecord, type Tombstone } from '../stores/store.ts'
import { isIdleTooLong } from './expiry.ts'
import type { SessionId, StoreKey } from './id.ts'
import { lifetimeOf, type SessionSettings } from './settings.ts'
import { decodeState, type SessionState } from './state.ts'

/** What {@link SessionStore.read} answers. */
export type Found = StoredRecord | Tombstone | 'gone' | undefined

/** A living session as it was found or written. */
export interface StoredSession {
  readonly kind: 'stored'
  readonly id: SessionId
  readonly key: StoreKey
  readonly record: StoredRecord
  /** The payload as text: decrypted, where it is encrypted. */
  readonly text: string
}

export type Origin =
  | StoredSession
  /** There is none, and a new session may begin. `wasEnded`: there was one, it has ended, and its cookie is to be cleared. */
  | { readonly kind: 'none', readonly wasEnded: boolean }
  /**
   * It has ended since this request began, or has been given a new id. Nothing is stored for it any more. `mayBegin`: it got the new
   * id before this request began, and a sign-in may begin another session.
   */
  | { readonly kind: 'over', readonly mayBegin: boolean }

/** What a session turned out to be, and its state if it is stored. The state belongs to the caller, who may change it. */
export interface LoadResult {
  readonly origin: Origin
  /** Undefined where the session is not stored. */
  readonly state: SessionState | undefined
}

/** What a session holds, and how it is written as text. */
export interface OpenedRecord {
  readonly state: SessionState
  readonly text: string
}

export const NOTHING: LoadResult = { origin: { kind: 'none', wasEnded: false }, state: undefined }
const ENDED_BEFORE: LoadResult = { origin: { kind: 'none', wasEnded: true }, state: undefined }
export const OVER: LoadResult = { origin: { kind: 'over', mayBegin: false }, state: undefined }
const REGENERATED: LoadResult = { origin: { kind: 'over', mayBegin: true }, state: undefined }

/**
 * @param found what the store has under the key
 * @param startedAt when the request began, in milliseconds: what was under way when its session ended stores nothing
 */
export function load (settings: SessionSettings, id: SessionId, key: StoreKey, found: Found, startedAt: number): LoadResult {
  if (found === undefined) return NOTHING
  if (!isRecord(found)) return loadTombstone(found, startedAt, settings.grace)
  const { absolute } = settings.lifetime
  const now = Date.now()
  if (absolute !== undefined && found.createdAt.getTime() + absolute <= now) return NOTHING
  const opened = openRecord(settings, key, found)
  if (opened === undefined || isIdleTooLong(now, found.lastActivity, lifetimeOf(settings, opened.state))) return NOTHING
  return { origin: { kind: 'stored', id, key, record: found, text: opened.text }, state: opened.state }
}

/**
 * After `ended` the request is that of a new visitor. After `regenerated` the browser probably has the newer cookie, and after
 * `replaced` it was given another one, which a late request must not take away: nothing is stored, unless the request signs in.
 */
function loadTombstone (found: Tombstone | 'gone', startedAt: number, grace: number): LoadResult {
  if (found === 'gone') return OVER
  const since = found.since.getTime()
  // The clocks of two servers differ a little. One that is later by more than the grace period was written before a clock was put back.
  if (since > startedAt && since <= Date.now() + grace) return OVER
  return found.reason === 'ended' ? ENDED_BEFORE : REGENERATED
}

/** Whether the session itself goes on under another id, as far as the store knows. */
export function isMoved (found: Found): boolean {
  return found === 'gone' || (found !== undefined && !isRecord(found) && found.reason === 'regenerated')
}

/** Loads a session that was found before. Where it is not stored any more it is over, whether or not a tombstone says so. */
export function loadAgain (settings: SessionSettings, { id, key }: Pick<StoredSession, 'id' | 'key'>, found: Found): LoadResult {
  const result = load(settings, id, key, found, -Infinity)
  return result.origin.kind === 'stored' ? result : OVER
}

/** @returns what is in a record; or `undefined`, after a warning, when it cannot be read any more */
export function openRecord ({ format, report }: SessionSettings, key: StoreKey, { payload }: StoredRecord): OpenedRecord | undefined {
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
