/**
 * The commits of one process: at once while it has the commit lock or can have it, and otherwise together as soon as it
 * has; together as well where all of them wait for the disk.
 */
import type { StoreKey } from '../store.ts'
import type { CommitLock } from './commit-lock.ts'

/** The event loop is let go after this many milliseconds of uninterrupted work. */
const SLICE = 0.5

/** Something to be done while the lock is held. */
class Job<T = unknown> {
  readonly key: StoreKey | undefined
  readonly #work: () => T
  readonly #recover: (error: unknown) => Promise<T>
  readonly #resolve: (result: T | Promise<T>) => void
  #result: T | undefined
  #failure: { readonly error: unknown } | undefined

  constructor (key: StoreKey | undefined, work: () => T, recover: (error: unknown) => Promise<T>, resolve: (result: T | Promise<T>) => void) {
    this.key = key
    this.#work = work
    this.#recover = recover
    this.#resolve = resolve
  }

  run (): void {
    try {
      this.#result = this.#work()
    } catch (error) {
      this.#failure = { error }
    }
  }

  /** Tells whoever waits for it. */
  settle (): void {
    this.#resolve(this.#failure === undefined ? this.#result as T : this.#recover(this.#failure.error))
  }

  /** What it has done, if it has done anything, does not count. */
  fail (error: unknown): void {
    this.#failure ??= { error }
    this.settle()
  }
}

export class Commits {
  readonly #lock: CommitLock
  readonly #flush: (() => Promise<void>) | undefined
  #jobs: Job[] = []
  #working: Promise<void> | undefined

  /** @param flush makes what a group has written last; a commit counts when that is done */
  constructor (lock: CommitLock, flush?: () => Promise<void>) {
    this.#lock = lock
    this.#flush = flush
  }

  /** @returns whether something may be done at once, after which {@link end} is to be called */
  tryBegin (): boolean {
    return this.#flush === undefined && this.#working === undefined && this.#canBegin()
  }

  end (): void {
    this.#lock.giveWay(this.#lock.usedAt)
  }

  /**
   * Does something synchronous as soon as the lock is held.
   *
   * @param key the session that it writes to, if it is one; in a group that waits for the disk each has one job at most
   * @param recover is given what was thrown, or why the lock was not to be had, and gives or throws what comes of it
   */
  runLater<T> (key: StoreKey | undefined, work: () => T, recover: (error: unknown) => Promise<T>): Promise<T> {
    return new Promise<T>(resolve => {
      this.#jobs.push(new Job(key, work, recover, resolve) as Job)
      this.#working ??= this.#workOff()
    })
  }

  /** Resolves when nothing is left to do and the lock is let go. */
  async close (): Promise<void> {
    await this.#working
    this.#lock.release()
  }

  #canBegin (): boolean {
    try {
      return this.#lock.tryHold()
    } catch {
      // Whoever waits for it is told why.
      return false
    }
  }

  #takeAll (): Job[] {
    const jobs = this.#jobs
    this.#jobs = []
    return jobs
  }

  async #workOff (): Promise<void> {
    do {
      await endOfTurn()
      try {
        await this.#lock.hold()
        await this.#runGroup()
        this.#lock.giveWay()
      } catch (error) {
        for (const job of this.#takeAll()) job.fail(error)
      }
    } while (this.#jobs.length > 0)
    this.#working = undefined
  }

  async #runGroup (): Promise<void> {
    const begin = performance.now()
    const done: Job[] = []
    const seen = new Set<StoreKey>()
    for (const job of this.#takeAll()) {
      const isInTime = done.length === 0 || performance.now() - begin < SLICE
      if (!isInTime || this.#mustWait(job, seen)) {
        this.#jobs.push(job)
      } else {
        job.run()
        done.push(job)
      }
    }
    try {
      await this.#flush?.()
      for (const job of done) job.settle()
    } catch (error) {
      for (const job of done) job.fail(error)
    }
  }

  /** Two generations of one session that have not reached the disk could leave neither of them after a loss of power. */
  #mustWait ({ key }: Job, seen: Set<StoreKey>): boolean {
    if (this.#flush === undefined || key === undefined) return false
    if (seen.has(key)) return true
    seen.add(key)
    return false
  }
}

function endOfTurn (): Promise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}
