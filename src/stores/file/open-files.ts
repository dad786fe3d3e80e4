/** The session files that were used last, kept open together with their content. */
import { readFileSync, statSync } from 'node:fs'
import { sep } from 'node:path'
import { LRUCache } from 'lru-cache'
import type { Report } from '../../report.ts'
import type { StoreKey } from '../store.ts'
import { codeOf, CREATE, openFile, READ, READ_ONLY_CODES, WRITE } from './disk.ts'
import type { FileLocks } from './locks.ts'
import { SessionFile } from './session-file.ts'

/** Descriptors kept open: a share of those that the process may have, at most so many. */
const MOST_OPEN = 1024
const SHARE = 1 / 4
const FEWEST_OPEN = 8
/** Descriptors kept open where the system does not say how many there may be. */
const FEW_OPEN = 128
/** Milliseconds until a removal by hand is noticed. Removals by a store are noticed at once. */
const TRUST = 1_000
/** How often in a row a file may be found removed or replaced, or being made. */
export const MOST_REPLACED = 100
const NOWHERE = { ino: 0, dev: 0, birthtimeMs: 0 }

export class OpenFiles {
  readonly #directory: string
  readonly #locks: FileLocks
  readonly #report: Report
  readonly #files = new LRUCache<StoreKey, SessionFile>({ max: mostOpen(), dispose: file => { file.close() } })

  #place: Readonly<Record<'ino' | 'dev' | 'birthtimeMs', number>> = NOWHERE
  #hasLookedAround = false

  /** @param report called once for each damage that is found */
  constructor (directory: string, locks: FileLocks, report: Report) {
    this.#directory = directory
    this.#locks = locks
    this.#report = report
  }

  /** @returns the file of a key as it is at this moment, read anew only where it has changed; undefined when there is none */
  look (key: StoreKey): SessionFile | undefined {
    if (!this.#hasLookedAround) this.#lookAround()
    let file = this.#files.get(key)
    const now = performance.now()
    if (file !== undefined && now - file.seenAt > TRUST) {
      if (file.isAtItsPath()) file.seenAt = now
      else file = undefined
    }
    for (let attempt = 1; attempt <= MOST_REPLACED; attempt++) {
      file ??= this.#openToRead(key)
      if (file === undefined) break
      file.refresh()
      if (file.content?.isUncertain === false || this.#isCurrent(key, file)) return file
      file = undefined
    }
    this.close(key)
    return undefined
  }

  /**
   * @param mayCreate whether the file is made, blank, when there is none
   * @returns the file of a key, open for writing; undefined when there is none. It is to be locked, and read again under the lock
   * @throws the file system's error when it cannot be written; ENOENT when there is no directory to make it in
   */
  toWrite (key: StoreKey, mayCreate: boolean): SessionFile | undefined {
    const file = this.#files.get(key)
    return file?.isWritable === true ? file : this.#open(key, mayCreate ? CREATE : WRITE)
  }

  /** Reports the damage of a locked file, which is not being written by another process. */
  reportDamage (key: StoreKey, file: SessionFile): void {
    if (file.content?.isDamaged !== true || file.isReported) return
    file.isReported = true
    this.#report({
      code: 'AMBIENT_SESSION_DAMAGED',
      message: `the session file ${key} is damaged: ` + (file.content.entry === undefined
        ? 'its session counts as missing, and the file will be swept away in a day'
        : 'the newest change of its session is lost, and the one before it counts'),
      key
    })
  }

  close (key: StoreKey): void {
    this.#files.delete(key)
  }

  closeAll (): void {
    this.#files.clear()
  }

  pathOf (key: StoreKey): string {
    return this.#directory + sep + key
  }

  /** Checks, once in each turn of the event loop, whether the directory was removed, moved or mounted over. Commits check their own files. */
  #lookAround (): void {
    this.#hasLookedAround = true
    setImmediate(() => { this.#hasLookedAround = false })
    const { ino, dev, birthtimeMs } = statSync(this.#directory, { throwIfNoEntry: false }) ?? NOWHERE
    const before = this.#place
    if (ino === before.ino && dev === before.dev && birthtimeMs === before.birthtimeMs) return
    this.#place = { ino, dev, birthtimeMs }
    if (before !== NOWHERE) this.closeAll()
  }

  #openToRead (key: StoreKey): SessionFile | undefined {
    try {
      return this.#open(key, WRITE)
    } catch (error) {
      if (!READ_ONLY_CODES.includes(codeOf(error))) throw error
      return this.#open(key, READ)
    }
  }

  #open (key: StoreKey, flags: number): SessionFile | undefined {
    const path = this.pathOf(key)
    try {
      const file = new SessionFile(path, openFile(path, flags), this.#locks, flags !== READ)
      this.#files.set(key, file)
      return file
    } catch (error) {
      if (codeOf(error) === 'ENOENT' && flags !== CREATE) return undefined
      // No descriptors are left: close the files that are open for speed alone.
      if (codeOf(error) !== 'EMFILE' || this.#files.size === 0) throw error
      this.closeAll()
      return this.#open(key, flags)
    }
  }

  /**
   * A file that is not whole is being written, is damaged, or is retired: another one has its place.
   *
   * @returns whether what was read of it, perhaps once more, is what there is
   */
  #isCurrent (key: StoreKey, file: SessionFile): boolean {
    const isHeld = file.isWritable && file.tryLock()
    try {
      if (!file.isAtItsPath()) return false
      // Another process is writing: until it has, the generation before counts, if there is one.
      if (file.isWritable && !isHeld) return file.content?.entry !== undefined
      // Nobody is writing, or that cannot be known: there is no more than what is there now.
      file.refresh()
      this.reportDamage(key, file)
      return true
    } finally {
      if (isHeld) file.unlock()
    }
  }
}

function mostOpen (): number {
  try {
    const limit = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    const share = limit === 'unlimited' ? MOST_OPEN : Math.floor(Number(limit) * SHARE)
    return Math.max(FEWEST_OPEN, Math.min(MOST_OPEN, share))
  } catch {
    return FEW_OPEN
  }
}
