/** Runs the commits and reloads of one session one after the other: save() may be called while another commit is under way. */
import type { SessionWarning } from '../report.ts'
import type { MaybePromise, StoreKey } from '../stores/store.ts'
import type { SessionChanges } from './changes.ts'
import { commit, type CommitResult } from './commit.ts'
import { loadAgain } from './load.ts'
import { isPromise } from './maybe-promise.ts'
import { quoted } from './names.ts'
import type { SessionSettings } from './settings.ts'

export class CommitQueue {
  readonly #changes: SessionChanges
  readonly #settings: SessionSettings
  /** Settles with the last step that is under way; never rejects. */
  #last: Promise<void> | undefined

  constructor (changes: SessionChanges, settings: SessionSettings) {
    this.#changes = changes
    this.#settings = settings
  }

  /** Stores what is uncommitted, after all steps asked for before. Throws as {@link commit} does. */
  commit (assertCanIssue?: () => void): MaybePromise<CommitResult> {
    return this.run(() => commit(this.#changes, this.#settings, assertCanIssue))
  }

  /** Gives up what is uncommitted and reads again what is stored. */
  async reload (): Promise<void> {
    await this.run(async () => {
      const { origin } = this.#changes
      // A session that is over stays so: a late request must not begin another one.
      if (origin.kind !== 'stored') return this.#changes.restart({ origin, state: undefined })
      this.#changes.restart(loadAgain(this.#settings, origin, await this.#settings.store.read(origin.key)))
    })
  }

  /** Runs what is not to happen while one of these is under way. */
  run<T> (step: () => MaybePromise<T>): MaybePromise<T> {
    const result = this.#last === undefined ? step() : this.#last.then(step)
    if (!isPromise(result)) return result
    const settled: Promise<void> = result.then(() => {}, () => {}).then(() => {
      if (this.#last === settled) this.#last = undefined
    })
    this.#last = settled
    return result
  }
}

/**
 * What to report of a commit that was dropped.
 *
 * @param what was dropped, for people
 * @param keys the names of the changes
 */
export function droppedWarning (what: string, key: StoreKey, keys: readonly string[]): SessionWarning {
  return {
    code: 'AMBIENT_SESSION_DROPPED',
    message: `${what} were dropped, because the session had been ended meanwhile (signed out, regenerated or expired): ${quoted(keys)}`,
    key,
    keys
  }
}
