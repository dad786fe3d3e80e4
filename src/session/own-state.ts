import type { Mutation } from './mutations.ts'
import { apply } from './mutations.ts'
import { rootOf } from './paths.ts'
import type { Before } from './splice.ts'
import type { Opened } from './start.ts'
import type { SessionState } from './state.ts'
import { hasFlashes, shallowCopy } from './state.ts'
import { copyOf } from './values.ts'

/**
 * The state as one request sees it. It begins as one that is shared with other requests, and becomes the request's own when it
 * is changed; below that piece by piece: nothing is copied that is not about to be changed or handed out.
 */
export class OwnState implements Before {
  #shared: Opened
  #own: SessionState | undefined
  /** Top-level keys whose values are this request's own, all the way down, and what was there before: the first … */
  #ownKey: string | undefined
  #before: unknown
  /** … and the others, if there are any. */
  #others: Map<string, unknown> | undefined
  /** Whether anything but single values of the data has been changed. */
  #isChangedAtLarge = false

  constructor (shared: Opened) {
    this.#shared = shared
  }

  /** To look at. */
  get current (): Readonly<SessionState> {
    return this.#own ?? this.#shared.state
  }

  /** To set members of: data, flashes and the rest. What is in the data may still be shared. */
  get writable (): SessionState {
    this.#own ??= shallowCopy(this.#shared.state)
    return this.#own
  }

  /** Top-level keys outside of which nothing has been changed; undefined where it may have been anything. */
  get changedKeys (): readonly string[] | undefined {
    if (this.#isChangedAtLarge || this.#ownKey === undefined) return undefined
    return this.#others === undefined ? [this.#ownKey] : [this.#ownKey, ...this.#others.keys()]
  }

  /** @returns what was under a changed key before it was changed first */
  before (key: string): unknown {
    return key === this.#ownKey ? this.#before : this.#others?.get(key)
  }

  /** Applies a mutation; `value` as for {@link apply}. */
  apply (mutation: Mutation, value?: unknown): void {
    if ('path' in mutation) {
      const own = this.#own ??= this.#shared.take()
      const key = rootOf(own.data, mutation.path)
      const before = own.data[key]
      if (!replaces(mutation, key)) this.own(key)
      this.#isChangedAtLarge ||= mutation.op === 'flash' || hasFlashes(own.flashes)
      apply(own, mutation, value)
      this.#noteOwn(key, before)
    } else {
      const { writable } = this
      this.#isChangedAtLarge = true
      apply(writable, mutation, value)
      if (mutation.op === 'change') this.#noteOwn(mutation.key)
      else if (mutation.op === 'replace') Object.keys(writable.data).forEach(key => { this.#noteOwn(key) })
    }
  }

  /** Makes what is under a top-level key this request's own. */
  own (key: string): void {
    if (key === this.#ownKey || this.#others?.has(key) === true) return
    const { data } = this.writable
    // Not what it inherits, as under `__proto__`: that is nothing that a session holds.
    const value = Object.hasOwn(data, key) ? data[key] : undefined
    if (typeof value === 'object' && value !== null) data[key] = copyOf(value)
    this.#noteOwn(key, value)
  }

  /** The state as it is now is shared: from here on this request has none of its own, until it changes anything again. */
  share (opened: Opened): void {
    this.#shared = opened
    this.#own = this.#ownKey = this.#before = this.#others = undefined
    // What has been changed up to here is forgotten with the keys; it need not have been stored.
    this.#isChangedAtLarge = true
  }

  #noteOwn (key: string, before?: unknown): void {
    if (key === this.#ownKey) return
    if (this.#ownKey === undefined) {
      this.#ownKey = key
      this.#before = before
    } else if (this.#others?.has(key) !== true) {
      this.#others = (this.#others ?? new Map<string, unknown>()).set(key, before)
    }
  }
}

/** Whether all that is under a top-level key goes, so that there is nothing to copy of it. */
function replaces (mutation: Extract<Mutation, { path: string }>, key: string): boolean {
  return mutation.path === key && (mutation.op === 'put' || mutation.op === 'flash' || mutation.op === 'forget')
}
