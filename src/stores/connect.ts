/**
 * Any store made for express-session as a SessionStore. Such a store has no conditional write, so compare-and-set is made
 * here: one operation at a time for each session, within this process. Other processes are not excluded.
 */
import { reasonOf, storeError } from './faults.ts'
import { refusalToSet, touched, versionAfter } from './record.ts'
import { type EndReason, isRecord, type NewRecord, type SessionStore, type StoredRecord, type StoreKey, type Tombstone, type Version } from './store.ts'
import { Turns } from './turns.ts'
import { type TimeLimit, within } from './within.ts'

/** What a store for express-session is asked for. All of them have it, and its `touch` is not needed. */
export interface ConnectStore {
  get (sid: string, callback: (error: unknown, session?: object | null) => void): unknown
  set (sid: string, session: ConnectSession, callback: (error?: unknown) => void): unknown
  destroy (sid: string, callback: (error?: unknown) => void): unknown
}

type Times = 'createdAt' | 'expiresAt' | 'lastActivity'

/** A record as JSON can hold it. Times are milliseconds since 1970. */
type PlainRecord = Omit<StoredRecord, Times> & { readonly createdAt: number, readonly expiresAt: number, readonly lastActivity?: number | undefined }

/** What is stored in the place of an express session. */
export interface ConnectSession {
  /** What such stores take a session's lifetime from: some look at the time, others at the milliseconds. */
  readonly cookie: { readonly expires: Date, readonly originalMaxAge: number, readonly maxAge: number }
  readonly ambient: PlainRecord | PlainTombstone
}

/** A tombstone as JSON can hold it. Times are milliseconds since 1970. */
interface PlainTombstone {
  readonly reason: EndReason
  readonly since: number
  /** Until when it stands. */
  readonly expiresAt: number
}

export interface ConnectStoreOptions {
  /** Milliseconds after which a store that has not answered counts as out of reach. Default: 2000. */
  readonly timeout?: number
}

/**
 * Milliseconds for which the store keeps a record beyond its end, since some stores count in whole seconds. Whether a record
 * has expired is decided here.
 */
const MARGIN = 1000

/** How many times the timeout a turn may take. A callback that never comes would make all others of its session wait for ever. */
const LONGEST_TURN = 10
/** More milliseconds than a timer can count make it fire at once. */
const LONGEST_TIMER = 2 ** 31 - 1

/**
 * Makes a SessionStore of a store for express-session: connect-redis, connect-mongo, connect-pg-simple, session-file-store …
 *
 * Within one process it keeps every promise of a session. Across processes it does not: there concurrent requests overwrite
 * each other.
 *
 * @example
 * ```ts
 * await app.register(ambientSession, { driver: fromConnectStore(new RedisStore({ client })) })
 * ```
 */
export function fromConnectStore (store: ConnectStore, { timeout = 2000 }: ConnectStoreOptions = {}): SessionStore {
  return new AdaptedStore(store, timeout)
}

class AdaptedStore implements SessionStore {
  readonly #store: ConnectStore
  readonly #timeout: number
  readonly #turns = new Turns<StoreKey>()

  constructor (store: ConnectStore, timeout: number) {
    this.#store = store
    this.#timeout = timeout
  }

  read (key: StoreKey): Promise<StoredRecord | Tombstone | undefined> {
    return within(this.#timeout, () => this.#find(key))
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version | 'conflict' | 'gone'> {
    return this.#change(key, async current => {
      const refusal = refusalToSet(current, expected)
      if (refusal !== undefined) return refusal
      const version = versionAfter(expected)
      await this.#set(key, plainOf({ ...record, version }))
      return version
    })
  }

