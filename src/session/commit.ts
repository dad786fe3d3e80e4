/**
 * Writing what a request did to its session: compare-and-set, and on a conflict replay of the request's mutations on what
 * is stored by then. A session that is not there any more is never written again.
 */
import { SessionStoreError, SessionTooLargeError } from '../errors.ts'
import type { MaybePromise, NewRecord, StoredRecord, Version } from '../stores/store.ts'
import type { Lifetime } from './expiry.ts'
import { expiryFrom, isRenewalDue } from './expiry.ts'
import type { StoreKey } from './id.ts'
import { keyOf } from './id.ts'
import type { Keeper } from './keeper.ts'
import { openRecord } from './keeper.ts'
import type { Known } from './known.ts'
import { andThen } from './maybe-promise.ts'
import { replay, subjectOf } from './mutations.ts'
import { Opened, StoredOrigin } from './start.ts'
import type { SessionState } from './state.ts'
import { emptyState, encodeState } from './state.ts'
import { isPlainText } from './values.ts'
import type { Batch, Change, UnitOfWork } from './unit-of-work.ts'

/** A session in which nothing is, and which is not stored for that. */
const EMPTY = encodeState(emptyState())

/** What a commit means for the browser's cookie. */
export type Outcome =
  /** Nothing to tell: nothing was stored, or the cookie is still right. */
  | 'same'
  /** The cookie is to be sent: the session is new, has a new id or a later expiry. */
  | 'renewed'
  /** The session was ended and no other has begun: the cookie is to be cleared. */
  | 'ended'
  /** The session had been ended by somebody else; nothing was stored, and the cookie may already be another one. */
  | 'dropped'

/** Whoever has something committed. */
export interface Committer {
  /** Called when that has been done, or has failed: then without an outcome. */
  noteOver (outcome?: Outcome): void
}

/**
 * Writes all that is uncommitted. When it throws, nothing was stored and everything is still uncommitted.
 *
 * @returns undefined when it is over already
 * @throws SessionTooLargeError when the payload would exceed the limit
 * @throws SessionValueError when something was changed in place that cannot be stored
 * @throws whatever the store throws when it cannot be reached
 */
export function commit (work: UnitOfWork, keeper: Keeper, committer: Committer): Promise<void> | undefined {
  let batch: Batch | undefined
  let outcome: MaybePromise<Outcome>
  try {
    batch = work.take()
    outcome = write(work, batch, keeper)
  } catch (error) {
    return giveUp(error, work, batch, committer)
  }
  if (outcome instanceof Promise) return later(outcome, work, batch, committer)
  committer.noteOver(outcome)
  return undefined
}

/** Apart from the above, which then makes no functions: most commits need none. */
function later (outcome: Promise<Outcome>, work: UnitOfWork, batch: Batch, committer: Committer): Promise<void> {
  return outcome.then(outcome => { committer.noteOver(outcome) }, error => giveUp(error, work, batch, committer))
}

function giveUp (error: unknown, work: UnitOfWork, batch: Batch | undefined, committer: Committer): never {
  if (batch !== undefined) work.putBack(batch)
  committer.noteOver()
  throw error
}

function write (work: UnitOfWork, batch: Batch, keeper: Keeper): MaybePromise<Outcome> {
  const { origin } = work
  if (origin.kind === 'gone') return drop(work, batch, keeper)
  if (origin.kind === 'none') return begin(work, batch, keeper)
  switch (batch.departure) {
    case 'move':
      return move(work, origin, batch, keeper)
    case 'end':
      return end(work, origin, batch, keeper)
    case 'none':
      return batch.mutations.length === 0 ? renew(work, origin, batch, keeper) : update(work, origin, batch, keeper)
  }
}

/** Stores a session for the first time, unless nothing was put into it. */
function begin (work: UnitOfWork, batch: Batch, keeper: Keeper): MaybePromise<Outcome> {
  const change = batch.outcome ?? replayOn(undefined, emptyState(), batch)
  if (change.text === EMPTY) {
    work.settle({ kind: 'none' }, batch)
    return 'same'
  }
  const now = Date.now()
  const key = keyOf(batch.id)
  const record = sealed(work, keeper, key, change, new Date(now), new Date(expiryFrom(now, now, keeper.lifetime)))
  return andThen(writeNew(keeper, key, record, undefined), version => {
    settleStored(work, batch, keeper.known.meet(batch.id, key), change, record, version)
    return 'renewed'
  })
}

/** Whether it is time to move a session's expiry. */
export function isRenewable ({ known, record }: StoredOrigin, { lifetime }: Keeper): boolean {
  const now = Date.now()
  return !known.isQuiet(record, lifetime, now) && isRenewalDue(now, record.createdAt.getTime(), record.expiresAt.getTime(), lifetime)
}

