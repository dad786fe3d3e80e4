/**
 * Writing what a request did to its session: compare-and-set, and on a conflict replay of the request's mutations on what
 * is stored by then. A session that is not there any more is never written again.
 */
import { SessionStoreError, SessionTooLargeError } from '../errors.ts'
import type { NewRecord, StoredRecord, Version } from '../stores/store.ts'
import { expiryFrom, isRenewalDue } from './expiry.ts'
import type { StoreKey } from './id.ts'
import { keyOf } from './id.ts'
import type { Keeper } from './keeper.ts'
import { openRecord } from './keeper.ts'
import { replay, subjectOf } from './mutations.ts'
import { emptyState, encodeState, isEmpty } from './state.ts'
import type { Batch, StoredOrigin, UnitOfWork } from './unit-of-work.ts'

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

/**
 * Writes all that is uncommitted. When it throws, nothing was stored and everything is still uncommitted.
 *
 * @throws SessionTooLargeError when the payload would exceed the limit
 * @throws whatever the store throws when it cannot be reached
 */
export async function commit (work: UnitOfWork, keeper: Keeper): Promise<Outcome> {
  const batch = work.take()
  try {
    return await write(work, batch, keeper)
  } catch (error) {
    work.putBack(batch)
    throw error
  }
}

function write (work: UnitOfWork, batch: Batch, keeper: Keeper): Outcome | Promise<Outcome> {
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
async function begin (work: UnitOfWork, batch: Batch, keeper: Keeper): Promise<Outcome> {
  const state = emptyState()
  replay(state, batch.mutations)
  if (isEmpty(state)) {
    work.settle({ kind: 'none' }, batch)
    return 'same'
  }
  const now = Date.now()
  const key = keyOf(batch.id)
  const record = sealed(keeper, key, encodeState(state), now, expiryFrom(now, now, keeper.lifetime))
  const version = await writeNew(keeper, key, record, undefined)
  work.settle({ kind: 'stored', id: batch.id, key, record: { ...record, version } }, batch)
  return 'renewed'
}

/** Whether it is time to move a record's expiry. */
export function isRenewable ({ createdAt, expiresAt }: StoredRecord, { lifetime }: Keeper): boolean {
  return isRenewalDue(Date.now(), createdAt.getTime(), expiresAt.getTime(), lifetime)
}

/** Moves the expiry of a session that was only read, when it is time to. */
async function renew (work: UnitOfWork, origin: StoredOrigin, batch: Batch, keeper: Keeper): Promise<Outcome> {
  const { record, key } = origin
  if (work.readonly || !isRenewable(record, keeper)) return 'same'
  const expiresAt = new Date(expiryFrom(Date.now(), record.createdAt.getTime(), keeper.lifetime))
  if (!await keeper.store.touch(key, expiresAt)) return drop(work, batch, keeper)
  work.settle({ ...origin, record: { ...record, expiresAt } }, batch)
  return 'renewed'
}

/** Writes changes to a session, on top of whatever others have committed to it since it was read. */
async function update (work: UnitOfWork, { id, key, record }: StoredOrigin, batch: Batch, keeper: Keeper): Promise<Outcome> {
  let current: StoredRecord | undefined = record
  while (current !== undefined) {
    const opened = openRecord(keeper, key, current)
    if (opened === undefined) break
    replay(opened.state, batch.mutations)
    const text = encodeState(opened.state)
    const now = Date.now()
    const createdAt = current.createdAt.getTime()
    const expiresAt = current.expiresAt.getTime()
    const isDue = isRenewalDue(now, createdAt, expiresAt, keeper.lifetime)
    if (text === opened.text && !isDue) return 'same'
    const latest = expiryFrom(now, createdAt, keeper.lifetime)
    const next = sealed(keeper, key, text, createdAt, isDue ? latest : Math.min(expiresAt, latest))
    const version = await keeper.store.compareAndSet(key, next, current.version)
    if (version === 'gone') break
    if (version !== 'conflict') {
      work.settle({ kind: 'stored', id, key, record: { ...next, version } }, batch)
      return isDue ? 'renewed' : 'same'
    }
    current = await living(keeper, key)
  }
  return drop(work, batch, keeper)
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
    const opened = openRecord(keeper, oldKey, current)
    if (opened === undefined) break
    replay(opened.state, batch.mutations)
    const createdAt = current.createdAt.getTime()
    const next = sealed(keeper, key, encodeState(opened.state), createdAt, expiryFrom(Date.now(), createdAt, keeper.lifetime))
    version = await writeNew(keeper, key, next, version)
    const destroyed = await keeper.store.destroy(oldKey, tombstone(keeper), current.version)
    if (destroyed === 'destroyed') {
      work.settle({ kind: 'stored', id: batch.id, key, record: { ...next, version } }, batch)
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

function sealed ({ format, maxBytes }: Keeper, key: StoreKey, text: string, createdAt: number, expiresAt: number): NewRecord {
  const payload = format.seal(text, key)
  const bytes = Buffer.byteLength(payload)
  if (bytes > maxBytes) throw new SessionTooLargeError(bytes, maxBytes)
  return { payload, createdAt: new Date(createdAt), expiresAt: new Date(expiresAt) }
}

function tombstone ({ grace }: Keeper): Date | undefined {
  return grace === 0 ? undefined : new Date(Date.now() + grace)
}

/**
 * Writes under a key that nobody else knows yet. What is found there is what an earlier attempt of this same commit left:
 * it seemed to fail, or it failed later on.
 */
async function writeNew (keeper: Keeper, key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version> {
  const answer = await keeper.store.compareAndSet(key, record, expected)
  const left = answer === 'conflict' ? await living(keeper, key) : undefined
  return mustBeVersion(left === undefined ? answer : await keeper.store.compareAndSet(key, record, left.version))
}

/** A key made of 256 fresh random bits is nobody else's: any other answer is a fault of the store. */
function mustBeVersion (answer: Version | 'conflict' | 'gone'): Version {
  if (typeof answer === 'number') return answer
  throw new SessionStoreError(`the store answered '${answer}' to the creation of a session under a new key`)
}
