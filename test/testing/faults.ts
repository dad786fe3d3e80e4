/** Stores with one fault each: mistakes that drivers make. */
import type { LockOptions, NewRecord, StoredRecord, StoreKey, Unlock, Version } from '../../src/index.ts'
import type { ListFilter, Page, RecordPage } from '../../src/stores/store.ts'
import { TwoLevelLock } from '../../src/stores/two-level-lock.ts'
import { pause, ReferenceStore, type Storage } from './reference-store.ts'

export interface Fault {
  /** What is wrong with the store. */
  readonly fault: string
  /** The cases that have to notice, some of them among others. */
  readonly noticedBy: readonly string[]
  readonly make: (storage?: Storage) => ReferenceStore
}

type StoreClass = new (storage?: Storage) => ReferenceStore

function planted (fault: string, noticedBy: readonly string[], Store: StoreClass): Fault {
  return { fault, noticedBy, make: storage => new Store(storage) }
}

const MINUTE = 60_000

/** @returns something that stores of one storage share beside it, as a table of their own would be */
function sharedBy<T> (make: () => T): (storage: Storage) => T {
  const parts = new WeakMap<Storage, T>()
  return storage => {
    const part = parts.get(storage) ?? make()
    parts.set(storage, part)
    return part
  }
}

const ownersIn = sharedBy(() => new Map<StoreKey, Set<string>>())
const firstExpiriesIn = sharedBy(() => new Map<StoreKey, Date>())
const listsIn = sharedBy(() => new Map<string, readonly StoreKey[]>())

const lostUpdates: readonly Fault[] = [
  planted('compares and sets in two steps', [
    'fifty compare-and-set loops at the same time lose nothing',
    'of creations of one key at the same time one succeeds',
    'of writes with one version at the same time one succeeds',
    'of a write and the destruction of one version at the same time one succeeds',
    'writes under way while a session is ended do not bring it back'
  ], class extends ReferenceStore {
    override async compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      const current = this.look(key)
      await pause()
      if (current === 'gone' || (current === undefined && expected !== undefined)) return 'gone'
      if (current?.version !== expected) return 'conflict'
      return this.write(key, record, ((expected ?? 0) + 1) as Version)
    }
  }),
  planted('writes whatever version is expected', [
    'a write with a version that is not the stored one is a conflict and changes nothing',
    'the creation of what exists is a conflict and changes nothing',
    'of creations of one key at the same time one succeeds',
    'of writes with one version at the same time one succeeds'
  ], class extends ReferenceStore {
    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      const current = this.look(key)
      if (current === 'gone' || (current === undefined && expected !== undefined)) return 'gone'
      return this.write(key, record, ((current?.version ?? 0) + 1) as Version)
    }
  }),
  planted('does not count its versions', [
    'a write gives another version, which is the one to expect next',
    'destroy of another version is a conflict and changes nothing'
  ], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord) {
      return super.write(key, record, 1 as Version)
    }
  }),
  planted('touches by writing back what it has read', [
    'a touch at the same time as a write does not undo it',
    'a touch at the same time as the end of a session does not bring it back'
  ], class extends ReferenceStore {
    override async touch (key: StoreKey, expiresAt: Date, lastActivity?: Date) {
      const current = this.look(key)
      await pause()
      if (current === undefined || current === 'gone') return false
      this.write(key, { ...current, expiresAt, lastActivity: lastActivity ?? current.lastActivity }, current.version)
      return true
    }
  }),
  planted('counts a touch as a write', [
    'touch moves the expiry, and neither the version nor anything else',
    'a write that expects the version from before a touch succeeds'
  ], class extends ReferenceStore {
    override touch (key: StoreKey, expiresAt: Date) {
      const current = this.look(key)
      if (current === undefined || current === 'gone') return false
      this.write(key, { ...current, expiresAt }, (current.version + 1) as Version)
      return true
    }
  }),
  planted('keeps what it has read in its own process', [
    'a record that one store has written is read at once by another', 'fifty compare-and-set loops at the same time lose nothing'
  ], class extends ReferenceStore {
    readonly #seen = new Map<StoreKey, StoredRecord>()

    override read (key: StoreKey) {
      const found = this.#seen.get(key) ?? this.look(key)
      if (typeof found === 'object') this.#seen.set(key, found)
      return found
    }

    override write (key: StoreKey, record: NewRecord, version: Version) {
      this.#seen.delete(key)
      return super.write(key, record, version)
    }
  }),
  planted('keeps one record for all', ['records under different keys have nothing to do with each other'], class extends ReferenceStore {
    override look () {
      return super.look('0' as StoreKey)
    }

    override write (_key: StoreKey, record: NewRecord, version: Version) {
      return super.write('0' as StoreKey, record, version)
    }

    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      return expected === undefined ? this.write(key, record, 1 as Version) : super.compareAndSet(key, record, expected)
    }
  })
]