/** Moves the expiry of a session that was only read, when it is time to. */
async function renew (work: UnitOfWork, origin: StoredOrigin, batch: Batch, keeper: Keeper): Promise<Outcome> {
  const { record, known, key } = origin
  if (work.readonly || !isRenewable(origin, keeper)) return 'same'
  const expiresAt = new Date(expiryFrom(Date.now(), record.createdAt.getTime(), keeper.lifetime))
  const lastActivity = work.state.userId === undefined ? undefined : new Date(Date.now())
  if (!await keeper.store.touch(key, expiresAt, lastActivity)) return drop(work, batch, keeper)
  work.settle(new StoredOrigin(known, { ...record, expiresAt, ...lastActivity !== undefined && { lastActivity } }), batch)
  return 'renewed'
}

/**
 * Writes changes to a session, on top of whatever others have committed to it since it was read.
 *
 * @param current what is stored now, as far as is known
 */
function update (work: UnitOfWork, origin: StoredOrigin, batch: Batch, keeper: Keeper, current = origin.record): MaybePromise<Outcome> {
  const { key, known } = origin
  const change = changeOf(keeper, key, current, current === origin.record, batch)
  if (change === undefined) return drop(work, batch, keeper)
  const expiresAt = expiryAfter(known, current, keeper.lifetime)
  const isRenewed = expiresAt !== current.expiresAt && expiresAt > current.expiresAt
  if (change.isSame && !isRenewed) return 'same'
  const next = sealed(work, keeper, key, change, current.createdAt, expiresAt, current)
  return andThen(keeper.store.compareAndSet(key, next, current.version, known.place), answer => {
    if (answer === 'gone') return drop(work, batch, keeper)
    if (answer === 'conflict') return updateAgain(work, origin, batch, keeper)
    settleStored(work, batch, known, change, next, answer)
    return isRenewed ? 'renewed' : 'same'
  })
}

/** @returns the expiry of a session that is written: the one it has, unless it is time to move it or it has become too late */
function expiryAfter (known: Known, record: StoredRecord, lifetime: Lifetime): Date {
  const now = Date.now()
  if (known.isQuiet(record, lifetime, now)) return record.expiresAt
  const createdAt = record.createdAt.getTime()
  const expiresAt = record.expiresAt.getTime()
  const latest = expiryFrom(now, createdAt, lifetime)
  return latest < expiresAt || isRenewalDue(now, createdAt, expiresAt, lifetime) ? new Date(latest) : record.expiresAt
}

/**
 * Replays on what somebody else has stored meanwhile. Nobody gets in between where the store answers synchronously, so that
 * of many that meet each has to replay once and not as often as there are others.
 */
function updateAgain (work: UnitOfWork, origin: StoredOrigin, batch: Batch, keeper: Keeper): MaybePromise<Outcome> {
  return andThen(keeper.store.read(origin.key, origin.known.place), current => {
    return current === undefined || current === 'gone' ? drop(work, batch, keeper) : update(work, origin, batch, keeper, current)
  })
}

/**
 * Gives a session a new id. The new record is complete before the old key becomes a tombstone, and the old key only
 * becomes one in the version that was copied: neither a crash nor a concurrent commit in between loses anything.
 */
async function move (work: UnitOfWork, { key: oldKey, record }: StoredOrigin, batch: Batch, keeper: Keeper): Promise<Outcome> {
  const key = keyOf(batch.id)
  let current: StoredRecord | undefined = record
  let version: Version | undefined
  while (current !== undefined) {
    const change = changeOf(keeper, oldKey, current, current === record, batch)
    if (change === undefined) break
    const { createdAt } = current
    const next = sealed(work, keeper, key, change, createdAt, new Date(expiryFrom(Date.now(), createdAt.getTime(), keeper.lifetime)), current)
    version = await writeNew(keeper, key, next, version)
    const destroyed = await keeper.store.destroy(oldKey, tombstone(keeper), current.version)
    if (destroyed === 'destroyed') {
      settleStored(work, batch, keeper.known.meet(batch.id, key), change, next, version)
      return 'renewed'
    }
    current = destroyed === 'conflict' ? await living(keeper, oldKey) : undefined
  }
  // Somebody else ended the session first: what has been copied of it must not outlive it.
  if (version !== undefined) await keeper.store.destroy(key)
  return drop(work, batch, keeper)
}

