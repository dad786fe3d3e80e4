/** A store that does everything the contract asks for, as plainly as can be, for faults to be planted into. */
import {
  type LockOptions, type MaybePromise, type NewRecord, SessionLockTimeoutError, type SessionStore, type StoredRecord, type StoreKey, type Tombstone,
  type Unlock, type Version
} from '../../src/index.ts'
import type { ListFilter, Page, RecordPage } from '../../src/stores/store.ts'

export interface Entry {
  /** Undefined for a tombstone. */
  readonly record: StoredRecord | undefined
  readonly expiresAt: Date
}

/** What several stores can share, as several processes share a database. */
export interface Storage {
  readonly entries: Map<StoreKey, Entry>
  /** Who holds a lock, and until when. */
  readonly locks: Map<StoreKey, { readonly holder: symbol, readonly until: number }>
}

export function newStorage (): Storage {
  return { entries: new Map(), locks: new Map() }
}

/** Lets other operations go on. */
export async function pause (): Promise<void> {
  await new Promise(resolve => { setImmediate(resolve) })
}

export class ReferenceStore implements SessionStore {
  readonly storage: Storage

  constructor (storage = newStorage()) {
    this.storage = storage
  }

  read (key: StoreKey): MaybePromise<StoredRecord | Tombstone | 'gone' | undefined> {
    return this.look(key)
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): MaybePromise<Version | 'conflict' | 'gone'> {
    const current = this.look(key)
    if (current === 'gone' || (current === undefined && expected !== undefined)) return 'gone'
    if (current?.version !== expected) return 'conflict'
    return this.write(key, record, ((expected ?? 0) + 1) as Version)
  }

  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): MaybePromise<boolean> {
    const current = this.look(key)
    if (current === undefined || current === 'gone') return false
    this.write(key, { ...current, expiresAt, lastActivity: lastActivity ?? current.lastActivity }, current.version)
    return true
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): MaybePromise<'destroyed' | 'conflict' | 'gone'> {
    const current = this.look(key)
    if (current === undefined || current === 'gone') return 'gone'
    if (expected !== undefined && current.version !== expected) return 'conflict'
    this.end(key, tombstoneUntil)
    return 'destroyed'
  }

  sweep (now: Date, limit: number): MaybePromise<number> {
    const dead = [...this.storage.entries].filter(([, { expiresAt }]) => expiresAt <= now).slice(0, limit)
    for (const [key] of dead) this.storage.entries.delete(key)
    return dead.length
  }

  list ({ userId }: ListFilter, { limit, after = '' }: Page): MaybePromise<RecordPage> {
    const records = [...this.storage.entries.keys()].sort().filter(key => key > after).flatMap(key => {
      const found = this.look(key)
      if (typeof found !== 'object' || (userId !== undefined && found.userId !== userId)) return []
      const { payload, ...record } = found
      return [{ ...record, key }]
    })
    return { records: records.slice(0, limit), next: records.length > limit ? records[limit - 1]?.key : undefined }
  }

  count ({ userId }: ListFilter): MaybePromise<number> {
    const found = [...this.storage.entries.keys()].map(key => this.look(key))
    return found.filter(record => typeof record === 'object' && (userId === undefined || record.userId === userId)).length
  }

  async lock (key: StoreKey, { lease, wait }: LockOptions): Promise<Unlock> {
    const deadline = Date.now() + wait
    const holder = Symbol(key)
    while (this.isLocked(key)) {
      if (Date.now() >= deadline) throw new SessionLockTimeoutError(1)
      await new Promise(resolve => { setTimeout(resolve, 1) })
    }
    this.storage.locks.set(key, { holder, until: Date.now() + lease })
    return () => { if (this.storage.locks.get(key)?.holder === holder) this.storage.locks.delete(key) }
  }

  protected isLocked (key: StoreKey): boolean {
    return (this.storage.locks.get(key)?.until ?? 0) > Date.now()
  }

  protected look (key: StoreKey): StoredRecord | 'gone' | undefined {
    const entry = this.storage.entries.get(key)
    if (entry === undefined || entry.expiresAt.getTime() <= Date.now()) return undefined
    return entry.record ?? 'gone'
  }

  protected write (key: StoreKey, record: NewRecord, version: Version): Version {
    this.storage.entries.set(key, { record: { ...record, version }, expiresAt: record.expiresAt })
    return version
  }

  protected end (key: StoreKey, tombstoneUntil: Date | undefined): void {
    if (tombstoneUntil === undefined) this.storage.entries.delete(key)
    else this.storage.entries.set(key, { record: undefined, expiresAt: tombstoneUntil })
  }
}
