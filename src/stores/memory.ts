import { inOrder } from './in-order.ts'
import { KeptRecord } from './kept-record.ts'
import { KeyedLock } from './keyed-lock.ts'
import type { ListedRecord, ListFilter, LockOptions, NewRecord, Page, RecordPage, SessionStore, StoreKey, Unlock, Version } from './store.ts'

interface Tombstone {
  readonly expiresAt: Date
  readonly userId?: undefined
}

/** Where the record of a key is, for as long as there is one: to find or replace it takes no look-up. */
class Place {
  readonly store: MemoryStore
  record: KeptRecord | Tombstone | undefined

  constructor (store: MemoryStore) {
    this.store = store
  }
}

/** Keeps sessions in this process: for tests, and where losing them all at a restart is no loss. */
export class MemoryStore implements SessionStore {
  readonly readsSynchronously = true
  readonly #places = new Map<StoreKey, Place>()
  /** The keys of each user's records: of all that are in the map above, whether they have expired or not. */
  #users: Map<string, Set<StoreKey>> | undefined
  readonly #locks = new KeyedLock()

  read (key: StoreKey, place?: object): KeptRecord | 'gone' | undefined {
    return answerOf(this.#placeOf(key, place))
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined, knownPlace?: object): Version | 'conflict' | 'gone' {
    const place = this.#placeOf(key, knownPlace)
    const current = answerOf(place)
    if (current === 'gone' || (current === undefined && expected !== undefined)) return 'gone'
    if (current?.version !== expected) return 'conflict'
    const version = ((expected ?? 0) + 1) as Version
    this.#set(key, place, new KeptRecord(record, version, current))
    return version
  }

  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): boolean {
    const place = this.#places.get(key)
    const current = answerOf(place)
    if (current === undefined || current === 'gone') return false
    this.#set(key, place, current.touched(expiresAt, lastActivity))
    return true
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): 'destroyed' | 'conflict' | 'gone' {
    const place = this.#places.get(key)
    const current = answerOf(place)
    if (current === undefined || current === 'gone') return 'gone'
    if (expected !== undefined && current.version !== expected) return 'conflict'
    if (tombstoneUntil === undefined) this.#delete(key, place as Place)
    else this.#set(key, place, { expiresAt: tombstoneUntil })
    return 'destroyed'
  }

  sweep (now: Date, limit: number): number {
    let removed = 0
    for (const [key, place] of this.#places) {
      if (removed === limit) break
      if (place.record !== undefined && place.record.expiresAt > now) continue
      this.#delete(key, place)
      removed++
    }
    return removed
  }

  list ({ userId }: ListFilter, { limit, after = '' }: Page): RecordPage {
    const keys = userId === undefined ? this.#places.keys() : this.#users?.get(userId) ?? []
    const records: ListedRecord[] = []
    for (const key of inOrder([...keys].filter(key => key > after))) {
      const record = this.read(key)
      if (record === undefined || record === 'gone') continue
      // One more than was asked for says that there is a next page.
      if (records.length === limit) return { records, next: records.at(-1)?.key }
      records.push(record.listedAs(key))
    }
    return { records, next: undefined }
  }

  lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    return this.#locks.acquire(key, options)
  }

  close (): void {
    for (const place of this.#places.values()) place.record = undefined
    this.#places.clear()
    this.#users = undefined
  }

  #placeOf (key: StoreKey, known: object | undefined): Place | undefined {
    return known instanceof Place && known.store === this && known.record !== undefined ? known : this.#places.get(key)
  }

  #set (key: StoreKey, place: Place | undefined, record: KeptRecord | Tombstone): void {
    this.#move(key, place?.record?.userId, record.userId)
    const here = place ?? this.#newPlace(key)
    here.record = record
    if (record instanceof KeptRecord) record.place = here
  }

  #newPlace (key: StoreKey): Place {
    const place = new Place(this)
    this.#places.set(key, place)
    return place
  }

  #delete (key: StoreKey, place: Place): void {
    this.#move(key, place.record?.userId, undefined)
    place.record = undefined
    this.#places.delete(key)
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

function answerOf (place: Place | undefined): KeptRecord | 'gone' | undefined {
  const record = place?.record
  const now = Date.now()
  if (record instanceof KeptRecord) return record.isOver(now) ? undefined : record
  return record === undefined || record.expiresAt.getTime() <= now ? undefined : 'gone'
}
