/** Something to be done in two steps. */
export interface Task {
  /** Writes. Does not throw: what fails is told with the answer. */
  work (): void
  /** Tells whoever waits that it is written. */
  answer (): void
}

/** The event loop is let go after this many milliseconds of uninterrupted work. */
const SLICE = 0.5

/**
 * What comes up in one turn of the event loop, done at its end: first all the work, then all the answers. To write many
 * sessions and then answer many requests costs a good deal less than to do both by turns, in which neither finds anything of
 * its own in the processor's caches.
 */
export class EndOfTurn {
  #tasks: Task[] = []
  #isScheduled = false

  add (task: Task): void {
    this.#tasks.push(task)
    this.#schedule()
  }

  /** Does all that is still to be done. */
  finish (): void {
    while (this.#tasks.length > 0) this.#doSome()
  }

  #schedule (): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => { this.#turnEnds() })
  }

  #turnEnds (): void {
    this.#isScheduled = false
    try {
      this.#doSome()
    } finally {
      if (this.#tasks.length > 0) this.#schedule()
    }
  }

  #doSome (): void {
    const begin = performance.now()
    const done = this.#tasks
    let count = 0
    while (count < done.length && (count === 0 || performance.now() - begin < SLICE)) done[count++]?.work()
    this.#tasks = done.splice(count)
    answer(done)
  }
}

/** @throws what the first one throws that does, when all have been told */
function answer (tasks: readonly Task[]): void {
  const failures: unknown[] = []
  for (const task of tasks) {
    try {
      task.answer()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw failures[0]
}
