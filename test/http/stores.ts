import {
  type EndReason, type ListFilter, type MaybePromise, MemoryStore, type NewRecord, type Page, type RecordPage, type SessionStore, type StoredRecord,
  type StoreKey, type Tombstone, type Version
} from '../../src/index.ts'

type Method = 'read' | 'compareAndSet' | 'touch' | 'destroy'

/** Sessions in memory, and a list of what was asked. It cannot lock, nor sweep. */
export class SpyStore implements SessionStore {
  readonly calls: Method[] = []
  /** Called before each access, and waited for unless the access is a synchronous read. */
  before: ((method: Method) => unknown) | undefined
  readonly readsSynchronously: boolean
  readonly #memory = new MemoryStore()

  constructor (readsSynchronously = true) {
    this.readsSynchronously = readsSynchronously
  }

  read (key: StoreKey): MaybePromise<StoredRecord | Tombstone | undefined> {
    if (!this.readsSynchronously) return this.#later('read', () => this.#memory.read(key))
    this.calls.push('read')
    this.before?.('read')
    return this.#memory.read(key)
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version | 'conflict' | 'gone'> {
    return this.#later('compareAndSet', () => this.#memory.compareAndSet(key, record, expected))
  }

  touch (key: StoreKey, expiresAt: Date): Promise<boolean> {
    return this.#later('touch', () => this.#memory.touch(key, expiresAt))
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version, reason?: EndReason): Promise<'destroyed' | 'conflict' | 'gone'> {
    return this.#later('destroy', () => this.#memory.destroy(key, tombstoneUntil, expected, reason))
  }

  list (filter: ListFilter, page: Page): RecordPage {
    return this.#memory.list(filter, page)
  }

  /** @returns the calls since this was last asked */
  takeCalls (): Method[] {
    return this.calls.splice(0)
  }

  async #later<T> (method: Method, access: () => T): Promise<T> {
    this.calls.push(method)
    await this.before?.(method)
    return access()
  }
}
