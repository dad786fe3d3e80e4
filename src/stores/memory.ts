import { KeyedLock } from './keyed-lock.ts'
import type { LockOptions, NewRecord, SessionStore, StoredRecord, StoreKey, Unlock, Version } from './store.ts'

interface Tombstone {
  readonly expiresAt: Date
  readonly version?: undefined
}

/** Keeps sessions in this process: for tests, and where losing them all at a restart is no loss. */
export class MemoryStore implements SessionStore {
  readonly readsSynchronously = true
  readonly #records = new Map<StoreKey, StoredRecord | Tombstone>()
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
    this.#records.set(key, { payload, createdAt, expiresAt, version })
    return version
  }

  touch (key: StoreKey, expiresAt: Date): boolean {
    const current = this.read(key)
    if (current === undefined || current === 'gone') return false
    this.#records.set(key, { ...current, expiresAt })
    return true
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): 'destroyed' | 'conflict' | 'gone' {
    const current = this.read(key)
    if (current === undefined || current === 'gone') return 'gone'
    if (expected !== undefined && current.version !== expected) return 'conflict'
    if (tombstoneUntil === undefined) this.#records.delete(key)
    else this.#records.set(key, { expiresAt: tombstoneUntil })
    return 'destroyed'
  }

  sweep (now: Date, limit: number): number {
    let removed = 0
    for (const [key, { expiresAt }] of this.#records) {
      if (removed === limit) break
      if (expiresAt > now) continue
      this.#records.delete(key)
      removed++
    }
    return removed
  }

  lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    return this.#locks.acquire(key, options)
  }

  close (): void {
    this.#records.clear()
  }
}
