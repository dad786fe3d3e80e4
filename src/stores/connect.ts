/**
 * Any store made for express-session as a SessionStore. Such a store can get, set and destroy, and nothing of that under a
 * condition, so compare-and-set is made here: one thing at a time for each session, within this process. Another process
 * is not seen.
 */
import { SessionStoreError } from '../errors.ts'
import type { PlainRecord } from './plain-record.ts'
import { plainOf, recordOf } from './plain-record.ts'
import type { NewRecord, SessionStore, StoredRecord, StoreKey, Version } from './store.ts'
import { Turns } from './turns.ts'

/** What a store for express-session is asked for. All of them have it, and its `touch` is not needed. */
export interface ConnectStore {
  get (sid: string, callback: (error: unknown, session?: object | null) => void): unknown
  set (sid: string, session: ConnectSession, callback: (error?: unknown) => void): unknown
  destroy (sid: string, callback: (error?: unknown) => void): unknown
}

/** What is stored in the place of an express session. */
export interface ConnectSession {
  /** What such stores take a session's lifetime from: some look at the time, others at the milliseconds. */
  readonly cookie: { readonly expires: Date, readonly originalMaxAge: number, readonly maxAge: number }
  /** A record, or the time until which a tombstone stands. */
  readonly ambient: PlainRecord | { readonly expiresAt: number }
}

export interface ConnectStoreOptions {
  /** Milliseconds after which a store that has not answered counts as out of reach. Default: 2000. */
  readonly timeout?: number
}

/**
 * Milliseconds for which the store keeps a record beyond its end. Some of them count in whole seconds, and none is to
 * forget a session before its time; that it has ended is looked at here.
 */
const MARGIN = 1000

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

  read (key: StoreKey): Promise<StoredRecord | 'gone' | undefined> {
    return this.#within(() => this.#find(key))
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version | 'conflict' | 'gone'> {
    return this.#change(key, async (current, change) => {
      if (current === 'gone' || (current === undefined && expected !== undefined)) return 'gone'
      if (current?.version !== expected) return 'conflict'
      const version = ((expected ?? 0) + 1) as Version
      await change(() => this.#set(key, record.expiresAt, { ...record, version }))
      return version
    })
  }

  // Not with the store's own touch: some only move the time at which they forget, and that cannot be read again.
  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): Promise<boolean> {
    return this.#change(key, async (current, change) => {
      if (current === undefined || current === 'gone') return false
      await change(() => this.#set(key, expiresAt, { ...current, expiresAt, ...lastActivity !== undefined && { lastActivity } }))
      return true
    })
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): Promise<'destroyed' | 'conflict' | 'gone'> {
    return this.#change(key, async (current, change) => {
      if (current === undefined || current === 'gone') return 'gone'
      if (expected !== undefined && current.version !== expected) return 'conflict'
      await change(() => tombstoneUntil === undefined ? this.#remove(key) : this.#set(key, tombstoneUntil))
      return 'destroyed'
    })
  }

  /**
   * Does something with what is stored while nobody else of this process changes it. Whoever was told that it takes too long
   * changes nothing any more; but as long as the store may still be at it, nobody else gets the turn.
   */
  #change<T> (key: StoreKey, act: (current: StoredRecord | 'gone' | undefined, change: (write: () => Promise<void>) => Promise<void>) => Promise<T>): Promise<T> {
    return this.#within(assertInTime => this.#turns.take(key, async () => {
      assertInTime()
      return await act(await this.#find(key), write => {
        assertInTime()
        return write()
      })
    }))
  }

  async #within<T> (work: (assertInTime: () => void) => Promise<T>): Promise<T> {
    const late = new AbortController()
    const { signal } = late
    const tooLong = new Promise<never>((_resolve, reject) => { signal.onabort = () => { reject(signal.reason as Error) } })
    const timer = setTimeout(() => { late.abort(new SessionStoreError(`the store has not answered within ${this.#timeout} ms`)) }, this.#timeout)
    try {
      return await Promise.race([work(() => { signal.throwIfAborted() }), tooLong])
    } finally {
      clearTimeout(timer)
    }
  }

  async #find (key: StoreKey): Promise<StoredRecord | 'gone' | undefined> {
    const found = await answered<object | null>('read', callback => this.#store.get(key, (error, session) => {
      // So says session-file-store that there is no such session, and express-session understands it.
      if ((error as { code?: unknown } | undefined)?.code === 'ENOENT') callback()
      else callback(error, session)
    }))
    // What is there may have been put there by somebody else.
    const { ambient } = (found ?? {}) as { ambient?: Partial<PlainRecord> | null }
    if (ambient?.expiresAt === undefined || ambient.expiresAt <= Date.now()) return undefined
    return ambient.version === undefined ? 'gone' : recordOf(ambient as PlainRecord)
  }

  async #set (key: StoreKey, expiresAt: Date, record?: StoredRecord): Promise<void> {
    const maxAge = Math.max(expiresAt.getTime() - Date.now(), 0) + MARGIN
    const session: ConnectSession = {
      cookie: { expires: new Date(Date.now() + maxAge), originalMaxAge: maxAge, maxAge },
      ambient: record === undefined ? { expiresAt: expiresAt.getTime() } : plainOf(record)
    }
    await answered('written', callback => this.#store.set(key, session, callback))
  }

  async #remove (key: StoreKey): Promise<void> {
    await answered('written', callback => this.#store.destroy(key, callback))
  }
}

/** @throws SessionStoreError when the store says that it has failed */
function answered<T> (done: string, ask: (callback: (error?: unknown, answer?: T) => void) => unknown): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      reject(new SessionStoreError(`the session could not be ${done}: its express-session store failed`, { cause: withoutDetails(error) }))
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

/** An error as far as it may be told: some drivers add to theirs what they were to write. */
function withoutDetails (error: unknown): Error {
  if (!(error instanceof Error)) return new Error('the store gave no error that says more')
  const { name, message, stack, code } = error as NodeJS.ErrnoException
  return Object.assign(new Error(message), { name, stack }, code !== undefined && { code })
}