  // Not with the store's own touch: some only move the time at which they forget, and that cannot be read again.
  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): Promise<boolean> {
    return this.#change(key, async current => {
      if (!isRecord(current)) return false
      await this.#set(key, plainOf(touched(current, expiresAt, lastActivity)))
      return true
    })
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version, reason: EndReason = 'ended'): Promise<'destroyed' | 'conflict' | 'gone'> {
    return this.#change(key, async current => {
      if (!isRecord(current)) return 'gone'
      if (expected !== undefined && current.version !== expected) return 'conflict'
      if (tombstoneUntil === undefined) await destroySession(this.#store, key)
      else await this.#set(key, { reason, since: Date.now(), expiresAt: tombstoneUntil.getTime() })
      return 'destroyed'
    })
  }

  /**
   * Changes a session while no other request of this process does. A call that has timed out changes nothing any more, but
   * others wait as long as the store may still be writing for it. What it has not written in ten times the timeout counts as lost.
   */
  #change<T> (key: StoreKey, act: (current: StoredRecord | Tombstone | undefined) => Promise<T>): Promise<T> {
    const change = async (limit: TimeLimit): Promise<T> => {
      assertInTime(limit)
      const current = await this.#find(key)
      assertInTime(limit)
      return await act(current)
    }
    return within(this.#timeout, limit => this.#turns.take(key, () => atMost(LONGEST_TURN * this.#timeout, change(limit))))
  }

  async #find (key: StoreKey): Promise<StoredRecord | Tombstone | undefined> {
    const found = await findSession(this.#store, key)
    // What is there may be another package's.
    const { ambient } = (found ?? {}) as { ambient?: Partial<PlainRecord & PlainTombstone> | null }
    if (ambient?.expiresAt === undefined || ambient.expiresAt <= Date.now()) return undefined
    if (ambient.version !== undefined) return recordOf(ambient as PlainRecord)
    return ambient.reason === undefined ? undefined : { reason: ambient.reason, since: new Date(ambient.since ?? NaN) }
  }

  async #set (key: StoreKey, ambient: PlainRecord | PlainTombstone): Promise<void> {
    const maxAge = Math.max(ambient.expiresAt - Date.now(), 0) + MARGIN
    const cookie = { expires: new Date(Date.now() + maxAge), originalMaxAge: maxAge, maxAge }
    await answered('written', callback => this.#store.set(key, { cookie, ambient }, callback))
  }
}

/** @throws SessionStoreError when the store says that it has failed */
export async function findSession (store: Pick<ConnectStore, 'get'>, sid: string): Promise<object | null | undefined> {
  return await answered<object | null>('read', callback => store.get(sid, (error, session) => {
    // So says session-file-store that there is no such session, and express-session understands it.
    if ((error as { code?: unknown } | undefined)?.code === 'ENOENT') callback()
    else callback(error, session)
  }))
}

/** @throws SessionStoreError when the store says that it has failed */
export async function destroySession (store: Pick<ConnectStore, 'destroy'>, sid: string): Promise<void> {
  await answered('written', callback => store.destroy(sid, callback))
}

/** Its error reaches no caller: the call has failed already. */
function assertInTime (limit: TimeLimit): void {
  if (limit.isUp) throw new Error('time was up')
}

/** Gives up waiting after so many milliseconds. Its error reaches no caller: the call has failed long before. */
function atMost<T> (milliseconds: number, result: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => { reject(new Error('the store has never answered')) }
    const timer = setTimeout(giveUp, Math.min(milliseconds, LONGEST_TIMER)).unref()
    result.finally(() => { clearTimeout(timer) }).then(resolve, reject)
  })
}

/** @throws SessionStoreError when the store says that it has failed */
function answered<T> (done: string, ask: (callback: (error?: unknown, answer?: T) => void) => unknown): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      const reason = error instanceof Error ? reasonOf(error) : 'it gave no error that says more'
      reject(storeError('failed', `the session could not be ${done}: its express-session store failed (${reason})`, error))
    }
    try {
      const promise = ask((error, answer) => {
        if (error) fail(error)
        else resolve(answer)
      })
      // Some stores give a promise as well, which may fail by itself.
      Promise.resolve(promise).catch(fail)
    } catch (error) {
      fail(error)
    }
  })
}

function plainOf ({ createdAt, expiresAt, lastActivity, ...rest }: StoredRecord): PlainRecord {
  return {
    ...rest,
    createdAt: createdAt.getTime(),
    expiresAt: expiresAt.getTime(),
    ...lastActivity !== undefined && { lastActivity: lastActivity.getTime() }
  }
}

function recordOf ({ createdAt, expiresAt, lastActivity, ...rest }: PlainRecord): StoredRecord {
  return {
    ...rest,
    createdAt: new Date(createdAt),
    expiresAt: new Date(expiresAt),
    ...lastActivity !== undefined && { lastActivity: new Date(lastActivity) }
  }
}
