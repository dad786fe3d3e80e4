/**
 * The commits of one process: at once while it holds the commit lock or finds it free, and otherwise, or where the disk has
 * to be waited for, in groups that share one hold of it.
 */
import type { MaybePromise, StoreKey } from '../store.ts'
import type { CommitLock } from './commit-lock.ts'

/** The event loop is let go after this many milliseconds of uninterrupted work. */
const SLICE = 0.5

interface Job {
  readonly key: StoreKey | undefined
  readonly run: () => unknown
  readonly resolve: (result: never) => void
  readonly reject: (reason: unknown) => void
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

  /**
   * Runs a synchronous job while the lock is held.
   *
   * @param key the session that it writes to, if it is one; in a group that waits for the disk each has one job at most
   * @throws what the job throws, or what taking the lock threw
   */
  run<T> (key: StoreKey | undefined, job: () => T): MaybePromise<T> {
    if (this.#flush !== undefined || this.#working !== undefined || !this.#lock.tryHold()) return this.#queue(key, job)
    try {
      return job()
    } finally {
      this.#lock.giveWay(true)
    }
  }

  /** Resolves when nothing is left to do and the lock is let go. */
  async close (): Promise<void> {
    await this.#working
    this.#lock.release()
  }

  #queue<T> (key: StoreKey | undefined, job: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ key, run: job, resolve, reject })
      this.#working ??= this.#work()
    })
  }

  async #work (): Promise<void> {
    while (this.#jobs.length > 0) {
      try {
        await this.#lock.hold()
        await this.#runSlice()
        this.#lock.giveWay(this.#jobs.length > 0)
      } catch (error) {
        for (const { reject } of this.#jobs.splice(0)) reject(error)
      }
    }
    this.#working = undefined
  }

  async #runSlice (): Promise<void> {
    const slice = this.#takeSlice()
    const done: Done[] = []
    const begin = performance.now()
    do done.push(runJob(slice.shift() as Job))
    while (slice.length > 0 && performance.now() - begin < SLICE)
    this.#jobs.unshift(...slice)
    if (this.#flush === undefined) {
      for (const { settle } of done) settle()
      return await nextTurn()
    }
    try {
      await this.#flush()
      for (const { settle } of done) settle()
    } catch (error) {
      for (const { job } of done) job.reject(error)
    }
  }

  /** Two generations of one session that have not reached the disk could leave neither of them after a loss of power. */
  #takeSlice (): Job[] {
    const jobs = this.#jobs
    this.#jobs = []
    if (this.#flush === undefined) return jobs
    const seen = new Set<StoreKey>()
    const slice: Job[] = []
    for (const job of jobs) {
      if (job.key !== undefined && seen.has(job.key)) {
        this.#jobs.push(job)
      } else {
        if (job.key !== undefined) seen.add(job.key)
        slice.push(job)
      }
    }
    return slice
  }
}

/** A job that has been run, and how to tell whoever waits for it. */
interface Done {
  readonly job: Job
  readonly settle: () => void
}

function runJob (job: Job): Done {
  try {
    const result = job.run() as never
    return { job, settle: () => { job.resolve(result) } }
  } catch (error) {
    return { job, settle: () => { job.reject(error) } }
  }
}

function nextTurn (): Promise<void> {
  return new Promise(resolve => { setImmediate(resolve) })
}
