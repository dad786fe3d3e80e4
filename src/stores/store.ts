/**
 * The contract between sessions and the place they are kept.
 *
 * A store gets keys, never session ids: a leaked store leaks no cookie. It keeps text it does not interpret, and
 * its one duty beyond keeping is that {@link SessionStore.compareAndSet} is atomic for all processes that use the same
 * storage. Everything a session promises about concurrent requests rests on that method alone.
 *
 * @example The smallest useful store, without tombstones and for one process:
 *
 * ```ts
 * const records = new Map<StoreKey, StoredRecord>()
 * const living = (key: StoreKey) => {
 *   const record = records.get(key)
 *   return record !== undefined && record.expiresAt > new Date() ? record : undefined
 * }
 * const store: SessionStore = {
 *   read: living,
 *   compareAndSet (key, record, expected) {
 *     const current = living(key)
 *     if (expected !== undefined && current === undefined) return 'gone'
 *     if (current?.version !== expected) return 'conflict'
 *     const version = ((current?.version ?? 0) + 1) as Version
 *     records.set(key, { ...record, version })
 *     return version
 *   },
 *   touch (key, expiresAt) {
 *     const current = living(key)
 *     if (current === undefined) return false
 *     records.set(key, { ...current, expiresAt })
 *     return true
 *   },
 *   destroy (key, _tombstoneUntil, expected) {
 *     const current = living(key)
 *     if (current === undefined) return 'gone'
 *     if (expected !== undefined && current.version !== expected) return 'conflict'
 *     records.delete(key)
 *     return 'destroyed'
 *   }
 * }
 * ```
 */
import type { StoreKey } from '../session/id.ts'

export type { StoreKey }

export type MaybePromise<T> = T | Promise<T>

/** Counts the commits of one record. Opaque to all but the store that made it. */
export type Version = number & { readonly brand: 'Version' }

/** What a commit hands to a store. */
export interface NewRecord {
  /** The session's data as text; encrypted when the application asked for that. */
  readonly payload: string
  readonly createdAt: Date
  /** From this moment on the record counts as missing, whether or not it has been swept away yet. */
  readonly expiresAt: Date
  /** Whose session it is, once a user has signed in. */
  readonly userId?: string | undefined
  /** Where the session was last written from, and with what; recorded for sessions that have a user. */
  readonly ipAddress?: string | undefined
  readonly userAgent?: string | undefined
  /** When the session was last used, as far as that has been written. */
  readonly lastActivity?: Date | undefined
}

/** What a store hands back. */
export interface StoredRecord extends NewRecord {
  readonly version: Version
}

/** Why a session is over: it was signed out or revoked; it goes on under another id; or it was ended, and its browser was given a new one. */
export type EndReason = 'ended' | 'regenerated' | 'replaced'

/** What is left under the key of a session that is over, until its grace period has passed. */
export interface Tombstone {
  readonly reason: EndReason
  /** When the session was destroyed. */
  readonly since: Date
}

/** @returns whether what a store has read is a living record, and neither a tombstone nor nothing */
export function isRecord (found: StoredRecord | Tombstone | 'gone' | undefined): found is StoredRecord {
  return typeof found === 'object' && 'payload' in found
}

/** A record without its payload, as {@link SessionStore.list} finds it. */
export interface ListedRecord extends Omit<StoredRecord, 'payload'> {
  readonly key: StoreKey
}

/** Which records to list. Without a user: all. */
export interface ListFilter {
  readonly userId?: string | undefined
}

/** Which part of a long list is wanted. */
export interface Page {
  /** The most records to return. */
  readonly limit: number
  /** The `next` of the page before; undefined for the first. */
  readonly after?: string | undefined
}

export interface RecordPage {
  readonly records: readonly ListedRecord[]
  /** Where the next page begins; undefined when there is none. Opaque to all but the store that made it. */
  readonly next: string | undefined
  /**
   * How many records, at least, were left out because this process may not read them: with a user, of those that may be the
   * user's. A store without such records says nothing.
   */
  readonly unreadable?: number
  /**
   * With a user, where records are found one by one: keys that this page came upon under which a session has gone on under
   * another id. While it was looked for, the other one may have been missed.
   */
  readonly moved?: readonly StoreKey[]
}

