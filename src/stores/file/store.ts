/**
 * Sessions as files of one directory, shared by any number of processes on one machine.
 *
 * A commit holds the operating system's lock on its session's file from reading to writing, which makes compare-and-set atomic.
 * Reads take no lock: a file always has one whole generation of its session, and cached content is valid as long as the heads in
 * the file are the same.
 */
import { accessSync, constants, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SessionError, SessionStoreError } from '../../errors.ts'
import { type Report, reportToProcess } from '../../report.ts'
import { refusalToSet, touched, unexpired } from '../record.ts'
import {
  type EndReason, isRecord, type ListFilter, type LockOptions, type MaybePromise, type NewRecord, type Page, type RecordPage, type SessionStore,
  type StoredRecord, type StoreKey, type Tombstone, type Unlock, type Version
} from '../store.ts'
import { TwoLevelLock } from '../two-level-lock.ts'
import { tryBlock } from './block.ts'
import { codeOf, DIRECTORY_MODE } from './disk.ts'
import { inspectFile } from './inspect.ts'
import { countSessions, isStale, type Listing, listSessions, removeStale } from './listing.ts'
import { LockedFiles, type Work } from './locked-files.ts'
import { FileLocks } from './locks.ts'
import { OpenFiles } from './open-files.ts'
import { sweepDirectory } from './sweep.ts'
import { nameOf, UserIndex } from './user-index.ts'

export interface FileStoreOptions {
  /** Made when missing, readable by this user only. */
  readonly directory: string
  /** Whether a commit survives a loss of power, and not only the death of the process. Costs a flush to the disk each. */
  readonly durable?: boolean
  /** Whether files are read through the thread pool, for directories on slow storage: then the event loop never waits for it. */
  readonly asyncReads?: boolean
  /** Receives warnings: of damaged files, and of the operating system's locks if they cannot be used. Default: a warning of the process. */
  readonly report?: Report
}

const WRITABLE_BY_ALL = 0o002
/** Milliseconds between two sweeps of the index of users: crashes rarely leave anything there. */
const USERS_SWEPT_EVERY = 60 * 60 * 1000

export class FileStore implements SessionStore {
  readonly readsSynchronously: boolean
  readonly #directory: string
  readonly #isDurable: boolean
  readonly #report: Report
  readonly #locks: FileLocks
  readonly #files: OpenFiles
  readonly #lockedFiles: LockedFiles
  readonly #users: UserIndex
  readonly #blocks = new TwoLevelLock()
  readonly #reportedUnreadable = new Set<StoreKey>()
  #usersSweptAt = -Infinity

  /** @param locks for tests of this package */
  constructor ({ directory, durable = false, asyncReads = false, report = reportToProcess }: FileStoreOptions, locks = new FileLocks()) {
    this.readsSynchronously = !asyncReads
    this.#directory = directory
    this.#isDurable = durable
    this.#report = report
    this.#locks = locks
    this.#files = new OpenFiles(directory, locks, report)
    this.#lockedFiles = new LockedFiles(this.#files, durable)
    this.#users = new UserIndex(directory, durable)
  }