const resurrections: readonly Fault[] = [
  planted('creates what is not there, whatever was expected', [
    'a write to what was never there finds it gone and creates nothing',
    'a write to what has expired finds it gone and does not bring it back',
    'destroy without a tombstone leaves the key missing, and free'
  ], class extends ReferenceStore {
    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      return super.compareAndSet(key, record, this.look(key) === undefined ? undefined : expected)
    }
  }),
  planted('leaves no tombstones', [
    'destroy with a tombstone leaves the key gone: it cannot be written, created or touched',
    'a tombstone that stands is left standing',
    'destroy of the expected version ends it',
    'a tombstone stands until its time has come, and then the key is free'
  ], class extends ReferenceStore {
    override end (key: StoreKey) {
      super.end(key, undefined)
    }
  }),
  planted('creates over tombstones', ['destroy with a tombstone leaves the key gone: it cannot be written, created or touched'], class extends ReferenceStore {
    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      if (this.look(key) === 'gone' && expected === undefined) return this.write(key, record, 1 as Version)
      return super.compareAndSet(key, record, expected)
    }
  }),
  planted('takes tombstones away when it is told to destroy once more', [
    'a tombstone that stands is left standing', 'of destructions at the same time one succeeds'
  ], class extends ReferenceStore {
    override destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version) {
      if (this.look(key) !== 'gone') return super.destroy(key, tombstoneUntil, expected)
      this.end(key, tombstoneUntil)
      return 'destroyed'
    }
  }),
  planted('brings back with a touch', ['touch never brings back what is missing, has expired or was ended'], class extends ReferenceStore {
    override touch (key: StoreKey, expiresAt: Date, lastActivity?: Date) {
      const record = this.storage.entries.get(key)?.record
      if (record !== undefined) this.write(key, { ...record, expiresAt, lastActivity: lastActivity ?? record.lastActivity }, record.version)
      return record !== undefined
    }
  }),
  planted('destroys in two steps', [
    'of a write and the destruction of one version at the same time one succeeds',
    'of destructions at the same time one succeeds'
  ], class extends ReferenceStore {
    override async destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version) {
      const current = this.look(key)
      await pause()
      if (current === undefined || current === 'gone') return 'gone'
      if (expected !== undefined && current.version !== expected) return 'conflict'
      this.end(key, tombstoneUntil)
      return 'destroyed'
    }
  }),
  planted('destroys whatever version is expected', [
    'destroy of another version is a conflict and changes nothing',
    'of a write and the destruction of one version at the same time one succeeds'
  ], class extends ReferenceStore {
    override destroy (key: StoreKey, tombstoneUntil?: Date) {
      return super.destroy(key, tombstoneUntil)
    }
  }),
  planted('makes tombstones of what was not there', ['destroy of what is missing or has expired finds it gone, and makes no tombstone'], class extends ReferenceStore {
    override destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version) {
      if (this.look(key) === undefined) this.end(key, tombstoneUntil)
      return super.destroy(key, tombstoneUntil, expected)
    }
  })
]

