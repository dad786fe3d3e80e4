/** An open file that can be locked. All calls are synchronous. */
import { closeSync, lstatSync } from 'node:fs'
import type { OpenedFile } from './disk.ts'
import type { FileLocks } from './locks.ts'

export class LockableFile {
  readonly path: string
  protected readonly locks: FileLocks
  #opened: OpenedFile
  #isLocked = false
  #isClosed = false

  constructor (path: string, opened: OpenedFile, locks: FileLocks) {
    this.path = path
    this.locks = locks
    this.#opened = opened
  }

  /** Whether it is the file at its path: it may have been removed or replaced, and its directory as well. */
  isAtItsPath (): boolean {
    const status = lstatSync(this.path, { throwIfNoEntry: false })
    return status !== undefined && status.ino === this.#opened.ino && status.dev === this.#opened.dev
  }

  /** @returns whether the lock was free; false as well while this store itself holds it */
  tryLock (): boolean {
    if (this.#isLocked) return false
    this.#isLocked = this.locks.tryLock(this.descriptor, this.path)
    return this.#isLocked
  }

  /** Does nothing when it is not locked. */
  unlock (): void {
    if (!this.#isLocked) return
    this.#isLocked = false
    try {
      this.locks.unlock(this.descriptor, this.path)
    } finally {
      if (this.#isClosed) closeSync(this.descriptor)
    }
  }

  /** Closes the file, or has it closed when it is unlocked. To be called once. */
  close (): void {
    this.#isClosed = true
    if (!this.#isLocked) closeSync(this.descriptor)
  }

  protected get descriptor (): number {
    return this.#opened.descriptor
  }

  /** Goes on with another file, which is locked as this one is. */
  protected become (opened: OpenedFile): void {
    closeSync(this.descriptor)
    this.#opened = opened
  }
}
