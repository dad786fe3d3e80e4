/**
 * Sessions as files of one directory, shared by any number of processes on one machine.
 *
 * Reads are synchronous and take no lock: a file always holds one whole generation of its session, and what was read is
 * kept as long as the file's head says that it is unchanged. Writes of all processes go one after the other under one lock,
 * which is what makes compare-and-set true.
 */
import { accessSync, constants, mkdirSync, rmSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import { SessionLockTimeoutError, SessionStoreError } from '../../errors.ts'
import type { Report } from '../../report.ts'
import { KeptRecord } from '../kept-record.ts'
import { KeyedLock, RETRY_AFTER } from '../keyed-lock.ts'
import type { Postponer, PostponingStore } from '../postponing.ts'
import type {
  ListFilter, LockOptions, MaybePromise, NewRecord, Page, RecordPage, StoredRecord, StoreKey, Unlock, Version
} from '../store.ts'
import { CommitLock } from './commit-lock.ts'
import { Commits } from './commits.ts'
import { FileLock } from './file-lock.ts'
import type { Entry } from './format.ts'
import type { Listing } from './listing.ts'
import { listAll, listOfUser, removeStale } from './listing.ts'
import { isAtItsPath, OpenFiles } from './open-files.ts'
import { Owner } from './owner.ts'
import { Place } from './place.ts'
import { ReadingTurn } from './reading-turn.ts'
import type { Inspected } from './read-file.ts'
import { inspectFile, inspectFileSync } from './read-file.ts'
import type { SessionFile } from './session-file.ts'
import { sweepDirectory } from './sweep.ts'
import { nameOf, UserIndex } from './user-index.ts'

/** What is done with a key's file while nobody else can write. */
type Job<T> = (file: SessionFile | undefined) => T

export interface FileStoreOptions {
  /** Made when missing, readable by this user only. */
  readonly directory: string
  /** Whether a commit survives a loss of power, and not only the death of the process. Costs a flush to the disk each. */
  readonly durable?: boolean
  /** Whether files are read through the thread pool, for directories on slow storage: then the event loop never waits for it. */
  readonly asyncReads?: boolean
  /** Told of damaged files. */
  readonly report: Report
}

const DIRECTORY_MODE = 0o700
/** Milliseconds between two attempts to take a session's exclusive lock. */
const SESSION_LOCK_POLL = 25
/** Milliseconds until it is noticed that somebody has removed a file by hand. This store's own removals are seen at once. */
const TRUST = 1_000
/** Milliseconds for which a file that cannot be read is left for somebody to look at. */
const DAMAGED_FOR = 24 * 60 * 60_000
/** Milliseconds between two looks through the index of users for what crashes have left: it is rarely anything. */
const USERS_SWEPT_EVERY = 60 * 60 * 1000

export class FileStore implements PostponingStore {
  readonly readsSynchronously: boolean
  readonly #directory: string
  readonly #report: Report
  readonly #place: Place
  /** When it was last looked around, in whole milliseconds by {@link performance.now}. */
  #now = 0
  #hasLooked = false
  readonly #lookAgain = (): void => { this.#hasLooked = false }
  readonly #files: OpenFiles
  readonly #owner: Owner
  readonly #lock: CommitLock
  readonly #sweepLock: FileLock
  readonly #commits: Commits
  readonly #reading: ReadingTurn
  readonly #locks = new KeyedLock()
  readonly #users: UserIndex
  #usersSweptAt = -Infinity
  readonly #canPostpone: boolean
  /** Who can wait for what is committed now to be written. */
  #postponer: Postponer | undefined

  constructor ({ directory, durable = false, asyncReads = false, report }: FileStoreOptions) {
    this.readsSynchronously = !asyncReads
    this.#directory = directory
    this.#report = report
    this.#place = new Place(directory)
    this.#files = new OpenFiles(durable, () => this.#lock.isCertain)
    this.#owner = new Owner(directory)
    this.#lock = new CommitLock(directory, this.#owner, () => { this.flush() })
    this.#sweepLock = new FileLock(join(directory, '.sweep.lock'), this.#owner)
    this.#commits = new Commits(this.#lock, durable ? () => this.#files.flush() : undefined)
    this.#reading = new ReadingTurn(this.#lock)
    this.#users = new UserIndex(directory, durable)
    this.#canPostpone = !durable && !asyncReads
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

  read (key: StoreKey, place?: object): MaybePromise<StoredRecord | 'gone' | undefined> {
    if (!this.readsSynchronously) return this.#readLater(key)
    try {
      return answerIn(this.#load(key, place)?.entry)
    } catch (error) {
      return asStoreError(error)
    }
  }

  compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined, place?: object): MaybePromise<Version | 'conflict' | 'gone'> {
    return this.#commit(key, place, file => {
      const current = answerIn(file?.entry)
      if (current === 'gone' || (current === undefined && expected !== undefined)) return 'gone'
      if (current?.version !== expected) return 'conflict'
      const version = ((expected ?? 0) + 1) as Version
      const { userId } = record
      if (userId !== undefined && userId !== current?.userId) this.#users.add(userId, key)
      this.#write(key, new KeptRecord(record, version, current), file, this.#postponer)
      return version
    })
  }

  touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): MaybePromise<boolean> {
    return this.#commit(key, undefined, file => {
      const current = answerIn(file?.entry)
      if (current === undefined || current === 'gone') return false
      this.#write(key, current.touched(expiresAt, lastActivity), file)
      return true
    })
  }

  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): MaybePromise<'destroyed' | 'conflict' | 'gone'> {
    return this.#commit(key, undefined, file => {
      const current = answerIn(file?.entry)
      if (current === undefined || current === 'gone' || file === undefined) return 'gone'
      const { version, createdAt, userId } = current
      if (expected !== undefined && version !== expected) return 'conflict'
      if (tombstoneUntil === undefined) this.#files.remove(file)
      else this.#write(key, { payload: undefined, version, createdAt, expiresAt: tombstoneUntil, userId }, file)
      return 'destroyed'
    })
  }

  /** Commits that need no new file are written with the next {@link flush}. */
  postpone<T> (postponer: Postponer<T>): T {
    this.#postponer = this.#canPostpone ? postponer : undefined
    try {
      return postponer.commit()
    } finally {
      this.#postponer = undefined
    }
  }

  flush (): void {
    this.#files.writePostponed()
  }

  async sweep (now: Date, limit: number): Promise<number> {
    return await sweepDirectory(this.#directory, {
      limit,
      lock: this.#sweepLock,
      // Taking it is what removes the lock of a dead holder without getting in the way of the next one.
      freeLock: path => {
        const lock = new FileLock(path, this.#owner)
        if (lock.tryTake()) lock.release()
      },
      isDead: path => isOver(inspectFileSync(path), now),
      remove: async keys => await this.#removeAll(keys, now),
      finish: async pause => {
        if (performance.now() - this.#usersSweptAt < USERS_SWEPT_EVERY) return
        this.#usersSweptAt = performance.now()
        await removeStale(this.#listing, pause)
      }
    })
  }

  async list ({ userId }: ListFilter, page: Page): Promise<RecordPage> {
    this.flush()
    const list = async (): Promise<RecordPage> => userId === undefined ? await listAll(this.#listing, page) : await listOfUser(this.#listing, userId, page)
    return await this.#inDirectory(list).catch(asStoreError)
  }

  /** Exclusive between processes. A process that dies lets go at once. */
  async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    const until = performance.now() + options.wait
    const unlockHere = await this.#locks.acquire(key, options)
    try {
      const lock = new FileLock(join(this.#directory, `.${key}.lock`), this.#owner)
      const isTaken = await this.#inDirectory(() => lock.take(SESSION_LOCK_POLL, until))
      if (!isTaken) throw new SessionLockTimeoutError(RETRY_AFTER)
      let isHeld = true
      const letGo = (): void => {
        if (isHeld) lock.release()
        isHeld = false
      }
      const lease = setTimeout(letGo, options.lease).unref()
      return async () => {
        clearTimeout(lease)
        letGo()
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
    this.#owner.close()
    this.#files.closeAll()
  }

  /**
   * What is in the file of a key at this moment, from memory where the file is unchanged.
   *
   * @param place the file itself, perhaps, as it was when it was asked for before
   * @param isDecisive whether something is written next that depends on it
   */
  #load (key: StoreKey, place: object | undefined, isDecisive = false): SessionFile | undefined {
    if (!this.#hasLooked) this.#lookAround(isDecisive)
    const known = this.#knownFile(key, place)
    const { turn } = this.#lock
    if (known === undefined) return this.#find(key, undefined, turn)
    const wasDamaged = known.entry === undefined
    // As long as this process has had the commit lock, nobody else has written.
    const isVouchedFor = turn !== undefined && known.turn === turn
    if (!this.#isStillThere(known, isVouchedFor, isDecisive)) return this.#find(key, known, turn, wasDamaged)
    if (isVouchedFor) known.isUsed = true
    else if (!this.#refresh(known)) return this.#find(key, known, turn, wasDamaged)
    known.turn = turn
    return known
  }

  #knownFile (key: StoreKey, place: object | undefined): SessionFile | undefined {
    const known = this.#files.get(key, place)
    if (known?.postponer === undefined) return known
    this.#files.writeOut(known)
    // It may have been closed.
    return this.#files.get(key)
  }

  /**
   * Looks at what counts for all that is read in one turn of the event loop, or written in one go at its end.
   *
   * @param isCommit whether that is a commit, which needs the lock now and gives way when it is done
   */
  #lookAround (isCommit: boolean): void {
    if (!this.#place.isSame()) this.#forgetAll()
    this.#now = Math.floor(performance.now())
    this.#hasLooked = true
    if (isCommit) {
      queueMicrotask(this.#lookAgain)
    } else {
      this.#reading.look(this.#now)
      setImmediate(this.#lookAgain)
    }
  }

  /** Whether a file is the one at its path. Other processes may have replaced it while it was not this one's turn. */
  #isStillThere (file: SessionFile, isVouchedFor: boolean, isDecisive: boolean): boolean {
    const now = this.#now
    if (now - file.seenAt < TRUST && (isVouchedFor || !isDecisive)) return true
    file.seenAt = now
    return isAtItsPath(file)
  }

  #refresh (file: SessionFile): boolean {
    this.#reading.noteRead()
    return this.#files.refresh(file)
  }

  #find (key: StoreKey, known: SessionFile | undefined, turn: number | undefined, wasDamaged = false): SessionFile | undefined {
    const file = this.#files.find(key, this.#pathOf(key), known)
    if (file === undefined) return undefined
    if (file.entry === undefined && !wasDamaged) this.#reportDamage(key)
    file.turn = turn
    file.seenAt = this.#now
    return file
  }

  #write (key: StoreKey, entry: Entry, file: SessionFile | undefined, postponer?: Postponer): void {
    try {
      const written = this.#files.write(key, file?.path ?? this.#pathOf(key), entry, file, postponer)
      written.turn = this.#lock.turn
      if (written !== file) written.seenAt = this.#now
    } catch (error) {
      // What is in the file now has to be looked at.
      if (file !== undefined) this.#files.close(file)
      throw error
    }
  }

  /** The directory is another one by now, or none. */
  #forgetAll (): void {
    this.#lock.release()
    this.#files.closeAll()
  }

  async #readLater (key: StoreKey): Promise<StoredRecord | 'gone' | undefined> {
    const found = await inspectFile(this.#pathOf(key)).catch(asStoreError)
    if (found === undefined) return undefined
    if (found.slot === undefined) this.#reportDamage(key)
    return answerIn(found.slot?.entry)
  }

  /** Removes what is still dead now that nobody else can write; it may have been given a longer life meanwhile. */
  async #removeAll (keys: readonly StoreKey[], now: Date): Promise<number> {
    const remove = (key: StoreKey, userId: string | undefined): void => {
      rmSync(this.#pathOf(key), { force: true })
      const known = this.#files.get(key)
      if (known !== undefined) this.#files.close(known)
      if (userId !== undefined) this.#users.remove(nameOf(userId), key)
    }
    const job = (): number => {
      const dead = keys.map(key => ({ key, found: inspectFileSync(this.#pathOf(key)) })).filter(({ found }) => isOver(found, now))
      for (const { key, found } of dead) remove(key, found?.slot?.entry.userId)
      return dead.length
    }
    return await this.#inDirectory(() => this.#exclusively(job)).catch(asStoreError)
  }

  /** Runs a job on a key's file while nobody else can write. */
  #commit<T> (key: StoreKey, place: object | undefined, job: Job<T>): MaybePromise<T> {
    if (!this.#commits.tryBegin()) return this.#commitLater(key, place, job)
    let result: MaybePromise<T>
    try {
      result = this.#attempt(key, place, job)
    } catch (error) {
      result = this.#commitAgain(error, key, place, job)
    }
    this.#commits.end()
    return result
  }

  /** Apart from the above, which then makes no functions. */
  #commitLater<T> (key: StoreKey, place: object | undefined, job: Job<T>): Promise<T> {
    return this.#commits.runLater(key, () => this.#attempt(key, place, job), error => this.#commitAgain(error, key, place, job))
  }

  #attempt<T> (key: StoreKey, place: object | undefined, job: Job<T>): T {
    const file = this.#load(key, place, true)
    // The directory is another one by now, in which nobody holds the lock yet.
    if (this.#lock.turn === undefined) throw new MovedError()
    return job(file)
  }

  /** Where somebody has removed or replaced the directory under the running application: sessions can begin anew. */
  async #commitAgain<T> (error: unknown, key: StoreKey, place: object | undefined, job: Job<T>): Promise<T> {
    if (codeOf(error) !== 'ENOENT') return asStoreError(error)
    try {
      this.#forgetAll()
      this.#place.forget()
      this.#hasLooked = false
      this.open()
    } catch (error) {
      return asStoreError(error)
    }
    return await this.#commits.runLater(key, () => this.#attempt(key, place, job), async error => asStoreError(error))
  }

  async #exclusively<T> (job: () => T): Promise<T> {
    const run = (): T => {
      // What a job looks at are the files.
      this.flush()
      return job()
    }
    if (!this.#commits.tryBegin()) return await this.#commits.runLater(undefined, run, async error => { throw error })
    try {
      return run()
    } finally {
      this.#commits.end()
    }
  }

  async #inDirectory<T> (work: () => Promise<T>): Promise<T> {
    return await work().catch(async (error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
      this.open()
      return await work()
    })
  }

  get #listing (): Listing {
    return { directory: this.#directory, users: this.#users, exclusively: job => this.#exclusively(job) }
  }

  #pathOf (key: StoreKey): string {
    return this.#directory + sep + key
  }

  #reportDamage (key: StoreKey): void {
    this.#report({
      code: 'AMBIENT_SESSION_DAMAGED',
      message: `the session file ${key} is damaged and its session counts as missing; the file will be swept away in a day`,
      key
    })
  }
}

/** To be told as what it is if it happens again and again. */
class MovedError extends Error {
  readonly code = 'ENOENT'
}

/** What a file says. */
function answerIn (entry: Entry | undefined): KeptRecord | 'gone' | undefined {
  if (entry === undefined) return undefined
  const now = Date.now()
  if (entry instanceof KeptRecord) return entry.isOver(now) ? undefined : entry
  return entry.expiresAt.getTime() <= now ? undefined : 'gone'
}

/** Whether a session has expired, or its file been damaged for long enough. */
function isOver (found: Inspected | undefined, now: Date): boolean {
  if (found === undefined) return false
  return (found.slot?.entry.expiresAt.getTime() ?? found.changedAt + DAMAGED_FOR) <= now.getTime()
}

function codeOf (error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error)
}

/** @throws SessionStoreError always: the error itself when it is one, or one that names the file system's error */
function asStoreError (error: unknown): never {
  if (error instanceof SessionStoreError) throw error
  throw new SessionStoreError(`the session files cannot be used at the moment (${codeOf(error)})`, { cause: error })
}
