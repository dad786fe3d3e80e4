import { factsOf } from './facts.ts'
import { inOrder } from './in-order.ts'
import { KeyedLock } from './keyed-lock.ts'
import type { ListedRecord, ListFilter, LockOptions, NewRecord, Page, RecordPage, SessionStore, StoredRecord, StoreKey, Unlock, Version } from './store.ts'

interface Tombstone {
  readonly expiresAt: Date
  readonly version?: undefined
  readonly userId?: undefined
}

/** Keeps sessions in this process: for tests, and where losing them all at a restart is no loss. */
export class MemoryStore implements SessionStore {
  readonly readsSynchronously = true
  readonly #records = new Map<StoreKey, StoredRecord | Tombstone>()
  /** The keys of each user's records: of all that are in the map above, whether they have expired or not. */
  #users: Map<string, Set<StoreKey>> | undefined
  readonly #locks = new KeyedLock()

  read (key: StoreKey): StoredRecord | 'gone' | undefined {
    const record = this.#records.get(key)
    if (record === undefined || record.expiresAt.getTime() <= Date.now()) return undefined
    return record.version === undefined ? 'gone' : record
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Version | 'conflict' | 'gone' {
    const current = this.read(key)
    if (current === 'gone' || (current === undefined && expected !== undefined)) return 'gone'
    if (current?.version !== expected) return 'conflict'
    const version = ((expected ?? 0) + 1) as Version
    const { payload, createdAt, expiresAt } = record
    const facts = factsOf(record)
    this.#set(key, facts === undefined ? { payload, createdAt, expiresAt, version } : { payload, createdAt, expiresAt, version, ...facts })
    return version
  }

  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): boolean {
    const current = this.read(key)
    if (current === undefined || current === 'gone') return false
    this.#records.set(key, lastActivity === undefined ? { ...current, expiresAt } : { ...current, expiresAt, lastActivity })
    return true
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): 'destroyed' | 'conflict' | 'gone' {
    const current = this.read(key)
    if (current === undefined || current === 'gone') return 'gone'
    if (expected !== undefined && current.version !== expected) return 'conflict'
    if (tombstoneUntil === undefined) this.#delete(key)
    else this.#set(key, { expiresAt: tombstoneUntil })
    return 'destroyed'
  }

  sweep (now: Date, limit: number): number {
    let removed = 0
    for (const [key, { expiresAt }] of this.#records) {
      if (removed === limit) break
      if (expiresAt > now) continue
      this.#delete(key)
      removed++
    }
    return removed
  }

  list ({ userId }: ListFilter, { limit, after = '' }: Page): RecordPage {
    const keys = userId === undefined ? this.#records.keys() : this.#users?.get(userId) ?? []
    const records: ListedRecord[] = []
    for (const key of inOrder([...keys].filter(key => key > after))) {
      const record = this.read(key)
      if (record === undefined || record === 'gone') continue
      // One more than was asked for says that there is a next page.
      if (records.length === limit) return { records, next: records.at(-1)?.key }
      const { payload: _payload, ...rest } = record
      records.push({ key, ...rest })
    }
    return { records, next: undefined }
  }

  lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    return this.#locks.acquire(key, options)
  }

  close (): void {
    this.#records.clear()
    this.#users = undefined
  }

  #set (key: StoreKey, record: StoredRecord | Tombstone): void {
    this.#move(key, this.#records.get(key)?.userId, record.userId)
    this.#records.set(key, record)
  }

  #delete (key: StoreKey): void {
    this.#move(key, this.#records.get(key)?.userId, undefined)
    this.#records.delete(key)
  }

  /** Keeps the index right when a record goes from one user to another. */
  #move (key: StoreKey, before: string | undefined, now: string | undefined): void {
    if (before === now) return
    const users = this.#users ??= new Map<string, Set<StoreKey>>()
    if (before !== undefined) {
      const keys = users.get(before)
      keys?.delete(key)
      if (keys?.size === 0) users.delete(before)
    }
    if (now === undefined) return
    const keys = users.get(now)
    if (keys === undefined) users.set(now, new Set([key]))
    else keys.add(key)
  }
}
