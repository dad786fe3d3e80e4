import type { MaybePromise } from '../stores/store.ts'
import type { Outcome } from './commit.ts'
import { commit, isRenewable } from './commit.ts'
import type { Keeper } from './keeper.ts'
import { nothing, startFrom } from './keeper.ts'
import { andThen } from './maybe-promise.ts'
import type { UnitOfWork } from './unit-of-work.ts'

/** The commits of one unit of work, one after the other, and what they mean together for the browser. */
export class CommitSequence {
  readonly #work: UnitOfWork
  readonly #keeper: Keeper
  #last: Promise<unknown> | undefined
  #outcome: Outcome = 'same'

  constructor (work: UnitOfWork, keeper: Keeper) {
    this.#work = work
    this.#keeper = keeper
  }

  /** Whether a commit would do anything, or one is under way. */
  get isNeeded (): boolean {
    const { stored, isClean } = this.#work
    return !isClean || this.#last !== undefined || (stored !== undefined && isRenewable(stored.record, this.#keeper))
  }

  /**
   * Stores what is uncommitted, after all commits asked for before. Throws as {@link commit} does.
   *
   * @returns undefined when that is done already
   */
  commit (): Promise<void> | undefined {
    return this.#inTurn(() => andThen(commit(this.#work, this.#keeper), outcome => {
      if (outcome !== 'same') this.#outcome = outcome
    }))
  }

  /** Gives up what is uncommitted and reads again what is stored. */
  async reload (): Promise<void> {
    await this.#inTurn(async () => {
      const { origin } = this.#work
      // A session that was ended stays ended: a late request must not begin another one.
      if (origin.kind !== 'stored') return this.#work.restart({ ...nothing(), origin })
      const { id, key } = origin
      this.#work.restart(startFrom(this.#keeper, id, key, await this.#keeper.store.read(key)))
    })
  }

  /** @returns what the browser has to be told, once */
  takeOutcome (): Outcome {
    const outcome = this.#outcome
    this.#outcome = 'same'
    return outcome
  }

  #inTurn (step: () => MaybePromise<void>): Promise<void> | undefined {
    const result = this.#last === undefined ? step() : this.#last.then(step)
    if (!(result instanceof Promise)) return undefined
    const done = (): void => { if (this.#last === last) this.#last = undefined }
    const last: Promise<void> = result.then(done, done)
    this.#last = last
    return result
  }
}
