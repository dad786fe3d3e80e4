/**
 * Writes what a request did to its session: by compare-and-set and, on a conflict, by replay of the request's mutations on
 * what is stored by then. A session that is not there any more is never written again.
 */
import { SessionStoreError, SessionTooLargeError } from '../errors.ts'
import { isRecord, type MaybePromise, type NewRecord, type StoredRecord, type Version } from '../stores/store.ts'
import type { ChangeSet, ClientInfo, SessionChanges } from './changes.ts'
import { dueExpiry, expiryFrom } from './expiry.ts'
import { keyOf, type StoreKey } from './id.ts'
import { isMoved, type OpenedRecord, openRecord, type StoredSession } from './load.ts'
import { andThen, isPromise } from './maybe-promise.ts'
import { replay, subjectOf } from './mutations.ts'
import { lifetimeOf, type SessionSettings, tombstoneUntil } from './settings.ts'
import { decodeState, emptyState, encodeState, type SessionState } from './state.ts'

/** A session in which nothing is, and which is not stored for that. */
const EMPTY = encodeState(emptyState())
/** Conflicts in a row after which a commit gives up. Each of them is another request's success. */
const MAX_CONFLICTS = 1000

export interface CommitResult {
  readonly outcome:
    /** There was nothing to store. */
    | 'unchanged'
    /** Stored, under the id and with the expiry that the browser knows. */
    | 'stored'
    /** Stored, and the expiry has moved. */
    | 'extended'
    /** Stored under another id than before, or with another setting of its own for whether the cookie outlives the browser. */
    | 'issued'
    /** The session was ended, by this commit or already before it, and no other has begun. */
    | 'ended'
    /** The session had been ended by another request or process. Nothing was stored. */
    | 'dropped'
  /** What is stored now, where that was written. */
  readonly state?: Readonly<SessionState>
  /** The names of the changes that were dropped, for people. */
  readonly dropped?: readonly string[]
  /** The session that the commit has ended, or given another id. */
  readonly left?: LeftSession
}

/** A session that is not under its key any more. */
export interface LeftSession {
  readonly key: StoreKey
  /** The key under which it goes on; undefined where it has ended. */
  readonly to: StoreKey | undefined
}

/**
 * Writes all that is uncommitted. When it throws, everything counts as uncommitted again, and nothing of it is stored; but what
 * timed out may be stored nevertheless, and an invalidated session may have ended already.
 *
 * @param assertCanIssue called before a session is stored that the browser has to be told of; throws where that cannot be
 * @throws SessionTooLargeError when the payload would exceed the limit
 * @throws SessionValueError when something was changed in place that cannot be stored
 * @throws whatever the store throws when it cannot be reached
 */
export function commit (changes: SessionChanges, settings: SessionSettings, assertCanIssue?: () => void): MaybePromise<CommitResult> {
  const attempt = new Commit(changes, settings, assertCanIssue)
  try {
    const written = attempt.write()
    return isPromise(written) ? written.catch((error: unknown) => attempt.restore(error)) : written
  } catch (error) {
    return attempt.restore(error)
  }
}

class Commit {
  readonly #changes: SessionChanges
  readonly #settings: SessionSettings
  readonly #assertCanIssue: (() => void) | undefined
  readonly #set: ChangeSet

  constructor (changes: SessionChanges, settings: SessionSettings, assertCanIssue: (() => void) | undefined) {
    this.#changes = changes
    this.#settings = settings
    this.#assertCanIssue = assertCanIssue
    this.#set = changes.takePending()
  }

  write (): MaybePromise<CommitResult> {
    const { origin } = this.#changes
    if (origin.kind === 'over') return this.#drop()
    if (origin.kind === 'none') return this.#create()
    switch (this.#set.idChange) {
      case 'regenerate':
        return this.#regenerate(origin)
      case 'invalidate':
        return this.#invalidate(origin)
      case 'none':
        return this.#set.mutations.length === 0 ? this.#extend(origin) : this.#update(origin)
    }
  }

  restore (error: unknown): never {
    this.#changes.restorePending(this.#set)
    throw error
  }

