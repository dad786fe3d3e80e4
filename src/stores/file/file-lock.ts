/** An exclusive lock between processes: a name in the directory that only one of them can link its owner's file to. */
import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Owner } from './owner.ts'
import { Watch } from './owner.ts'

/** Milliseconds between two looks at whether the holder has died: dearer than trying to take the lock. */
const LOOK = 20

export class FileLock {
  readonly path: string
  readonly #owner: Owner
  #watch: Watch | undefined
  #lookedAt = -Infinity
  /** The right to remove the lock of a dead holder. */
  #right: FileLock | undefined

  constructor (path: string, owner: Owner) {
    this.path = path
    this.#owner = owner
  }

  /**
   * Takes the lock if it is to be had at once: nobody holds it, or whoever held it has died.
   *
   * @throws the file system's error when it cannot be made
   */
  tryTake (): boolean {
    const isTaken = this.#owner.linkTo(this.path) || (this.#removeDead() && this.#owner.linkTo(this.path))
    if (isTaken) this.#watch = undefined
    return isTaken
  }

  /**
   * @param between milliseconds between two attempts, on average; varied so that waiters do not move in step
   * @param until when to give up, by {@link performance.now}
   * @param whileHeld called after each attempt in vain
   * @returns whether the lock was to be had in time
   */
  async take (between: number, until: number, whileHeld = (): void => {}): Promise<boolean> {
    while (!this.tryTake()) {
      if (performance.now() >= until) return false
      whileHeld()
      await delay(between * (0.5 + Math.random()))
    }
    return true
  }

  /** Whether it is still held: somebody may have emptied the directory, or not have seen a sign of life for long. */
  isOurs (): boolean {
    return this.#owner.isAt(this.path)
  }

  release (): void {
    this.#owner.unlinkFrom(this.path)
  }

  /**
   * Removes the lock of a holder that has died. Whoever does so holds another lock meanwhile, so that nobody removes the one
   * that the next holder has made since.
   */
  #removeDead (): boolean {
    const now = performance.now()
    if (now - this.#lookedAt < LOOK) return false
    this.#lookedAt = now
    this.#watch ??= new Watch(this.path)
    const dead = this.#watch.deadHolder()
    if (dead === undefined) return false
    const right = this.#right ??= new FileLock(`${this.path}.takeover`, this.#owner)
    if (!right.tryTake()) return false
    try {
      const isStill = this.#watch.deadHolder() === dead
      if (isStill) rmSync(this.path, { force: true })
      return isStill
    } finally {
      right.release()
    }
  }
}
