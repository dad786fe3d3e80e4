/** Something to be done in two steps. */
export interface Task {
  /** Does not throw: what fails is told with the answer. */
  work (): void
  /** Tells whoever waits that it is done. */
  answer (): void
}

/** The event loop is let go after this many milliseconds of uninterrupted work, and nobody is held back for much longer. */
const SLICE = 0.5
/** After so many turns with one task each it seems that nothing is to be had from waiting for a second one … */
const TURNS_ALONE = 8
/** … and so many are not held back then, before it is tried again. */
const LET_PASS = 64

/**
 * What comes up in one turn of the event loop, done at its end: first all the work, then all the answers. To handle many
 * requests, then write many sessions, and then answer all costs a good deal less than to do one after the other for each
 * request, in which nothing finds its own code and data in the processor's caches.
 */
export class EndOfTurn {
  #tasks: Task[] = []
  /** When the first of them came. */
  #since = 0
  #isScheduled = false
  #turnsAlone = 0
  #letPass = 0

  /**
   * To be asked once for each task, before it is made: whether it should wait for others. Where each comes alone in its turn,
   * waiting gains nothing and costs some microseconds.
   */
  isWorthwhile (): boolean {
    if (this.#letPass === 0) return true
    this.#letPass--
    return false
  }

  add (task: Task): void {
    const now = performance.now()
    if (this.#tasks.push(task) === 1) this.#since = now
    // The turn may have a lot to do yet, and the next tick comes before that.
    else if (now - this.#since > SLICE) process.nextTick(() => { this.#turnEnds() })
    this.#schedule()
  }

  /** Does all that is still to be done. */
  finish (): void {
    while (this.#tasks.length > 0) this.#doSome()
  }

  #schedule (): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#turnEnds()
    })
  }

  #turnEnds (): void {
    if (this.#tasks.length === 0) return
    this.#learnFrom(this.#tasks.length)
    try {
      this.#doSome()
    } finally {
      if (this.#tasks.length > 0) this.#schedule()
    }
  }

  #learnFrom (count: number): void {
    this.#turnsAlone = count === 1 ? this.#turnsAlone + 1 : 0
    if (this.#turnsAlone >= TURNS_ALONE) this.#letPass = LET_PASS
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
