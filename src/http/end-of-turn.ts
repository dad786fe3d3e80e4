/** Something to be done in two steps. Neither throws. */
export interface Task {
  /** Writes. */
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

  add (task: Task): void {
    this.#tasks.push(task)
    if (this.#tasks.length === 1) this.#schedule()
  }

  /** Does all that is still to be done. */
  finish (): void {
    while (this.#tasks.length > 0) this.#doSome()
  }

  #schedule (): void {
    setImmediate(() => {
      this.#doSome()
      if (this.#tasks.length > 0) this.#schedule()
    })
  }

  #doSome (): void {
    const begin = performance.now()
    const tasks = this.#tasks
    let done = 0
    while (done < tasks.length && (done === 0 || performance.now() - begin < SLICE)) tasks[done++]?.work()
    this.#tasks = tasks.slice(done)
    for (const task of tasks.slice(0, done)) task.answer()
  }
}