const wrongExpiries: readonly Fault[] = [
  planted('leaves expiry to the sweep', [
    'an expired record is missing, although nothing has swept it away',
    'a record is missing from the moment on at which it expires',
    'the key of an expired record is free',
    'a write to what has expired finds it gone and does not bring it back',
    'touch may move the expiry to an earlier time, at which the record goes missing'
  ], class extends ReferenceStore {
    override look (key: StoreKey) {
      const entry = this.storage.entries.get(key)
      return entry === undefined ? undefined : entry.record ?? 'gone'
    }
  }),
  planted('keeps whole seconds', ['a record is read as it was created', 'a write sets the expiry it says, be it later or earlier'], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord, version: Version) {
      return super.write(key, { ...record, expiresAt: new Date(Math.ceil(record.expiresAt.getTime() / 1000) * 1000) }, version)
    }
  }),
  planted('keeps the expiry of the creation', ['a write sets the expiry it says, be it later or earlier'], class extends ReferenceStore {
    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      const current = this.look(key)
      return super.compareAndSet(key, typeof current === 'object' ? { ...record, expiresAt: current.expiresAt } : record, expected)
    }
  }),
  planted('says that it has touched and does nothing', [
    'touch moves the expiry, and neither the version nor anything else',
    'a record that was touched outlives the expiry it had before',
    'touch may move the expiry to an earlier time, at which the record goes missing'
  ], class extends ReferenceStore {
    override touch (key: StoreKey) {
      return typeof this.look(key) === 'object'
    }
  }),
  planted('ends its times in 2038', ['a record may live for a hundred years'], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord, version: Version) {
      return super.write(key, { ...record, expiresAt: new Date(Math.min(record.expiresAt.getTime(), 0x7fffffff * 1000)) }, version)
    }
  }),
  planted('lets tombstones stand for ever', [
    'a tombstone whose time has passed leaves the key missing, and free',
    'a tombstone stands until its time has come, and then the key is free',
    'sweep removes expired records and tombstones, says how many, and leaves the living'
  ], class extends ReferenceStore {
    override end (key: StoreKey, tombstoneUntil: Date | undefined) {
      super.end(key, tombstoneUntil && new Date(Date.now() + 1000 * MINUTE))
    }
  }),
  planted('lets tombstones stand for as long as the record would have', ['a tombstone stands until its time has come, and then the key is free'], class extends ReferenceStore {
    override end (key: StoreKey, tombstoneUntil: Date | undefined) {
      const expiresAt = this.storage.entries.get(key)?.expiresAt
      super.end(key, tombstoneUntil && tombstoneUntil > new Date() ? expiresAt : tombstoneUntil)
    }
  })
]

/** To be tried while nothing else is under way, since they are noticed by the clock. */
export const earlyEnds: readonly Fault[] = [
  planted('lets records expire early', ['a record is missing from the moment on at which it expires'], class extends ReferenceStore {
    override look (key: StoreKey) {
      const entry = this.storage.entries.get(key)
      return entry !== undefined && entry.expiresAt.getTime() - 150 <= Date.now() ? undefined : super.look(key)
    }
  }),
  planted('takes tombstones away early', ['a tombstone stands until its time has come, and then the key is free'], class extends ReferenceStore {
    override end (key: StoreKey, tombstoneUntil: Date | undefined) {
      super.end(key, tombstoneUntil && new Date(tombstoneUntil.getTime() - 150))
    }
  })
]

const damagedRecords: readonly Fault[] = [
  planted('finds something under every key', ['a key that was never written is missing'], class extends ReferenceStore {
    override read (key: StoreKey) {
      return this.look(key) ?? 'gone'
    }
  }),
  planted('says of every ended session that it was regenerated', ['a tombstone says why the session is over, and since when'], class extends ReferenceStore {
    override read (key: StoreKey) {
      const found = this.look(key)
      return found === 'gone' ? { reason: 'regenerated' as const, since: new Date() } : found
    }
  }),
  planted('cuts payloads off at 64 KiB', ['a payload of the largest size is read as it was, in ASCII and beyond'], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord, version: Version) {
      return super.write(key, { ...record, payload: record.payload.slice(0, 65_535) }, version)
    }
  }),
  planted('keeps Latin-1', ['any text is a payload'], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord, version: Version) {
      return super.write(key, { ...record, payload: Buffer.from(record.payload, 'latin1').toString('latin1') }, version)
    }
  }),
  planted('overwrites the beginning of a payload', ['a payload may grow and shrink from write to write'], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord, version: Version) {
      const before = this.storage.entries.get(key)?.record?.payload ?? ''
      return super.write(key, { ...record, payload: record.payload + before.slice(record.payload.length) }, version)
    }
  }),
  planted('gives versions as text', ['a write gives another version, which is the one to expect next'], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord, version: Version) {
      return super.write(key, record, String(version) as unknown as Version)
    }
  })
]

