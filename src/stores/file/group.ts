/**
 * Group commit: everything that waits is done under one lock. A lock between processes costs as much as fifty writes, so
 * it is taken once for all commits that have come together, not once for each.
 */
import type { MaybePromise, Unlock } from '../store.ts'

/** The event loop is let go after this many milliseconds of uninterrupted jobs … */
const SLICE = 0.8
/** … and the lock after this many, so that other processes get their turn under load. */
const HOLD = 20

interface Job {
  readonly run: () => unknown
  readonly resolve: (result: never) => void
  readonly reject: (reason: unknown) => void
}

export class Group {
  readonly #lock: () => Promise<Unlock>
  readonly #jobs: Job[] = []
  #working: Promise<void> | undefined

  /** @param lock takes the lock, or rejects when it is not to be had: all jobs that wait are rejected with it */
  constructor (lock: () => Promise<Unlock>) {
    this.#lock = lock
  }

  /** Runs a synchronous job while the lock is held; jobs run one after the other, in the order they came. */
  run<T> (job: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ run: job, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  /** Resolves when nothing is left to do. */
  async idle (): Promise<void> {
    await this.#working
  }

  async #work (): Promise<void> {
    while (this.#jobs.length > 0) {
      try {
        const unlock = await this.#lock()
        await this.#runJobs()
        await unlock()
      } catch (error) {
        for (const { reject } of this.#jobs.splice(0)) reject(error)
      }
    }
    this.#working = undefined
  }

  async #runJobs (): Promise<void> {
    const begin = performance.now()
    let sliceBegin = begin
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      settle(job)
      if (performance.now() - sliceBegin > SLICE) {
        await nextTurn()
        sliceBegin = performance.now()
      }
      // Asked after the pause: a process that was stopped meanwhile may have lost the lock.
      if (performance.now() - begin > HOLD) return
    }
  }
}

function settle ({ run, resolve, reject }: Job): void {
  try {
    resolve(run() as never)
  } catch (error) {
    reject(error)
  }
}

function nextTurn (): MaybePromise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}
