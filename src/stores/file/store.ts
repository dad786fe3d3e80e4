/**
 * Sessions as files of one directory, shared by any number of processes on one machine.
 *
 * Reads are synchronous and take no lock: a file always holds one whole generation of its session, and what was read is
 * kept as long as the file's status says that it is unchanged. Writes of all processes go one after the other under one
 * lock, which is what makes compare-and-set true.
 */
import { accessSync, closeSync, constants, fsyncSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { SessionLockTimeoutError, SessionStoreError } from '../../errors.ts'
import type { Report } from '../../report.ts'
import { KeyedLock, RETRY_AFTER } from '../keyed-lock.ts'
import type { LockOptions, NewRecord, SessionStore, StoredRecord, StoreKey, Unlock, Version } from '../store.ts'
import { CommitLock } from './commit-lock.ts'
import { Descriptors } from './descriptors.ts'
import { waitForLock } from './directory-lock.ts'
import type { Entry } from './format.ts'
import { Group } from './group.ts'
import type { Found } from './session-file.ts'
import { identifySessionFile, isSame, readSessionFile, writeSessionFile } from './session-file.ts'
import { sweepDirectory } from './sweep.ts'

export interface FileStoreOptions {
  /** Made when missing, readable by this user only. */
  readonly directory: string
  /** Whether a commit survives a loss of power, and not only the death of the process. Costs a flush to the disk each. */
  readonly durable?: boolean
  /** Told of damaged files. */
  readonly report: Report
}

interface Cached extends Found {
  /** What is handed out: always the same object for the same content. */
  readonly record: StoredRecord | undefined
  /** Whether the file had not been changed for long enough when it was read. */
  readonly isSettled: boolean
  /** The turn of this process at the commit lock in which it was read or written. */
  readonly turn: number | undefined
}

const DIRECTORY_MODE = 0o700
/** Milliseconds between two attempts to take a session's exclusive lock. */
const SESSION_LOCK_POLL = 25
/**
 * File times advance in steps of up to 10 ms (CONFIG_HZ=100), so that two changes within one step look like one. A file
 * this many milliseconds old when it was read cannot have been changed in the same step; Git calls it not racily clean.
 */
const RACY = 20
/** Milliseconds for which a file that cannot be read is left for somebody to look at. */
const DAMAGED_FOR = 24 * 60 * 60_000
const CACHED_SESSIONS = 10_000
const CACHED_BYTES = 64 * 2 ** 20

export class FileStore implements SessionStore {
  readonly readsSynchronously = true
  readonly #directory: string
  readonly #durable: boolean
  readonly #report: Report
  readonly #cache = new LRUCache<StoreKey, Cached>({
    max: CACHED_SESSIONS,
    maxSize: CACHED_BYTES,
    sizeCalculation: ({ identity }) => identity.size + 1
  })

  readonly #descriptors = new Descriptors()
  readonly #lock: CommitLock
  readonly #commits: Group
  readonly #locks = new KeyedLock()

  constructor ({ directory, durable = false, report }: FileStoreOptions) {
    this.#directory = directory
    this.#durable = durable
    this.#report = report
    this.#lock = new CommitLock(directory)
    this.#commits = new Group(this.#lock)
  }

  /** @throws SessionStoreError naming the directory when it cannot be made or written */
  open (): void {
    try {
      mkdirSync(dirname(this.#directory), { recursive: true })
      mkdirSync(this.#directory, { recursive: true, mode: DIRECTORY_MODE })
      accessSync(this.#directory, constants.R_OK | constants.W_OK | constants.X_OK)
    } catch (cause) {
      throw new SessionStoreError(`sessions cannot be kept in ${this.#directory} (${codeOf(cause)}): ` +
        'make it a directory this user can read and write, or choose another with the option `files`', { cause })
    }
  }

  read (key: StoreKey): StoredRecord | 'gone' | undefined {
    return this.#current(key).answer
  }

  async compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version | 'conflict' | 'gone'> {
    return await this.#commit(() => {
      const { answer, found } = this.#current(key)
      if (answer === 'gone' || (answer === undefined && expected !== undefined)) return 'gone'
      if (answer?.version !== expected) return 'conflict'
      const version = ((expected ?? 0) + 1) as Version
      const { payload } = record
      this.#write(key, { version, payload, createdAt: record.createdAt.getTime(), expiresAt: record.expiresAt.getTime() }, found)
      return version
    })
  }

  async touch (key: StoreKey, expiresAt: Date): Promise<boolean> {
    return await this.#commit(() => {
      const { answer, found } = this.#current(key)
      if (answer === undefined || answer === 'gone' || found?.slot === undefined) return false
      this.#write(key, { ...found.slot.entry, expiresAt: expiresAt.getTime() }, found)
      return true
    })
  }

  async destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): Promise<'destroyed' | 'conflict' | 'gone'> {
    return await this.#commit(() => {
      const { answer, found } = this.#current(key)
      if (answer === undefined || answer === 'gone') return 'gone'
      if (expected !== undefined && answer.version !== expected) return 'conflict'
      if (tombstoneUntil === undefined) {
        this.#remove(key)
      } else {
        const { version } = answer
        this.#write(key, { version, payload: undefined, createdAt: answer.createdAt.getTime(), expiresAt: tombstoneUntil.getTime() }, found)
      }
      return 'destroyed'
    })
  }

  async sweep (now: Date, limit: number): Promise<number> {
    const descriptors = new Descriptors()
    const isDead = (path: string): boolean => {
      const identity = identifySessionFile(path)
      return identity !== undefined && isOver(readSessionFile(path, identity, descriptors), now)
    }
    try {
      return await sweepDirectory(this.#directory, { now: now.getTime(), limit, isDead, remove: keys => this.#removeAll(keys, now) })
    } finally {
      descriptors.closeAll()
    }
  }

  /** Exclusive between processes. A killed process lets go within four seconds. */
  async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    const until = Date.now() + options.wait
    const unlockHere = await this.#locks.acquire(key, options)
    try {
      const path = join(this.#directory, `.${key}.lock`)
      const everywhere = await this.#inDirectory(() => waitForLock(path, SESSION_LOCK_POLL, until))
      if (everywhere === undefined) throw new SessionLockTimeoutError(RETRY_AFTER)
      const lease = setTimeout(() => { void everywhere.release() }, options.lease).unref()
      return async () => {
        clearTimeout(lease)
        await everywhere.release()
        await unlockHere()
      }
    } catch (error) {
      await unlockHere()
      if (error instanceof SessionLockTimeoutError) throw error
      return asStoreError(error)
    }
  }

  async close (): Promise<void> {
    await this.#commits.close()
    this.#descriptors.closeAll()
  }

  /** What is stored under a key at this moment, from memory where the file is unchanged. */
  #current (key: StoreKey): { answer: StoredRecord | 'gone' | undefined, found: Found | undefined } {
    const found = this.#load(key)
    if (found?.slot === undefined || found.slot.entry.expiresAt <= Date.now()) return { answer: undefined, found }
    return { answer: found.record ?? 'gone', found }
  }

  #load (key: StoreKey): Cached | undefined {
    const path = this.#pathOf(key)
    try {
      const readAt = Date.now()
      const identity = identifySessionFile(path)
      const cached = this.#cache.get(key)
      if (identity === undefined) {
        if (cached !== undefined) this.#forget(key)
        return undefined
      }
      if (cached !== undefined && this.#canVouch(cached) && isSame(identity, cached.identity)) return cached
      const found = readSessionFile(path, identity, this.#descriptors)
      if (found === undefined) return undefined
      const wasDamaged = cached !== undefined && cached.slot === undefined
      if (found.slot === undefined && !wasDamaged) this.#reportDamage(key)
      return this.#remember(key, found, readAt, cached)
    } catch (cause) {
      return asStoreError(cause)
    }
  }

  /** Whether the same identity means the same content: the file was old when it was read, or nobody else could write since. */
  #canVouch ({ isSettled, turn }: Cached): boolean {
    return isSettled || (turn !== undefined && turn === this.#lock.turn)
  }

  #remember (key: StoreKey, found: Found, readAt: number, previous: Cached | undefined): Cached {
    const { slot, identity } = found
    const isUnchanged = slot !== undefined && slot.generation === previous?.slot?.generation && identity.ino === previous.identity.ino
    const record = isUnchanged ? previous.record : recordOf(slot?.entry)
    const cached = { identity, slot, record, turn: this.#lock.turn, isSettled: readAt - identity.ctimeMs > RACY }
    this.#cache.set(key, cached)
    return cached
  }

  #write (key: StoreKey, entry: Entry, current: Found | undefined): void {
    try {
      const written = writeSessionFile(this.#pathOf(key), entry, current, this.#descriptors, this.#durable)
      if (this.#durable && written.identity.ino !== current?.identity.ino) flushDirectory(this.#directory)
      this.#remember(key, written, 0, undefined)
    } catch (cause) {
      this.#forget(key)
      asStoreError(cause)
    }
  }

  #forget (key: StoreKey): void {
    this.#cache.delete(key)
    this.#descriptors.close(this.#pathOf(key))
  }

  #remove (key: StoreKey): void {
    rmSync(this.#pathOf(key), { force: true })
    this.#forget(key)
  }

  /** Removes what is still dead now that nobody else can write; it may have been given a longer life meanwhile. */
  async #removeAll (keys: readonly StoreKey[], now: Date): Promise<number> {
    return await this.#commit(() => {
      const dead = keys.filter(key => isOver(this.#load(key), now))
      for (const key of dead) this.#remove(key)
      return dead.length
    })
  }

  async #commit<T> (job: () => T): Promise<T> {
    return await this.#inDirectory(() => this.#commits.run(job)).catch(asStoreError)
  }

  /** Makes the directory again when somebody has removed it under the running application: sessions can begin anew. */
  async #inDirectory<T> (work: () => Promise<T>): Promise<T> {
    return await work().catch(async (error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
      this.open()
      return await work()
    })
  }

  #pathOf (key: StoreKey): string {
    return join(this.#directory, key)
  }

  #reportDamage (key: StoreKey): void {
    this.#report({
      code: 'AMBIENT_SESSION_DAMAGED',
      message: `the session file ${key} is damaged and its session counts as missing; the file will be swept away in a day`,
      key
    })
  }
}

function recordOf (entry: Entry | undefined): StoredRecord | undefined {
  if (entry?.payload === undefined) return undefined
  const { payload, version, createdAt, expiresAt } = entry
  return { payload, version: version as Version, createdAt: new Date(createdAt), expiresAt: new Date(expiresAt) }
}

/** Whether a session has expired, or its file been damaged for long enough. */
function isOver (found: Found | undefined, now: Date): boolean {
  if (found === undefined) return false
  return (found.slot?.entry.expiresAt ?? found.identity.ctimeMs + DAMAGED_FOR) <= now.getTime()
}

function flushDirectory (directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function codeOf (error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}

/** @throws SessionStoreError always: the error itself when it is one, or one that names the file system's error */
function asStoreError (error: unknown): never {
  if (error instanceof SessionStoreError) throw error
  throw new SessionStoreError(`the session files cannot be used at the moment (${codeOf(error)})`, { cause: error })
}
