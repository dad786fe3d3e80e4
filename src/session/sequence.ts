import type { Committer, Outcome } from './commit.ts'
import { commit, isRenewable } from './commit.ts'
import type { Keeper } from './keeper.ts'
import { startFrom } from './keeper.ts'
import { EMPTY, Start } from './start.ts'
import type { UnitOfWork } from './unit-of-work.ts'

/** The commits of one unit of work, one after the other, and what they mean together for the browser. */
export class CommitSequence implements Committer {
  readonly #work: UnitOfWork
  readonly #keeper: Keeper
  /** The last of the steps that are not over yet, and how many there are. */
  #last: Promise<void> | undefined
  #steps = 0
  #outcome: Outcome = 'same'

  constructor (work: UnitOfWork, keeper: Keeper) {
    this.#work = work
    this.#keeper = keeper
  }

  /** Whether a commit would do anything, or one is under way. */
  get isNeeded (): boolean {
    const { stored, isClean } = this.#work
    return !isClean || this.#steps > 0 || (stored !== undefined && isRenewable(stored, this.#keeper))
  }

  /**
   * Stores what is uncommitted, after all commits asked for before. Throws as {@link commit} does.
   *
   * @returns undefined when that is done already
   */
  commit (): Promise<void> | undefined {
    return this.#begin() ? this.#noteLast(this.#commit()) : this.#after(() => this.#commit())
  }

  noteOver (outcome: Outcome = 'same'): void {
    if (outcome !== 'same') this.#outcome = outcome
    if (--this.#steps === 0) this.#last = undefined
  }

  /** Gives up what is uncommitted and reads again what is stored. */
  async reload (): Promise<void> {
    const step = (): Promise<void> => this.#reload().finally(() => { this.noteOver() })
    await (this.#begin() ? this.#noteLast(step()) : this.#after(step))
  }

  /** @returns what the browser has to be told, once */
  takeOutcome (): Outcome {
    const outcome = this.#outcome
    this.#outcome = 'same'
    return outcome
  }

  async #reload (): Promise<void> {
    const { origin } = this.#work
    // A session that was ended stays ended: a late request must not begin another one.
    if (origin.kind !== 'stored') return this.#work.restart(new Start(origin, EMPTY))
    const { id, key, known } = origin
    this.#work.restart(startFrom(this.#keeper, id, key, await this.#keeper.store.read(key, known.place), known))
  }

  #commit (): Promise<void> | undefined {
    return commit(this.#work, this.#keeper, this)
  }

  /** @returns whether nothing has to be waited for. The step says so itself when it is over: a promise more would cost as much as a commit to memory does. */
  #begin (): boolean {
    return this.#steps++ === 0 || this.#last === undefined
  }

  #after (step: () => Promise<void> | undefined): Promise<void> | undefined {
    return this.#noteLast(this.#last?.then(step, step))
  }

  #noteLast (last: Promise<void> | undefined): Promise<void> | undefined {
    if (last !== undefined) this.#last = last
    return last
  }
}
