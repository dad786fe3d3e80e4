/** Work on a session's file under its lock: at once if the lock is free, otherwise as soon as it is. */
import { setTimeout as delay } from 'node:timers/promises'
import { SessionStoreError } from '../../errors.ts'
import type { MaybePromise, StoreKey } from '../store.ts'
import { Turns } from '../turns.ts'
import { MOST_REPLACED, type OpenFiles } from './open-files.ts'
import type { SessionFile } from './session-file.ts'

/** Undefined: there is no file. */
export type Work<T> = (file: SessionFile | undefined) => T

/** Milliseconds for which a commit waits for the lock: longer than it takes a lockfile to become stale. */
const WAIT = 10_000
/** The shortest and the longest pause in milliseconds between two attempts. */
const PAUSE = { first: 0.5, longest: 10 }

const BUSY = Symbol('another holds the lock')

export class LockedFiles {
  readonly #files: OpenFiles
  readonly #isDurable: boolean
  /** The work that waits for a lock, in the order of the calls. */
  readonly #waiting = new Turns<StoreKey>()

  constructor (files: OpenFiles, isDurable: boolean) {
    this.#files = files
    this.#isDurable = isDurable
  }

  /**
   * @param mayCreate whether the file is made when there is none
   * @param confirm called under the lock when the work has been done; on durable files when it is on the disk, too
   * @returns what the work returns, by a promise if it has to wait
   * @throws the file system's error; SessionStoreError when the lock stays held
   */
  run<T> (key: StoreKey, mayCreate: boolean, work: Work<T>, confirm?: () => void): MaybePromise<T> {
    const file = this.#waiting.has(key) ? BUSY : this.#hold(key, mayCreate)
    return file === BUSY ? this.#runLater(key, mayCreate, work, confirm) : this.#finish(key, file, work, confirm)
  }

  /** Works only if the lock is free, and does not wait for the disk. */
  tryRun<T> (key: StoreKey, work: Work<T>): T | typeof BUSY {
    const file = this.#hold(key, false)
    return file === BUSY ? BUSY : this.#workAndUnlock(key, file, work)
  }

  async #runLater<T> (key: StoreKey, mayCreate: boolean, work: Work<T>, confirm?: () => void): Promise<T> {
    const until = performance.now() + WAIT
    return await this.#waiting.take(key, async () => {
      // A lock that is held until the disk has written is rarely free by chance: other processes are to have their turn, too.
      if (this.#isDurable) await delay(1)
      let file = this.#hold(key, mayCreate)
      for (let pause = PAUSE.first; file === BUSY; pause = Math.min(2 * pause, PAUSE.longest)) {
        if (performance.now() > until) {
          throw new SessionStoreError(`the session could not be locked for ${WAIT / 1000} s: the process that is writing it is stopped or hangs`)
        }
        await delay(pause * (1 + Math.random()))
        file = this.#hold(key, mayCreate)
      }
      return await this.#finish(key, file, work, confirm)
    })
  }

  /** Locks the file of a key and reads it. */
  #hold (key: StoreKey, mayCreate: boolean): SessionFile | typeof BUSY | undefined {
    for (let attempt = 1; attempt <= MOST_REPLACED; attempt++) {
      const file = this.#files.toWrite(key, mayCreate)
      if (file === undefined) return undefined
      const isHeld = file.tryLock()
      let isReady = false
      try {
        // It may have been removed or replaced before it was locked, and its directory as well.
        if (file.isAtItsPath()) {
          if (!isHeld) return BUSY
          file.refresh()
          this.#files.reportDamage(key, file)
          isReady = true
          return file
        }
      } finally {
        if (!isReady && isHeld) file.unlock()
      }
      this.#files.close(key)
    }
    throw new SessionStoreError(`the session's file was removed or replaced ${MOST_REPLACED} times in a row`)
  }

  #finish<T> (key: StoreKey, file: SessionFile | undefined, work: Work<T>, confirm?: () => void): MaybePromise<T> {
    if (this.#isDurable && file !== undefined) return this.#finishDurably(key, file, work, confirm)
    return this.#workAndUnlock(key, file, file => {
      const result = work(file)
      confirm?.()
      return result
    })
  }

  /** Holds the lock until the work is on the disk, and takes it back if the flush fails. */
  async #finishDurably<T> (key: StoreKey, file: SessionFile, work: Work<T>, confirm?: () => void): Promise<T> {
    let result: T
    try {
      result = work(file)
      await file.flush()
    } catch (error) {
      this.#workAndUnlock(key, file, () => { file.takeBack() })
      throw error
    }
    return this.#workAndUnlock(key, file, () => {
      confirm?.()
      return result
    })
  }

  /** Works on a locked file for the last time. A file that is still blank is removed. */
  #workAndUnlock<T> (key: StoreKey, file: SessionFile | undefined, work: Work<T>): T {
    try {
      return work(file)
    } finally {
      file?.removeIfBlank()
      file?.unlock()
      if (file?.isRemoved === true) this.#files.close(key)
    }
  }
}
