/** What the cases of the suite are written with: keys, records, and the loops that commits are made of. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { isRecord, type MaybePromise, type NewRecord, type SessionStore, type StoredRecord, type StoreKey, type Version } from '../stores/store.ts'

export const MINUTE = 60_000
/** Milliseconds after which a wait for something that has to come is given up. */
export const PATIENCE = 5_000
/** Milliseconds between two looks at something that has to come. */
const PAUSE = 5
/** Conflicts after which a loop of compare-and-set is not getting anywhere: many times as many as it can have rivals. */
const MOST_CONFLICTS = 1_000

/** How often two things are tried at the same time. */
export const ROUNDS = 20

export interface Created {
  readonly key: StoreKey
  readonly version: Version
}

export function newKey (): StoreKey {
  return randomBytes(32).toString('hex') as StoreKey
}

export function newUserId (): string {
  return `user-${randomBytes(8).toString('hex')}`
}

/** @param milliseconds from now; negative for the past */
export function inFuture (milliseconds = MINUTE): Date {
  return new Date(Date.now() + milliseconds)
}

/** @param expiresIn milliseconds from now; negative for a record that has expired */
export function recordOf (payload: string, expiresIn = MINUTE): NewRecord {
  return { payload, createdAt: inFuture(-MINUTE), expiresAt: inFuture(expiresIn) }
}

/** Writes a record under a new key. */
export async function create (store: SessionStore, payload = 'payload', expiresIn = MINUTE): Promise<Created> {
  return await createRecord(store, recordOf(payload, expiresIn))
}

export async function createRecord (store: SessionStore, record: NewRecord): Promise<Created> {
  const key = newKey()
  return { key, version: versionIn(await store.compareAndSet(key, record, undefined)) }
}

/** @returns the version that a write answered with, which has to be one */
export function versionIn (answer: Version | 'conflict' | 'gone'): Version {
  assert.ok(Number.isSafeInteger(answer), `a write that should succeed answered ${JSON.stringify(answer)}, which is no version`)
  return answer as Version
}

export async function readLiving (store: SessionStore, key: StoreKey): Promise<StoredRecord> {
  const record = await store.read(key)
  if (isRecord(record)) return record
  throw new assert.AssertionError({ message: 'there is no living record', actual: record })
}

/** Asserts that a tombstone stands under the key. A store may say no more than that. */
export async function assertGone (store: SessionStore, key: StoreKey): Promise<void> {
  const found = await store.read(key)
  assert.ok(found === 'gone' || (found !== undefined && !isRecord(found)), `there is no tombstone, but ${found === undefined ? 'nothing' : 'a living record'}`)
}

/** What every store keeps of a record. */
export function essence ({ payload, createdAt, expiresAt, version }: StoredRecord): Pick<StoredRecord, 'payload' | 'createdAt' | 'expiresAt' | 'version'> {
  return { payload, createdAt, expiresAt, version }
}

/** Adds 1 to a number, as a commit would: compare-and-set until there is no conflict. */
export async function increment (store: SessionStore, key: StoreKey): Promise<void> {
  for (let conflicts = 0; conflicts < MOST_CONFLICTS; conflicts++) {
    const { payload, version, ...rest } = await readLiving(store, key)
    const answer = await store.compareAndSet(key, { ...rest, payload: String(Number(payload) + 1) }, version)
    if (answer === 'conflict') continue
    versionIn(answer)
    return
  }
  throw new assert.AssertionError({ message: `${MOST_CONFLICTS} writes in a row, each with the version just read, were conflicts` })
}

/** Waits for what has to become true, looking again and again. */
export async function until (isSo: () => MaybePromise<boolean>, otherwise: string): Promise<void> {
  const deadline = Date.now() + PATIENCE
  while (!await isSo()) {
    assert.ok(Date.now() < deadline, otherwise)
    await delay(PAUSE)
  }
}

/** @returns the outcomes of so many calls that are all under way at the same time */
export async function atOnce<T> (count: number, call: (n: number) => MaybePromise<T>): Promise<T[]> {
  return await Promise.all(Array.from({ length: count }, async (_, n) => await call(n)))
}

/** Calls both, so that both are under way at the same time, and the second one before the first in every other round. */
export async function inEitherOrder<A, B> (round: number, first: () => MaybePromise<A>, second: () => MaybePromise<B>): Promise<[A, B]> {
  if (round % 2 === 0) return await Promise.all([first(), second()])
  const [b, a] = await Promise.all([second(), first()])
  return [a, b]
}