  /** Stores a session for the first time, unless nothing was put into it. */
  #create (): MaybePromise<CommitResult> {
    const written = this.#set.mutations.length === 0 ? undefined : this.#apply(emptyState())
    if (written === undefined || written.text === EMPTY) {
      this.#changes.markCommitted(this.#changes.origin)
      return { outcome: 'unchanged' }
    }
    this.#assertCanIssue?.()
    const now = new Date(Date.now())
    const key = keyOf(this.#set.id)
    const record = this.#toRecord(key, written, now, this.#expiryFrom(now, written.state, now.getTime()))
    const version = andThen(this.#settings.store.compareAndSet(key, record, undefined), answer => this.#versionOfNew(key, record, answer))
    return andThen(version, version => {
      this.#changes.markCommitted(this.#stored(key, record, version, written))
      return { outcome: 'issued', state: written.state }
    })
  }

  /**
   * Moves the expiry of a session that was only read, when it is due. If another request has changed the session meanwhile, perhaps
   * its lifetime, then the expiry is looked at once more; that request has told the browser.
   */
  #extend (origin: StoredSession, current = origin.record, state = this.#changes.facts, conflicts = 0): MaybePromise<CommitResult> {
    assertProgress(conflicts)
    const { key } = origin
    const { store } = this.#settings
    const expiresAt = this.#expiryDue(current, state)
    // Otherwise another request has stored what is there now, and has told its browser.
    const isAsRead = conflicts === 0
    if (expiresAt === undefined) return { outcome: isAsRead ? 'unchanged' : 'stored' }
    const lastActivity = current.userId === undefined ? undefined : new Date(Date.now())
    const touched = andThen(store.touch(key, expiresAt, lastActivity), isAlive => isAlive ? store.read(key) : undefined)
    return andThen(touched, found => {
      if (!isRecord(found)) return this.#drop()
      if (found.version !== current.version) {
        const opened = openRecord(this.#settings, key, found)
        return opened === undefined ? this.#drop() : this.#extend(origin, found, opened.state, conflicts + 1)
      }
      this.#changes.markCommitted({ ...origin, record: { ...origin.record, expiresAt, ...lastActivity !== undefined && { lastActivity } } })
      return { outcome: isAsRead ? 'extended' : 'stored' }
    })
  }

  /**
   * Writes changes to a session, on top of what others have committed to it since it was read. They are replayed whether or not there
   * was a conflict, and the working copy is never stored: there is one path to the store, and what only the request may see cannot
   * take it. The second decode costs 1 to 2 µs for a session of a few hundred bytes.
   */
  #update (origin: StoredSession, current = origin.record, conflicts = 0): MaybePromise<CommitResult> {
    assertProgress(conflicts)
    const { key } = origin
    const { store } = this.#settings
    const before = this.#open(origin, current)
    if (before === undefined) return this.#drop()
    const wasPersistent = before.state.isPersistent
    const written = this.#apply(before.state)
    const expiresAt = this.#expiryDue(current, written.state)
    if (written.text === before.text && expiresAt === undefined) {
      this.#changes.markCommitted(origin)
      return { outcome: 'unchanged' }
    }
    const record = this.#toRecord(key, written, current.createdAt, expiresAt ?? current.expiresAt, current)
    return andThen(store.compareAndSet(key, record, current.version), answer => {
      if (answer === 'gone') return this.#drop()
      if (answer === 'conflict') {
        return andThen(store.read(key), found => isRecord(found) ? this.#update(origin, found, conflicts + 1) : this.#drop())
      }
      this.#changes.markCommitted({ ...origin, record: { ...record, version: answer }, text: written.text })
      if (written.state.isPersistent !== wasPersistent) return { outcome: 'issued', state: written.state }
      return { outcome: expiresAt === undefined ? 'stored' : 'extended', state: written.state }
    })
  }

  /**
   * Gives a session a new id. The new record is complete before the old key becomes a tombstone, and the old key only
   * becomes one in the version that was copied: neither a crash nor a concurrent commit in between loses anything. If the old key
   * cannot be destroyed, the old session goes on, and the copy stays under an id that no browser has, until it expires.
   */
  async #regenerate (origin: StoredSession): Promise<CommitResult> {
    this.#assertCanIssue?.()
    const { store } = this.#settings
    const key = keyOf(this.#set.id)
    let current: StoredRecord | undefined = origin.record
    let version: Version | undefined
    for (let conflicts = 0; current !== undefined; conflicts++) {
      assertProgress(conflicts)
      const before = this.#open(origin, current)
      if (before === undefined) break
      const written = this.#apply(before.state)
      const { createdAt } = current
      const record = this.#toRecord(key, written, createdAt, this.#expiryFrom(createdAt, written.state), current)
      const copied = await store.compareAndSet(key, record, version)
      // The copy of before was found, and ended, by whoever ends all sessions of its user.
      if (copied === 'gone' && version !== undefined) break
      version = await this.#versionOfNew(key, record, copied)
      const destroyed = await store.destroy(origin.key, tombstoneUntil(this.#settings), current.version, 'regenerated')
      if (destroyed === 'destroyed') {
        this.#changes.markCommitted(this.#stored(key, record, version, written))
        return { outcome: 'issued', state: written.state, left: { key: origin.key, to: key } }
      }
      current = destroyed === 'conflict' ? await this.#readLiving(origin.key) : undefined
    }
    // The session was ended first: the copy of it must not outlive it.
    if (version !== undefined) await store.destroy(key)
    return this.#drop()
  }

  /**
   * Ends a session; what was put after that begins another one. The old one is destroyed first: a sign-out holds even if the new
   * session cannot be stored. Then this throws, and onSessionEnd() notices the end when it next asks the store.
   */
  async #invalidate ({ key }: StoredSession): Promise<CommitResult> {
    const { store } = this.#settings
    const { mutations } = this.#set
    const reason = mutations.length === 0 ? 'ended' : 'replaced'
    if (await store.destroy(key, tombstoneUntil(this.#settings), undefined, reason) === 'gone') {
      // It is over in either case.
      const dropped = this.#drop()
      // To end what has ended already is no failure. What goes on under another id has not been ended.
      const onlyEnds = mutations.every(({ op }) => op === 'previousUrl')
      return onlyEnds && !isMoved(await store.read(key)) ? { outcome: 'ended' } : dropped
    }
    this.#changes.markCommitted({ kind: 'none', wasEnded: true })
    const { outcome } = await this.#create()
    return { outcome: outcome === 'issued' ? 'issued' : 'ended', left: { key, to: undefined } }
  }

  /** The session was ended while the request was under way, or before. */
  #drop (): CommitResult {
    this.#changes.markCommitted({ kind: 'over', mayBegin: false })
    return { outcome: 'dropped', dropped: [...new Set(this.#set.mutations.filter(({ op }) => op !== 'age').map(subjectOf))] }
  }

  /** @returns what is in a record of the session; undefined when it cannot be read any more */
  #open ({ key, record, text }: StoredSession, current: StoredRecord): OpenedRecord | undefined {
    return current === record ? { text, state: decodeState(text) } : openRecord(this.#settings, key, current)
  }

  /** @param state is changed */
  #apply (state: SessionState): OpenedRecord {
    replay(state, this.#set.mutations)
    return { state, text: encodeState(state) }
  }

  /** @returns when a session ends that is used now */
  #expiryFrom (createdAt: Date, state: Readonly<SessionState>, now = Date.now()): Date {
    return new Date(expiryFrom(now, createdAt.getTime(), lifetimeOf(this.#settings, state)))
  }

  #expiryDue ({ createdAt, expiresAt }: StoredRecord, state: Readonly<SessionState>): Date | undefined {
    if (this.#set.isTouched) return this.#expiryFrom(createdAt, state)
    return this.#changes.extendsExpiry ? dueExpiry(Date.now(), createdAt, expiresAt, lifetimeOf(this.#settings, state)) : undefined
  }

  #toRecord (key: StoreKey, written: OpenedRecord, createdAt: Date, expiresAt: Date, before?: StoredRecord): NewRecord {
    return toRecord(this.#changes, this.#settings, key, written, createdAt, expiresAt, before)
  }

  #stored (key: StoreKey, record: NewRecord, version: Version, { text }: OpenedRecord): StoredSession {
    return { kind: 'stored', id: this.#set.id, key, record: { ...record, version }, text }
  }

  async #readLiving (key: StoreKey): Promise<StoredRecord | undefined> {
    const found = await this.#settings.store.read(key)
    return isRecord(found) ? found : undefined
  }

  /**
   * The version of what was to be written under a key that no other request knows yet. What is found there is what an earlier
   * attempt of this same commit left: it seemed to fail, or it failed later on.
   */
  #versionOfNew (key: StoreKey, record: NewRecord, answer: Version | 'conflict' | 'gone'): MaybePromise<Version> {
    return answer === 'conflict' ? this.#writeOver(key, record) : assertVersion(answer)
  }

  async #writeOver (key: StoreKey, record: NewRecord): Promise<Version> {
    const left = await this.#readLiving(key)
    return assertVersion(left === undefined ? 'conflict' : await this.#settings.store.compareAndSet(key, record, left.version))
  }
}

/**
 * The record to write. Of a session that has a user it says who that is, and where and when it was last used.
 *
 * @param before the record that it replaces: where there is no request, the session was used from where it says
 */
export function toRecord (
  client: { readonly clientInfo?: ClientInfo | undefined }, { format, maxBytes }: SessionSettings, key: StoreKey,
  { state: { userId }, text }: OpenedRecord, createdAt: Date, expiresAt: Date, before?: StoredRecord
): NewRecord {
  const payload = format.seal(text, key)
  const bytes = Buffer.byteLength(payload)
  if (bytes > maxBytes) throw new SessionTooLargeError(bytes, maxBytes)
  const record = { payload, createdAt, expiresAt }
  if (userId === undefined) return record
  const { ipAddress, userAgent } = client.clientInfo ?? before ?? {}
  return { ...record, userId, ipAddress, userAgent, lastActivity: new Date(Date.now()) }
}

/** A key made of 256 fresh random bits is no other session's: any other answer is a fault of the store. */
function assertVersion (answer: Version | 'conflict' | 'gone'): Version {
  if (typeof answer === 'number') return answer
  throw new SessionStoreError(`the session store answered '${answer}' to the creation of a session under a new key`)
}

function assertProgress (conflicts: number): void {
  if (conflicts < MAX_CONFLICTS) return
  throw new SessionStoreError(`the session store answered 'conflict' ${MAX_CONFLICTS} times in a row`)
}
