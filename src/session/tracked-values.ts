/**
 * The objects of a session that the application holds, and may change in place: `get('cart').items.push(x)`. A change is found by
 * comparing a value with what would be there otherwise, for these keys alone. Proxies would cost every read, and would not be the
 * objects that were put.
 */
import { type Change, isAtOrBelow, isWhole, type Mutation, replay } from './mutations.ts'
import { rootOf, type Tree } from './paths.ts'
import { decodeState, emptyState, type SessionState } from './state.ts'
import { encode, type Encoded, MAX_DEPTH_OF_MEMBER } from './values.ts'

export class TrackedValues {
  /** By top-level key, what the value was when the application got it; undefined where that is yet to be computed. */
  readonly #known = new Map<string, Encoded | undefined>()
  readonly #foundText: string | undefined
  /** What the session would be if nothing had been changed in place: made when it is needed. */
  #baseline: SessionState | undefined
  /** The mutations that are still to be applied to the baseline. */
  #recorded: Mutation[] = []

  /** @param foundText what was stored when the session was loaded */
  constructor (foundText?: string) {
    this.#foundText = foundText
  }

  /** To be called when the application gets what is under a top-level key. */
  add (key: string): void {
    if (!this.#known.has(key)) this.#known.set(key, undefined)
  }

  /** To be called when a mutation was applied to the data. `value` is the application's own, where the mutation carries its encoding. */
  record (mutation: Mutation, data: Tree, value: unknown): void {
    this.#recorded.push(mutation)
    if (mutation.op === 'replace') {
      for (const [key, member] of Object.entries(data)) this.#track(key, member)
    } else if ('path' in mutation) {
      const key = rootOf(data, mutation.path)
      this.#track(key, value, isWhole(mutation, data) ? mutation.value : undefined)
    }
  }

  /** To be called when all data is given up: what the application still holds of it is its own. */
  clear (): void {
    this.#known.clear()
  }

  /**
   * Takes what was changed in place since it was handed out or put.
   *
   * @param exempt top-level keys under which changes are not stored
   * @throws SessionValueError when something was changed in place that cannot be stored
   */
  takeChanges ({ data, flashes }: SessionState, exempt: ReadonlySet<string>): Change[] {
    const changes: Change[] = []
    for (const [key, known] of this.#known) {
      if (!Object.hasOwn(data, key) || exempt.has(key)) continue
      const value = encode(data[key], key, MAX_DEPTH_OF_MEMBER)
      if (value === (known ?? this.#valueOtherwise(key))) continue
      changes.push({ op: 'change', key, value, flashes: Object.entries(flashes).filter(([path]) => isAtOrBelow(path, key)) })
    }
    for (const { key, value } of changes) this.#known.set(key, value)
    this.#recorded.push(...changes)
    return changes
  }

  /** Tracks what the application has put, as far as it can change it in place. */
  #track (key: string, value: unknown, known?: Encoded): void {
    const isObject = typeof value === 'object' && value !== null
    if (isObject || this.#known.has(key)) this.#known.set(key, known)
  }

  /** @returns what would be under the key if nothing had been changed in place */
  #valueOtherwise (key: string): Encoded | undefined {
    this.#baseline ??= this.#foundText === undefined ? emptyState() : decodeState(this.#foundText)
    replay(this.#baseline, this.#recorded)
    this.#recorded = []
    const { data } = this.#baseline
    return Object.hasOwn(data, key) ? encode(data[key], key, MAX_DEPTH_OF_MEMBER) : undefined
  }
}