  /** @throws SessionStoreError naming the directory when it cannot be made or written, or when every user can write to it */
  async open (): Promise<void> {
    let mode: number
    try {
      this.#makeDirectory()
      accessSync(this.#directory, constants.R_OK | constants.W_OK | constants.X_OK)
      mode = statSync(this.#directory).mode
    } catch (cause) {
      throw new SessionStoreError(`sessions cannot be kept in ${this.#directory} (${codeOf(cause)}): ` +
        'make it a directory this user can read and write, or choose another with the option `files`', { cause })
    }
    if (process.platform !== 'win32' && (mode & WRITABLE_BY_ALL) !== 0) {
      throw new SessionStoreError(`sessions cannot be kept in ${this.#directory}: every user of this machine can write to it. ` +
        'Take that right away (chmod o-w), or choose another directory with the option `files`')
    }
    await this.#locks.open()
    if (this.#locks.areNative) return
    this.#report({
      code: 'AMBIENT_SESSION_STORE',
      message: 'the operating system\'s file locks cannot be used (fs-native-extensions has no binary for this system, or native addons are ' +
        'not allowed): session files are locked by proper-lockfile, which is slower and promises less; see docs/stores/file.md'
    })
  }

  read (key: StoreKey): MaybePromise<StoredRecord | Tombstone | undefined> {
    if (!this.readsSynchronously) return this.#attempt(() => this.#readLater(key))
    try {
      return unexpired(this.#files.look(key)?.content?.entry)
    } catch (error) {
      return failAsStore(error)
    }
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): MaybePromise<Version | 'conflict' | 'gone'> {
    return this.#underLock(key, expected === undefined, file => {
      const current = unexpired(file?.content?.entry)
      if (file === undefined) return 'gone'
      const refusal = refusalToSet(current, expected)
      if (refusal !== undefined) return refusal
      const version = file.nextVersion
      const { userId } = record
      if (userId !== undefined && userId !== current?.userId) this.#users.add(userId, key)
      file.write({ ...record, version }, this.#isDurable)
      return version
    })
  }

  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): MaybePromise<boolean> {
    return this.#underLock(key, false, file => {
      const current = unexpired(file?.content?.entry)
      if (file === undefined || !isRecord(current)) return false
      // The generation that this one overwrites may have been read: as long as it can be seen to be lost, its version is left out.
      const version = file.content?.isUncertain === true ? file.nextVersion : current.version
      file.write({ ...touched(current, expiresAt, lastActivity), version }, this.#isDurable)
      return true
    })
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version, reason: EndReason = 'ended'): MaybePromise<'destroyed' | 'conflict' | 'gone'> {
    let owner: string | undefined
    return this.#underLock(key, false, file => {
      owner = undefined
      const current = unexpired(file?.content?.entry)
      if (file === undefined || !isRecord(current)) return 'gone'
      const { version, userId } = current
      if (expected !== undefined && version !== expected) return 'conflict'
      if (tombstoneUntil === undefined) file.remove()
      else file.write({ reason, since: new Date(), version, expiresAt: tombstoneUntil, userId }, this.#isDurable)
      owner = userId
      return 'destroyed'
    }, () => {
      // Not before it is certain: a session that comes back has to be among its user's.
      if (owner !== undefined) this.#forget(owner, key)
    })
  }

  async sweep (now: Date, limit: number, signal?: AbortSignal): Promise<number> {
    return await sweepDirectory(this.#directory, {
      now,
      limit,
      signal,
      remove: (key, isExpired) => this.#lockedFiles.tryRun(key, file => {
        if (file?.content === undefined || !isExpired(file.content)) return false
        const { userId } = file.content.entry ?? {}
        if (userId !== undefined) this.#users.remove(nameOf(userId), key)
        file.remove()
        return true
      }) === true,
      tryLock: path => tryBlock(path, this.#locks),
      reportUnreadable: (key, cause) => { this.#reportUnreadable(key, cause) },
      finish: async pause => {
        if (performance.now() - this.#usersSweptAt < USERS_SWEPT_EVERY) return
        await removeStale(this.#listing, pause, signal)
        if (signal?.aborted !== true) this.#usersSweptAt = performance.now()
      }
    }).catch(failAsStore)
  }

  async list (filter: ListFilter, page: Page): Promise<RecordPage> {
    return await listSessions(this.#listing, filter, page).catch(failAsStore)
  }

  async count (filter: ListFilter): Promise<number> {
    return await countSessions(this.#listing, filter).catch(failAsStore)
  }

  /** Exclusive between processes, and in the order of the calls within one. The lock is released when its process dies. */
  async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    const path = join(this.#directory, `.${key}.block`)
    const attempt = (): Unlock | undefined => {
      const unlock = tryBlock(path, this.#locks)
      if (unlock === undefined) return undefined
      const lease = setTimeout(unlock, options.lease).unref()
      return () => {
        clearTimeout(lease)
        unlock()
      }
    }
    return await this.#attempt(() => this.#blocks.acquire(key, options, attempt))
  }

  close (): void {
    this.#files.closeAll()
  }

  async #readLater (key: StoreKey): Promise<StoredRecord | Tombstone | undefined> {
    const found = await inspectFile(this.#files.pathOf(key))
    if (found === undefined) return undefined
    // Of a file that is damaged, just being written, or blank because a larger one has taken its place, commits have to see the same.
    return unexpired(found.content?.isUncertain === false ? found.content.entry : this.#files.look(key)?.content?.entry)
  }

  #underLock<T> (key: StoreKey, mayCreate: boolean, work: Work<T>, confirm?: () => void): MaybePromise<T> {
    return this.#attempt(() => this.#lockedFiles.run(key, mayCreate, work, confirm))
  }

  /** Tries once more after a fault that can be mended. Every other becomes a SessionStoreError. */
  #attempt<T> (act: () => MaybePromise<T>): MaybePromise<T> {
    try {
      const result = act()
      return result instanceof Promise ? result.catch((error: unknown) => this.#tryAgain(error, act)) : result
    } catch (error) {
      return this.#tryAgain(error, act)
    }
  }

  /** Makes the directory if it was removed, closes files if there are no descriptors left. */
  async #tryAgain<T> (error: unknown, act: () => MaybePromise<T>): Promise<T> {
    try {
      if (codeOf(error) === 'ENOENT') this.#makeDirectory()
      else if (codeOf(error) === 'EMFILE') this.#files.closeAll()
      else throw error
      return await act()
    } catch (error) {
      return failAsStore(error)
    }
  }

  /** What cannot be taken from the index is left to the sweep. */
  #forget (userId: string, key: StoreKey): void {
    try {
      this.#users.remove(nameOf(userId), key)
    } catch {}
  }

  #makeDirectory (): void {
    mkdirSync(dirname(this.#directory), { recursive: true })
    mkdirSync(this.#directory, { recursive: true, mode: DIRECTORY_MODE })
  }

  get #listing (): Listing {
    return {
      directory: this.#directory,
      users: this.#users,
      // Where there is no file one is made to be locked: its session could just be about to begin.
      settle: async (key, user) => await this.#lockedFiles.run(key, user !== undefined, file => {
        if (user !== undefined && isStale(file, user)) this.#users.remove(user, key)
        return file?.content?.entry
      }),
      reportUnreadable: (key, cause) => { this.#reportUnreadable(key, cause) }
    }
  }

  #reportUnreadable (key: StoreKey, cause: unknown): void {
    if (this.#reportedUnreadable.has(key)) return
    this.#reportedUnreadable.add(key)
    const future = codeOf(cause) === 'EACCES' ? '; it will be swept away in a day' : ''
    this.#report({ code: 'AMBIENT_SESSION_DAMAGED', message: `the session file ${key} cannot be read${future}`, key, cause })
  }
}

/** @throws SessionError always. Clients may see its message: it names the fault, and no path. */
function failAsStore (error: unknown): never {
  if (error instanceof SessionError) throw error
  const code = codeOf(error)
  throw new SessionStoreError(`the session files cannot be used at the moment${code === undefined ? '' : ` (${code})`}`, { cause: error })
}
