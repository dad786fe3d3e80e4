/**
 * The lock under which a process writes. It is kept while nobody else wants it: for a few idle milliseconds, and under load
 * for as long as that lasts. Whoever finds it taken leaves a note; a holder who sees the note lets go after what it is doing,
 * and stands back for long enough that the other gets its turn.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SessionStoreError } from '../../errors.ts'
import { FileLock } from './file-lock.ts'
import type { Owner } from './owner.ts'
import { STALE } from './owner.ts'

const LOCK = '.commit.lock'
const NOTE = '.commit.wanted'
/** Milliseconds between two attempts of a process that waits. */
const POLL = 3
/** Milliseconds for which a process stands back that has given way. */
const STAND_BACK = 2 * POLL
/** Milliseconds for which the lock is kept when there is nothing to do. */
const IDLE = 5
/** Milliseconds of work before a busy process gives way. */
const TURN = 10
/** Milliseconds between two looks for a note. */
const LOOK = 1
/** Milliseconds for which the lock is taken to be there still after it was seen: somebody may empty the directory. */
const TRUST = 100
/** Milliseconds after which another process that wanted it does not count any more. */
const MEMORY = 60_000
/** Milliseconds until a commit gives up: longer than it takes to see that a holder elsewhere is dead. */
const WAIT = STALE + 2_000

export class CommitLock {
  readonly #lock: FileLock
  readonly #note: string
  readonly #finish: () => void
  #isHeld = false
  #turn = 0
  #heldSince = 0
  #seenAt = 0
  #usedAt = 0
  #lookedAt = 0
  #standsBackUntil = 0
  #contestedAt = -Infinity
  #rest: NodeJS.Timeout | undefined

  /** @param finish called each time before the lock is let go, to write what has been put off */
  constructor (directory: string, owner: Owner, finish: () => void) {
    this.#lock = new FileLock(join(directory, LOCK), owner)
    this.#note = join(directory, NOTE)
    this.#finish = finish
  }

  /**
   * Counts the times this process has had the lock; `undefined` while it has not. As long as the answer is the same, no
   * other process has written anything.
   */
  get turn (): number | undefined {
    return this.#isHeld ? this.#turn : undefined
  }

  /** Whether it is held still, as far as that is certain: who has hung for long may have lost it. */
  get isCertain (): boolean {
    if (!this.#isHeld || performance.now() - this.#seenAt < TRUST) return this.#isHeld
    try {
      return this.#lock.isOurs()
    } catch {
      return false
    }
  }

  /** When work was last begun. */
  get usedAt (): number {
    return this.#usedAt
  }

  /** Whether no other process has been seen to want it for some time. */
  get isUncontested (): boolean {
    return performance.now() - this.#contestedAt > MEMORY
  }

  /**
   * To be called before each piece of work, and before it is trusted that nobody else has written.
   *
   * @returns whether the lock is held, or was to be had at once
   * @throws the file system's error when it cannot be made
   */
  tryHold (): boolean {
    const now = performance.now()
    if (this.#isHeld) {
      if (now - this.#seenAt < TRUST) return this.#use(now)
      if (this.#lock.isOurs()) {
        this.#seenAt = now
        return this.#use(now)
      }
      this.release()
    }
    if (now < this.#standsBackUntil) return false
    if (this.#lock.tryTake()) return this.#begin(now)
    this.#contestedAt = now
    return false
  }

  /**
   * Resolves when the lock is held.
   *
   * @throws SessionStoreError when it was not to be had; the file system's error when it cannot be made at all
   */
  async hold (): Promise<void> {
    if (this.tryHold()) return
    const leaveNote = (): void => { writeFileSync(this.#note, '', { mode: 0o600 }) }
    await new Promise(resolve => { setTimeout(resolve, this.#standsBackUntil - performance.now()) })
    if (!await this.#lock.take(POLL, performance.now() + WAIT, leaveNote)) {
      throw new SessionStoreError(`the lock ${this.#lock.path} was not to be had for ${WAIT / 1000} s: ` +
        'the process that holds it is stopped, or hangs')
    }
    rmSync(this.#note, { force: true })
    this.#begin(performance.now())
  }

  /**
   * To be called after some work: gives way if another process waits, once enough has been done to be worth the change.
   *
   * @param now when that is; after a single commit, which takes microseconds, when it began will do
   */
  giveWay (now = performance.now()): void {
    if (!this.#isHeld) return
    if (now - this.#heldSince < TURN || now - this.#lookedAt < LOOK) return
    this.#lookedAt = now
    this.#giveWayIfWanted(now)
  }

  release (): void {
    if (!this.#isHeld) return
    this.#finish()
    this.#isHeld = false
    clearTimeout(this.#rest)
    this.#lock.release()
  }

  #giveWayIfWanted (now: number): void {
    if (!existsSync(this.#note)) return
    this.release()
    this.#contestedAt = now
    this.#standsBackUntil = now + STAND_BACK
  }

  #begin (now: number): true {
    this.#isHeld = true
    this.#turn++
    this.#heldSince = this.#seenAt = now
    this.#rest = setTimeout(() => { this.#letGoWhenIdle() }, IDLE)
    return this.#use(now)
  }

  #use (now: number): true {
    this.#usedAt = now
    return true
  }

  /** One timer for as long as the lock is held, and not one for each piece of work. */
  #letGoWhenIdle (): void {
    const now = performance.now()
    const idle = now - this.#usedAt
    if (idle < IDLE) {
      this.#rest = setTimeout(() => { this.#letGoWhenIdle() }, IDLE - idle)
    } else {
      this.#giveWayIfWanted(now)
      this.release()
    }
  }
}
