/**
 * Has a process that reads a lot keep the commit lock, while no other one wants it: as long as it has the lock nobody else can
 * have written, and reading what it knows costs no system call.
 */
import type { CommitLock } from './commit-lock.ts'

/** Milliseconds over which reads are counted. */
const WINDOW = 10
/** As many in that time are worth more than taking the lock costs. */
const MANY = 100

export class ReadingTurn {
  readonly #lock: CommitLock
  #reads = 0
  #since = 0

  constructor (lock: CommitLock) {
    this.#lock = lock
  }

  /** A file had to be looked at. */
  noteRead (): void {
    this.#reads++
  }

  /**
   * To be called once in each turn of the event loop in which anything is read.
   *
   * @param now by {@link performance.now}
   */
  look (now: number): void {
    try {
      if (this.#lock.turn === undefined) this.#take(now)
      else if (this.#lock.tryHold()) this.#lock.giveWay()
    } catch {
      // Reading does without it. Whoever has to write is told.
      this.#lock.release()
    }
  }

  #take (now: number): void {
    if (now - this.#since < WINDOW) return
    const areMany = this.#reads >= MANY
    this.#reads = 0
    this.#since = now
    if (areMany && this.#lock.isUncontested) this.#lock.tryHold()
  }
}
