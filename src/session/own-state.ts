import type { Mutation } from './mutations.ts'
import { apply } from './mutations.ts'
import { rootOf } from './paths.ts'
import type { SessionState } from './state.ts'
import { hasFlashes, shallowCopy } from './state.ts'
import { copyOf } from './values.ts'

/**
 * The state as one request sees it. It begins as one that is shared with other requests, and becomes the request's own
 * piece by piece: nothing is copied that is not about to be changed or handed out.
 */
export class OwnState {
  #current: SessionState
  #isShared = true
  /** Top-level keys whose values are this request's own, all the way down: the first, and the others if there are any. */
  #ownKey: string | undefined
  #otherKeys: Set<string> | undefined
  /** Whether anything but single values of the data has been changed. */
  #isChangedAtLarge = false

  /** @param shared is never changed */
  constructor (shared: Readonly<SessionState>) {
    this.#current = shared
  }

  /** To look at. */
  get current (): Readonly<SessionState> {
    return this.#current
  }

  /** To set members of: data, flashes and the rest. What is in the data may still be shared. */
  get writable (): SessionState {
    if (this.#isShared) {
      this.#current = shallowCopy(this.#current)
      this.#isShared = false
    }
    return this.#current
  }

  /** Top-level keys outside of which nothing has been changed; undefined where it may have been anything. */
  get changedKeys (): readonly string[] | undefined {
    if (this.#isChangedAtLarge || this.#ownKey === undefined) return undefined
    return [this.#ownKey, ...this.#otherKeys ?? []]
  }

  /** Applies a mutation; `value` as for {@link apply}. */
  apply (mutation: Mutation, value?: unknown): void {
    const { writable } = this
    if ('path' in mutation) {
      const key = rootOf(writable.data, mutation.path)
      if (!replaces(mutation, key)) this.own(key)
      this.#isChangedAtLarge ||= mutation.op === 'flash' || hasFlashes(writable.flashes)
      apply(writable, mutation, value)
      this.#noteOwn(key)
    } else {
      this.#isChangedAtLarge = true
      apply(writable, mutation, value)
      if (mutation.op === 'change') this.#noteOwn(mutation.key)
      else if (mutation.op === 'replace') Object.keys(writable.data).forEach(key => { this.#noteOwn(key) })
    }
  }

  /** Makes what is under a top-level key this request's own. */
  own (key: string): void {
    if (key === this.#ownKey || this.#otherKeys?.has(key) === true) return
    const { data } = this.writable
    const value = data[key]
    if (typeof value === 'object' && value !== null) data[key] = copyOf(value)
    this.#noteOwn(key)
  }

  #noteOwn (key: string): void {
    this.#ownKey ??= key
    if (key !== this.#ownKey) this.#otherKeys = (this.#otherKeys ?? new Set()).add(key)
  }

  /** @returns the state as it is now, to be shared: from here on this request copies it before it changes anything */
  share (): Readonly<SessionState> {
    this.#isShared = true
    this.#ownKey = this.#otherKeys = undefined
    // What has been changed up to here is forgotten with the keys; it need not have been stored.
    this.#isChangedAtLarge = true
    return this.#current
  }
}

/** Whether all that is under a top-level key goes, so that there is nothing to copy of it. */
function replaces (mutation: Extract<Mutation, { path: string }>, key: string): boolean {
  return mutation.path === key && (mutation.op === 'put' || mutation.op === 'flash' || mutation.op === 'forget')
}