const wrongSweeps: readonly Fault[] = [
  planted('says that it has swept and removes nothing', [
    'sweep removes expired records and tombstones, says how many, and leaves the living',
    'sweep removes at most as many as its limit'
  ], class extends ReferenceStore {
    override sweep () {
      return 1
    }
  }),
  planted('sweeps without a limit', ['sweep removes at most as many as its limit'], class extends ReferenceStore {
    override sweep (now: Date) {
      return super.sweep(now, Infinity)
    }
  }),
  planted('sweeps by the age of a record', [
    'sweep spares what was given a longer life',
    'sweep removes expired records and tombstones, says how many, and leaves the living'
  ], class extends ReferenceStore {
    override sweep (now: Date, limit: number) {
      const old = [...this.storage.entries].filter(([, { record }]) => record !== undefined && record.createdAt.getTime() + 3 * MINUTE <= now.getTime())
      for (const [key] of old.slice(0, limit)) this.storage.entries.delete(key)
      return Math.min(old.length, limit)
    }
  }),
  planted('removes what it found expired without looking again', [
    'sweep leaves what is touched or created anew while it is under way'
  ], class extends ReferenceStore {
    override async sweep (now: Date, limit: number) {
      const dead = [...this.storage.entries].filter(([, { expiresAt }]) => expiresAt <= now).slice(0, limit)
      await pause()
      for (const [key] of dead) this.storage.entries.delete(key)
      return dead.length
    }
  })
]

