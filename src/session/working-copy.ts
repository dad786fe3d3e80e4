/**
 * What one request sees of its session: what was found, with the request's own changes.
 *
 * An object that the application puts under a whole key, or pushes to a list, stays its own: what it changes in it is stored. A
 * path never leads into such an object, because other requests may put the same one, a constant for example: it is copied first,
 * and what is put below a key is a copy.
 */
import { apply, type Change, isWhole, type Mutation } from './mutations.ts'
import { rootOf, valueAt } from './paths.ts'
import { emptyState, type SessionState } from './state.ts'
import { TrackedValues } from './tracked-values.ts'
import { decode, encode, MAX_DEPTH_OF_MEMBER } from './values.ts'

type MutationOfPath = Extract<Mutation, { path: string }>

export class WorkingCopy {
  /** To look at, not to change. */
  readonly state: SessionState
  /** Keys put with now(): seen by this request, never stored. */
  readonly transient = new Set<string>()
  /** What the application was given, or has put, and may change in place. */
  readonly #tracked: TrackedValues
  /** Top-level keys whose values are the application's own objects, or lists that have such elements. */
  readonly #lent = new Map<string, 'itself' | 'elements'>()

  /**
   * @param state belongs to the working copy from then on
   * @param text the same as it is stored; undefined where it is not
   */
  constructor (state: SessionState = emptyState(), text?: string) {
    this.state = state
    this.#tracked = new TrackedValues(text)
  }

  /** @returns the value at a path, of which a change in place will be noticed */
  handOut (path: string): unknown {
    const { data } = this.state
    const value = valueAt(data, path)
    if (typeof value === 'object' && value !== null) this.#tracked.add(rootOf(data, path))
    return value
  }

  /**
   * Makes a change.
   *
   * @param value the application's own, where the mutation carries its encoding
   * @returns false where it only concerns what was put for this request, and is not to be stored
   * @throws SessionValueError when it does not fit what is there; nothing is changed then
   */
  change (mutation: Mutation, value?: unknown): boolean {
    if (mutation.op === 'flush' || mutation.op === 'replace') this.#letGo()
    if ('path' in mutation && this.transient.has(rootOf(this.state.data, mutation.path))) {
      if (!this.#replacesTransient(mutation)) {
        this.#apply(mutation, value)
        return false
      }
      this.transient.delete(mutation.path)
      delete this.state.data[mutation.path]
    }
    this.#apply(mutation, value)
    this.#tracked.record(mutation, this.state.data, value)
    return true
  }

  /** Puts a value for this request only. The key is a whole one: its dots do not walk. */
  putTransient (key: string, value: unknown): void {
    apply(this.state, { op: 'change', key, value: encode(value, key) }, value)
    this.transient.add(key)
    this.#lent.set(key, 'itself')
  }

  /**
   * Takes what was changed in place since it was handed out or put.
   *
   * @throws SessionValueError when something was changed in place that cannot be stored
   */
  takeChangesInPlace (): Change[] {
    return this.#tracked.takeChanges(this.state, this.transient)
  }

  /** Has nothing more to do with the objects that the application holds. */
  #letGo (): void {
    this.transient.clear()
    this.#tracked.clear()
    this.#lent.clear()
  }

  #replacesTransient ({ op, path }: MutationOfPath): boolean {
    return this.transient.has(path) && (op === 'put' || op === 'flash' || op === 'forget')
  }

  #apply (mutation: Mutation, value: unknown): void {
    const { state } = this
    if (mutation.op === 'replace') {
      apply(state, mutation, value)
      for (const key of Object.keys(state.data)) this.#lent.set(key, 'itself')
    } else if (isWhole(mutation, state.data)) {
      apply(state, mutation, value)
      this.#lent.set(mutation.path, 'itself')
    } else if (mutation.op === 'push' && rootOf(state.data, mutation.path) === mutation.path) {
      if (this.#lent.get(mutation.path) === 'itself') this.#replaceByCopy(mutation.path)
      apply(state, mutation, value)
      this.#lent.set(mutation.path, 'elements')
    } else {
      if ('path' in mutation) this.#replaceByCopy(rootOf(state.data, mutation.path))
      apply(state, mutation)
    }
  }

  /** Puts a copy in the place of what the application has lent. */
  #replaceByCopy (key: string): void {
    const { data } = this.state
    if (!this.#lent.delete(key) || !Object.hasOwn(data, key)) return
    data[key] = decode(encode(data[key], key, MAX_DEPTH_OF_MEMBER))
  }
}
