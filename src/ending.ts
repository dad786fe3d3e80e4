/** The end of all sessions of a user, in rounds: each lists them, and ends what it has found. */
import { SessionStoreError } from './errors.ts'
import type { StoreKey } from './stores/store.ts'

/** Sessions that are ended at the same time: requests of visitors need the store, too. */
const AT_ONCE = 16

/** A page of sessions, and what it says of others. */
export interface FoundPage {
  readonly sessions: ReadonlyArray<{ readonly key: StoreKey }>
  readonly unreadable: number
  readonly moved: readonly StoreKey[]
}

export class Ending {
  readonly #destroy: (key: StoreKey) => Promise<boolean>
  /** Under these keys a session has gone on under another id, and is found there from the next round on. */
  readonly #moved = new Set<StoreKey>()
  /** Why which sessions could not be ended. */
  readonly #failed = new Map<StoreKey, unknown>()
  #ended = 0
  /** In the last round. */
  #unreadable = 0
  /** Whether the round has found a session, or that one may have been missed. */
  foundSome = false

  constructor (destroy: (key: StoreKey) => Promise<boolean>) {
    this.#destroy = destroy
  }

  begin (): void {
    this.foundSome = false
    this.#unreadable = 0
  }

  async add ({ sessions, unreadable, moved }: FoundPage): Promise<void> {
    this.#unreadable += unreadable
    const keys = sessions.map(({ key }) => key).filter(key => !this.#failed.has(key))
    if (keys.length > 0 || moved.some(key => !this.#moved.has(key))) this.foundSome = true
    for (const key of moved) this.#moved.add(key)
    for (let start = 0; start < keys.length; start += AT_ONCE) await Promise.all(keys.slice(start, start + AT_ONCE).map(key => this.#end(key)))
  }

  /** @throws SessionStoreError when some are left */
  result (): number {
    const left = this.#failed.size + this.#unreadable
    if (left === 0) return this.#ended
    throw this.error(`${left} that may be the user's cannot be read or ended by this process. Warnings AMBIENT_SESSION_DAMAGED name files that it may not read`)
  }

  error (why: string): SessionStoreError {
    const [cause] = this.#failed.values()
    return new SessionStoreError(`not all sessions of the user have been ended: ${why}. ${this.#ended} have been; call destroyFor() again when the reason is gone`,
      cause === undefined ? undefined : { cause })
  }

  async #end (key: StoreKey): Promise<void> {
    try {
      if (await this.#destroy(key)) this.#ended++
    } catch (error) {
      this.#failed.set(key, error)
    }
  }
}