const wrongLists: readonly Fault[] = [
  planted('lists what has expired', ['a list has nothing that has expired, was ended or was removed'], class extends ReferenceStore {
    override list (filter: ListFilter) {
      const records = [...this.storage.entries].flatMap(([key, { record }]) =>
        record !== undefined && (filter.userId === undefined || record.userId === filter.userId) ? [withoutPayload(key, record)] : [])
      return { records, next: undefined }
    }
  }),
  planted('lists sessions under the user they had first', ['a session is in the list of the user it has now'], class extends ReferenceStore {
    override write (key: StoreKey, record: NewRecord, version: Version) {
      const owner = this.storage.entries.get(key)?.record?.userId
      return super.write(key, { ...record, userId: owner ?? record.userId }, version)
    }
  }),
  planted('lists what a write that fails would have put there', ['a write that does not succeed changes no list'], class extends ReferenceStore {
    readonly #owners = ownersIn(this.storage)

    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      this.#owners.set(key, (this.#owners.get(key) ?? new Set()).add(record.userId ?? ''))
      return super.compareAndSet(key, record, expected)
    }

    override list ({ userId }: ListFilter) {
      const keys = [...this.#owners].filter(([, owners]) => userId === undefined || owners.has(userId)).map(([key]) => key)
      return { records: keys.flatMap(key => livingRecord(this.look(key), key)), next: undefined }
    }
  }),
  planted('lists payloads', ['a list has a record as it is, but for its payload'], class extends ReferenceStore {
    override list () {
      const records = [...this.storage.entries].flatMap(([key, { record }]) => record === undefined ? [] : [{ ...record, key }])
      return { records, next: undefined }
    }
  }),
  planted('knows users by the beginning of their id', ['any text is the id of a user, and no two are the same'], class extends ReferenceStore {
    override async list (filter: ListFilter, page: Page) {
      const { records, next } = await super.list({}, page)
      return { records: records.filter(({ userId }) => filter.userId === undefined || userId?.startsWith(filter.userId)), next }
    }
  }),
  planted('lists all sessions for every user', ['the list of a user has all living sessions of that user, and no others'], class extends ReferenceStore {
    override list (_filter: ListFilter, page: Page) {
      return super.list({}, page)
    }
  }),
  planted('lists only sessions with a user', ['the list of all has the sessions without a user, too'], class extends ReferenceStore {
    override async list (filter: ListFilter, page: Page) {
      const { records, next } = await super.list(filter, page)
      return { records: records.filter(({ userId }) => userId !== undefined), next }
    }
  }),
  planted('has one page', [
    'a long list comes in pages, each record in one of them',
    'a record that lives while its pages are asked for is in one of them, whatever comes and goes meanwhile'
  ], class extends ReferenceStore {
    override async list (filter: ListFilter, page: Page): Promise<RecordPage> {
      return { ...await super.list(filter, page), next: undefined }
    }
  }),
  planted('repeats a page\'s last record', ['a long list comes in pages, each record in one of them'], class extends ReferenceStore {
    override async list (filter: ListFilter, page: Page) {
      const { records, next } = await super.list(filter, page)
      return { records, next: page.limit === 1 ? next : next && records.at(-2)?.key }
    }
  }),
  planted('ignores the limit of a page', ['a long list comes in pages, each record in one of them'], class extends ReferenceStore {
    override list (filter: ListFilter, page: Page) {
      return super.list(filter, { ...page, limit: 1000 })
    }
  }),
  planted('never comes to the last page', ['a list has a record as it is, but for its payload'], class extends ReferenceStore {
    override async list (filter: ListFilter, page: Page) {
      return { ...await super.list(filter, page), next: '0' }
    }
  }),
  planted('counts its pages in records', ['a record that lives while its pages are asked for is in one of them, whatever comes and goes meanwhile'], class extends ReferenceStore {
    override async list (filter: ListFilter, { limit, after }: Page) {
      const { records } = await super.list(filter, { limit: 1000 })
      const begin = Number(after ?? 0)
      return { records: records.slice(begin, begin + limit), next: begin + limit < records.length ? String(begin + limit) : undefined }
    }
  }),
  planted('counts what has ended', ['as many records are counted as would be listed'], class extends ReferenceStore {
    override count () {
      return this.storage.entries.size
    }
  }),
  planted('counts the sessions of all for a user', ['as many records are counted as would be listed'], class extends ReferenceStore {
    override count () {
      return super.count({})
    }
  }),
  planted('does not count the sessions without a user', ['as many records are counted as would be listed'], class extends ReferenceStore {
    override count ({ userId }: ListFilter) {
      return [...this.storage.entries.values()].filter(({ record }) => record?.userId !== undefined && (userId ?? record.userId) === record.userId).length
    }
  }),
  planted('keeps nothing about the user but the id', [
    'user, address, user agent and last activity are read as they were written, and gone when they are written no more',
    'touch moves the last activity that it is given, and leaves the user as it is'
  ], class extends ReferenceStore {
    override write (key: StoreKey, { ipAddress, userAgent, lastActivity, ...record }: NewRecord, version: Version) {
      return super.write(key, record, version)
    }
  }),
  planted('lets the entry in a user\'s list expire with the first expiry', ['a session stays in its user\'s list for as long as touches keep it alive'], class extends ReferenceStore {
    readonly #until = firstExpiriesIn(this.storage)

    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      this.#until.set(key, record.expiresAt)
      return super.compareAndSet(key, record, expected)
    }

    override async list (filter: ListFilter, page: Page) {
      const { records, next } = await super.list(filter, page)
      return { records: records.filter(({ key }) => (this.#until.get(key) ?? 0) > new Date()), next }
    }
  }),
  planted('writes a user\'s list in two steps', ['sessions that begin and end at the same time leave a right list'], class extends ReferenceStore {
    readonly #lists = listsIn(this.storage)

    override async compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      const { userId = '' } = record
      const list = this.#lists.get(userId) ?? []
      await pause()
      this.#lists.set(userId, [...list.filter(other => other !== key), key])
      return await super.compareAndSet(key, record, expected)
    }

    override list ({ userId = '' }: ListFilter) {
      return { records: (this.#lists.get(userId) ?? []).flatMap(key => livingRecord(this.look(key), key)), next: undefined }
    }
  })
]

/** Each keeps its promise within its process. */
export const rightInOneProcess: readonly Fault[] = [
  planted('lists what its own process has written', [
    'a list has a record as it is, but for its payload',
    'the list of a user has all living sessions of that user, and no others',
    'any text is the id of a user, and no two are the same',
    'a list has nothing that has expired, was ended or was removed',
    'a session is in the list of the user it has now',
    'a write that does not succeed changes no list',
    'a session stays in its user\'s list for as long as touches keep it alive',
    'the list of all has the sessions without a user, too',
    'a long list comes in pages, each record in one of them',
    'a record that lives while its pages are asked for is in one of them, whatever comes and goes meanwhile',
    'sessions that begin and end at the same time leave a right list'
  ], class extends ReferenceStore {
    readonly #written = new Set<StoreKey>()

    override write (key: StoreKey, record: NewRecord, version: Version) {
      this.#written.add(key)
      return super.write(key, record, version)
    }

    override list (filter: ListFilter, page: Page) {
      const entries = new Map([...this.storage.entries].filter(([key]) => this.#written.has(key)))
      return new ReferenceStore({ ...this.storage, entries }).list(filter, page)
    }
  }),
  planted('releases a lock that another process holds', [
    'unlocking twice, or after the lease has run out, does not release the lock of its next holder'
  ], class extends ReferenceStore {
    readonly #lock = new TwoLevelLock()

    override async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
      return await this.#lock.acquire(key, options, () => {
        if (this.isLocked(key)) return undefined
        this.storage.locks.set(key, { holder: Symbol(key), until: Date.now() + options.lease })
        return () => { this.storage.locks.delete(key) }
      })
    }
  }),
  planted('sweeps by what its own process has written', [
    'sweep removes expired records and tombstones, says how many, and leaves the living',
    'sweep spares what was given a longer life'
  ], class extends ReferenceStore {
    readonly #until = new Map<StoreKey, Date>()

    override write (key: StoreKey, record: NewRecord, version: Version) {
      this.#until.set(key, record.expiresAt)
      return super.write(key, record, version)
    }

    override end (key: StoreKey, tombstoneUntil: Date | undefined) {
      if (tombstoneUntil === undefined) this.#until.delete(key)
      else this.#until.set(key, tombstoneUntil)
      super.end(key, tombstoneUntil)
    }

    override sweep (now: Date, limit: number) {
      const dead = [...this.#until].filter(([, until]) => until <= now).slice(0, limit)
      for (const [key] of dead) {
        this.#until.delete(key)
        this.storage.entries.delete(key)
      }
      return dead.length
    }
  })
]

const wrongLocks: readonly Fault[] = [
  planted('gives a lock to every request', [
    'a lock is held by one request at a time, and every waiting one gets it',
    'a request that waits in vain gets a SessionLockTimeoutError, and the lock later'
  ], class extends ReferenceStore {
    override isLocked () {
      return false
    }
  }),
  planted('has one lock for all', ['locks of different keys do not wait for each other'], class extends ReferenceStore {
    override lock (_key: StoreKey, options: LockOptions) {
      return super.lock('0' as StoreKey, options)
    }
  }),
  planted('does not wait for a lock', [
    'a lock is held by one request at a time, and every waiting one gets it',
    'a request that has given up waiting does not get the lock'
  ], class extends ReferenceStore {
    override lock (key: StoreKey, { lease }: LockOptions) {
      return super.lock(key, { lease, wait: 0 })
    }
  }),
  planted('holds locks for ever', ['a lock is released when its lease has run out'], class extends ReferenceStore {
    override lock (key: StoreKey, { wait }: LockOptions) {
      return super.lock(key, { lease: Infinity, wait })
    }
  }),
  planted('releases a lock that another request holds', ['unlocking twice, or after the lease has run out, does not release the lock of its next holder'], class extends ReferenceStore {
    override async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
      await super.lock(key, options)
      return () => { this.storage.locks.delete(key) }
    }
  }),
  planted('prevents writes while a lock is held', ['a lock does not prevent reading and writing'], class extends ReferenceStore {
    override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      return this.isLocked(key) ? 'gone' : super.compareAndSet(key, record, expected)
    }
  })
]

export const faults: readonly Fault[] = [
  ...lostUpdates, ...resurrections, ...wrongExpiries, ...damagedRecords, ...wrongSweeps, ...wrongLists, ...rightInOneProcess, ...wrongLocks
]

function withoutPayload (key: StoreKey, { payload, ...record }: StoredRecord) {
  return { ...record, key }
}

function livingRecord (found: StoredRecord | 'gone' | undefined, key: StoreKey) {
  return typeof found === 'object' ? [withoutPayload(key, found)] : []
}