/** Ends a session; what was put after that begins another one. */
async function end (work: UnitOfWork, origin: StoredOrigin, batch: Batch, keeper: Keeper): Promise<Outcome> {
  if (await keeper.store.destroy(origin.key, tombstone(keeper)) === 'gone') return drop(work, batch, keeper)
  work.settle({ kind: 'none' }, batch)
  return await begin(work, batch, keeper) === 'renewed' ? 'renewed' : 'ended'
}

/**
 * What a batch makes of a record: what the request sees, as long as it is the record that the request found, and otherwise
 * the replay of its mutations.
 *
 * @returns undefined when the record cannot be read any more
 */
function changeOf (keeper: Keeper, key: StoreKey, record: StoredRecord, isFound: boolean, batch: Batch): Change | undefined {
  if (isFound && batch.outcome !== undefined) return batch.outcome
  const opened = openRecord(keeper, key, record)
  return opened && replayOn(opened.text, opened.state, batch)
}

/** @param state to be changed: of nobody else */
function replayOn (before: string | undefined, state: SessionState, { mutations }: Batch): Change {
  replay(state, mutations)
  const text = encodeState(state)
  return { text, isSame: text === before, opened: new Opened(text, state, isPlainText(text), true), userId: state.userId }
}

/** Notes what has been stored, and what it says, so that the next request need not decode it. */
function settleStored (work: UnitOfWork, batch: Batch, known: Known, { opened }: Change, record: NewRecord, version: Version): void {
  const { payload, createdAt, expiresAt } = record
  const stored = record.userId === undefined ? { payload, createdAt, expiresAt, version } : { ...record, version }
  work.settle(new StoredOrigin(known, stored), batch)
  if (opened !== undefined) known.remember(payload, opened)
}

/** A late request: its session was ended while it was under way, or just before. */
function drop (work: UnitOfWork, batch: Batch, { report }: Keeper): Outcome {
  const names = [...new Set(batch.mutations.filter(({ op }) => op !== 'age').map(subjectOf))]
  if (names.length > 0) {
    report({
      code: 'AMBIENT_SESSION_DROPPED',
      message: `a request's changes to its session were dropped, because the session had been ended meanwhile (signed out, regenerated or expired): ${names.join(', ')}`,
      key: work.key,
      keys: names
    })
  }
  work.settle({ kind: 'gone' }, batch)
  return 'dropped'
}

async function living ({ store }: Keeper, key: StoreKey): Promise<StoredRecord | undefined> {
  const found = await store.read(key)
  return found === 'gone' ? undefined : found
}

/**
 * The record to write. Of a session that has a user it says who that is, and where and when it was last used.
 *
 * @param before the record that it replaces: where there is no request, the session was used from where it says
 */
function sealed (
  { whereabouts }: UnitOfWork, { format, maxBytes }: Keeper, key: StoreKey, { text, userId }: Change, createdAt: Date, expiresAt: Date, before?: StoredRecord
): NewRecord {
  const payload = format.seal(text, key)
  // No character takes more than three bytes (a pair of surrogates four together): only what comes near is measured.
  if (payload.length * 3 > maxBytes && Buffer.byteLength(payload) > maxBytes) throw new SessionTooLargeError(Buffer.byteLength(payload), maxBytes)
  const record = { payload, createdAt, expiresAt }
  if (userId === undefined) return record
  const { ipAddress, userAgent } = whereabouts ?? before ?? {}
  return { ...record, userId, ipAddress, userAgent, lastActivity: new Date(Date.now()) }
}

function tombstone ({ grace }: Keeper): Date | undefined {
  return grace === 0 ? undefined : new Date(Date.now() + grace)
}

/**
 * Writes under a key that nobody else knows yet. What is found there is what an earlier attempt of this same commit left:
 * it seemed to fail, or it failed later on.
 */
function writeNew (keeper: Keeper, key: StoreKey, record: NewRecord, expected: Version | undefined): MaybePromise<Version> {
  return andThen(keeper.store.compareAndSet(key, record, expected), answer => {
    return answer === 'conflict' ? writeOver(keeper, key, record) : mustBeVersion(answer)
  })
}

async function writeOver (keeper: Keeper, key: StoreKey, record: NewRecord): Promise<Version> {
  const left = await living(keeper, key)
  return mustBeVersion(left === undefined ? 'conflict' : await keeper.store.compareAndSet(key, record, left.version))
}

/** A key made of 256 fresh random bits is nobody else's: any other answer is a fault of the store. */
function mustBeVersion (answer: Version | 'conflict' | 'gone'): Version {
  if (typeof answer === 'number') return answer
  throw new SessionStoreError(`the store answered '${answer}' to the creation of a session under a new key`)
}
