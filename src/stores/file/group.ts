/** Group commit: all commits that have come together are done under one hold of the lock, one after the other. */
import type { CommitLock } from './commit-lock.ts'

/** The event loop is let go after this many milliseconds of uninterrupted work. */
const SLICE = 0.8

interface Job {
  readonly run: () => unknown
  readonly resolve: (result: never) => void
  readonly reject: (reason: unknown) => void
}

export class Group {
  readonly #lock: CommitLock
  #jobs: Job[] = []
  #working: Promise<void> | undefined

  constructor (lock: CommitLock) {
    this.#lock = lock
  }

  /**
   * Runs a synchronous job while the lock is held.
   *
   * @throws what the job throws, or what taking the lock threw
   */
  run<T> (job: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ run: job, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  /** Resolves when nothing is left to do and the lock is let go. */
  async close (): Promise<void> {
    await this.#working
    await this.#lock.release()
  }

  async #work (): Promise<void> {
    while (this.#jobs.length > 0) {
      try {
        // Asked before every slice: a process that was stopped meanwhile may have lost the lock.
        await this.#lock.hold()
        this.#runSlice()
        await nextTurn()
        await this.#lock.giveWay(this.#jobs.length > 0)
      } catch (error) {
        for (const { reject } of this.#jobs.splice(0)) reject(error)
      }
    }
    this.#lock.rest()
    this.#working = undefined
  }

  #runSlice (): void {
    const begin = performance.now()
    let done = 0
    for (const { run, resolve, reject } of this.#jobs) {
      try {
        resolve(run() as never)
      } catch (error) {
        reject(error)
      }
      done++
      if (performance.now() - begin > SLICE) break
    }
    this.#jobs.splice(0, done)
  }
}

function nextTurn (): Promise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}