export interface LockOptions {
  /**
   * Milliseconds after which the lock is released even if its holder has not released it. Where the holder's own process has to do
   * that, as in the file store, a process that is stopped does it when it continues.
   */
  readonly lease: number
  /** Milliseconds to wait for another holder before giving up with a SessionLockTimeoutError. */
  readonly wait: number
}

/** Releases a lock. It is no error if its lease has run out. */
export type Unlock = () => MaybePromise<void>

/** Where sessions are kept. Faults of the storage itself are thrown; what is merely absent is a return value. */
export interface SessionStore {
  /**
   * True when `read` never returns a promise and costs no more than microseconds. Such a store is read at the first use
   * of a session and not at all by a route that does not use it; any other is read before the handler runs.
   */
  readonly readsSynchronously?: boolean

  /**
   * The record under a key; `undefined` when there is none, it has expired or cannot be read any more; the tombstone
   * when the session is over and its tombstone still stands. A store that cannot say why and since when answers `'gone'`,
   * and the session counts as regenerated at this moment.
   */
  read (key: StoreKey): MaybePromise<StoredRecord | Tombstone | 'gone' | undefined>

  /**
   * Writes the record if its stored version is still the expected one.
   *
   * @param expected the version that was read, or `undefined` to create
   * @returns the new version; `'conflict'` when the stored version is another one (or the record to create exists);
   *   `'gone'` when there is nothing to replace any more: missing, expired, or a tombstone. Nothing is written then.
   */
  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): MaybePromise<Version | 'conflict' | 'gone'>

  /**
   * Moves a living record's expiry and leaves its version as it is.
   *
   * @param lastActivity when the session was used, for the list of a user's sessions
   * @returns whether there was a living record; a missing, expired or ended one is never brought back
   */
  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): MaybePromise<boolean>

  /**
   * Ends a session. With `tombstoneUntil` its tombstone is read under its key until then; without, it is simply removed.
   *
   * @param expected destroy only this version
   * @param reason what the tombstone says; `'ended'` when left out
   * @returns `'destroyed'`; `'conflict'` when the stored version is not the expected one, and nothing was changed;
   *   `'gone'` when there was no living record (a tombstone that stands is left standing)
   */
  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version, reason?: EndReason): MaybePromise<'destroyed' | 'conflict' | 'gone'>

  /**
   * Removes expired records and tombstones, at most `limit` of them.
   *
   * @param signal aborted when the application closes: a sweep of several steps ends after the one at hand
   * @returns how many were removed
   */
  sweep? (now: Date, limit: number, signal?: AbortSignal): MaybePromise<number>

  /**
   * Lists living records, page by page: no tombstones and nothing that has expired. A record that lives all the while that
   * its pages are asked for is in exactly one of them; one that begins or ends meanwhile may be. The order is the store's.
   * With a `userId`, no living session of that user is missing, whatever crashed in between, except those that count as
   * {@link RecordPage.unreadable}.
   */
  list? (filter: ListFilter, page: Page): MaybePromise<RecordPage>

  /** How many records {@link SessionStore.list} would list, for stores that have both. Without this method they are listed to be counted. */
  count? (filter: ListFilter): MaybePromise<number>

  /**
   * Takes an exclusive lock on a session, for routes that block. Rejects with a SessionLockTimeoutError.
   * Without this method such routes are serial within one process only.
   */
  lock? (key: StoreKey, options: LockOptions): Promise<Unlock>

  /** Called once before anything else; throws when the store could not work (a directory that cannot be written …). */
  open? (): MaybePromise<void>

  /** Called when the application closes. */
  close? (): MaybePromise<void>
}

/** The methods of a store that it may do without. */
export type OptionalMethod = 'sweep' | 'list' | 'count' | 'lock'

/** A store that has an optional method. */
export type StoreWith<Method extends OptionalMethod> = SessionStore & Required<Pick<SessionStore, Method>>

export function can<Method extends OptionalMethod> (store: SessionStore, method: Method): store is StoreWith<Method> {
  return store[method] !== undefined
}
