import { inOrder } from './in-order.ts'
import { KeyedLock } from './keyed-lock.ts'
import { listedAs, refusalToSet, touched, unexpired, versionAfter } from './record.ts'
import {
  type EndReason, isRecord, type ListedRecord, type ListFilter, type LockOptions, type NewRecord, type Page, type RecordPage, type SessionStore,
  type StoredRecord, type StoreKey, type Tombstone, type Unlock, type Version
} from './store.ts'

interface KeptTombstone extends Tombstone {
  readonly expiresAt: Date
  readonly userId?: undefined
}

type Entry = StoredRecord | KeptTombstone

/** Keeps sessions in this process: for tests, and for sessions that may be lost at a restart. */
export class MemoryStore implements SessionStore {
  readonly readsSynchronously = true
  readonly #entries = new Map<StoreKey, Entry>()
  /** The keys of each user's records: of all that are in the map above, whether they have expired or not. */
  readonly #users = new Map<string, Set<StoreKey>>()
  readonly #locks = new KeyedLock()

  read (key: StoreKey): StoredRecord | Tombstone | undefined {
    return unexpired(this.#entries.get(key))
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Version | 'conflict' | 'gone' {
    const refusal = refusalToSet(this.read(key), expected)
    if (refusal !== undefined) return refusal
    const version = versionAfter(expected)
    this.#set(key, { ...record, version })
    return version
  }

  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): boolean {
    const current = this.read(key)
    if (!isRecord(current)) return false
    this.#set(key, touched(current, expiresAt, lastActivity))
    return true
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version, reason: EndReason = 'ended'): 'destroyed' | 'conflict' | 'gone' {
    const current = this.read(key)
    if (!isRecord(current)) return 'gone'
    if (expected !== undefined && current.version !== expected) return 'conflict'
    if (tombstoneUntil === undefined) this.#delete(key)
    else this.#set(key, { reason, since: new Date(Date.now()), expiresAt: tombstoneUntil })
    return 'destroyed'
  }

  sweep (now: Date, limit: number): number {
    let removed = 0
    for (const [key, { expiresAt }] of this.#entries) {
      if (removed === limit) break
      if (expiresAt > now) continue
      this.#delete(key)
      removed++
    }
    return removed
  }

  list ({ userId }: ListFilter, { limit, after = '' }: Page): RecordPage {
    const records: ListedRecord[] = []
    for (const key of inOrder(this.#keys(userId), after)) {
      const record = this.read(key)
      if (!isRecord(record)) continue
      // One more than the limit: there is a next page.
      if (records.length === limit) return { records, next: records.at(-1)?.key }
      records.push(listedAs(key, record))
    }
    return { records, next: undefined }
  }

  count ({ userId }: ListFilter): number {
    let count = 0
    for (const key of this.#keys(userId)) if (isRecord(this.read(key))) count++
    return count
  }

  lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    return this.#locks.acquire(key, options)
  }

  close (): void {
    this.#entries.clear()
    this.#users.clear()
  }

  /** @returns the keys of a user's records, or of all entries */
  #keys (userId: string | undefined): Iterable<StoreKey> {
    return userId === undefined ? this.#entries.keys() : this.#users.get(userId) ?? []
  }

  #set (key: StoreKey, entry: Entry): void {
    this.#updateUsers(key, this.#entries.get(key)?.userId, entry.userId)
    this.#entries.set(key, entry)
  }

  #delete (key: StoreKey): void {
    this.#updateUsers(key, this.#entries.get(key)?.userId, undefined)
    this.#entries.delete(key)
  }

  /** Keeps the index right when a record goes from one user to another. */
  #updateUsers (key: StoreKey, before: string | undefined, now: string | undefined): void {
    if (before === now) return
    if (before !== undefined) {
      const keys = this.#users.get(before)
      keys?.delete(key)
      if (keys?.size === 0) this.#users.delete(before)
    }
    if (now === undefined) return
    const keys = this.#users.get(now)
    if (keys === undefined) this.#users.set(now, new Set([key]))
    else keys.add(key)
  }
}
