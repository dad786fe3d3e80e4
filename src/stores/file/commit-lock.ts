/**
 * The lock under which a process writes. It costs as much as fifty writes, so it is kept while nobody else wants it: for a
 * few idle milliseconds, and under load for as long as that lasts. Whoever finds it taken leaves a note; a holder who sees
 * the note lets go after what it is doing, and stands back for long enough that the other gets its turn.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { SessionStoreError } from '../../errors.ts'
import type { HeldLock } from './directory-lock.ts'
import { waitForLock } from './directory-lock.ts'

const LOCK = '.commit.lock'
const NOTE = '.commit.wanted'
/** Milliseconds between two attempts of a process that waits. */
const POLL = 3
/** Milliseconds for which the lock is kept when there is nothing to do. */
const IDLE = 5
/** Milliseconds for which nobody can have taken the lock over after it was found ours: renewed each second, stale after three. */
const TRUST = 1_000
/** Milliseconds of work before a busy process gives way. */
const TURN = 10
/** Milliseconds until a commit gives up: well beyond the time after which a dead holder's lock is taken over. */
const WAIT = 10_000

export class CommitLock {
  readonly #path: string
  readonly #note: string
  #held: HeldLock | undefined
  #heldSince = 0
  #verifiedAt = 0
  #turn = 0
  #idle: NodeJS.Timeout | undefined

  constructor (directory: string) {
    this.#path = join(directory, LOCK)
    this.#note = join(directory, NOTE)
  }

  /**
   * Resolves when the lock is held.
   *
   * @throws SessionStoreError when it was not to be had; the file system's error when it cannot be made at all
   */
  async hold (): Promise<void> {
    clearTimeout(this.#idle)
    if (this.#held?.isOurs() === true) {
      this.#verifiedAt = performance.now()
      return
    }
    this.#held = await waitForLock(this.#path, POLL, Date.now() + WAIT, () => { writeFileSync(this.#note, '', { mode: 0o600 }) })
    if (this.#held === undefined) throw new SessionStoreError(`the lock ${this.#path} was not to be had for ${WAIT / 1000} s`)
    rmSync(this.#note, { force: true })
    this.#turn++
    this.#heldSince = this.#verifiedAt = performance.now()
  }

  /**
   * Counts the times this process has had the lock; `undefined` while it has not. As long as the answer is the same, no
   * other process has written anything.
   */
  get turn (): number | undefined {
    return this.#held !== undefined && performance.now() - this.#verifiedAt < TRUST ? this.#turn : undefined
  }

  /** To be called after some work: gives way if another process waits, once enough has been done to be worth the change. */
  async giveWay (isBusy: boolean): Promise<void> {
    if (isBusy && performance.now() - this.#heldSince < TURN) return
    if (!existsSync(this.#note)) return
    await this.release()
    await delay(POLL * 2)
  }

  /** To be called when there is no more work: lets go unless there is some again at once. */
  rest (): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => { void this.release() }, IDLE)
  }

  async release (): Promise<void> {
    clearTimeout(this.#idle)
    const held = this.#held
    this.#held = undefined
    await held?.release()
  }
}
