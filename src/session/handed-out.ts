import type { Mutation } from './mutations.ts'
import type { Tree } from './paths.ts'
import type { SessionState } from './state.ts'
import type { Encoded } from './values.ts'
import { encode, isPlainText, isUnchanged, MAX_DEPTH_OF_MEMBER } from './values.ts'

type Change = Extract<Mutation, { op: 'change' }>

/** What the application holds of a session's data and may change in place, by top-level keys; and which of it has been changed. */
export class HandedOut {
  /** Whether JSON alone could say all of it, when it was last looked for changes. */
  isPlain = false
  /** With the text of what is under a key, where that is known: it was put there as a whole, or looked at. */
  readonly #texts = new Map<string, Encoded | undefined>()

  has (key: string): boolean {
    return this.#texts.has(key)
  }

  /** Notes what the application has got. */
  add (key: string): void {
    if (!this.#texts.has(key)) this.#texts.set(key, undefined)
  }

  /** Notes that a key holds something else. */
  note (key: string, text: Encoded | undefined): void {
    this.#texts.set(key, text)
  }

  /** @param found what the data was when nothing had been changed in it */
  isUnchanged (data: Tree, found: Tree): boolean {
    return [...this.#texts.keys()].every(key => isUnchanged(data[key], found[key]))
  }

  /**
   * Looks for what was changed in place since it was handed out, put or looked at.
   *
   * @param isOmitted keys of which that does not matter
   * @param shadowOf makes what the state would be had nothing been changed in place: it costs something, and is not always needed
   * @throws SessionValueError when there is something in it that cannot be stored; then it is as if nobody had looked
   */
  changesIn ({ data }: Readonly<SessionState>, isOmitted: (key: string) => boolean, shadowOf: () => SessionState): Change[] {
    const changes: Change[] = []
    this.isPlain = true
    for (const [key, known] of this.#texts) {
      if (!Object.hasOwn(data, key) || isOmitted(key)) continue
      const value = encode(data[key], key, MAX_DEPTH_OF_MEMBER)
      this.isPlain &&= isPlainText(value)
      if (value === known) continue
      const shadow = shadowOf().data
      if (!Object.hasOwn(shadow, key) || encode(shadow[key], key, MAX_DEPTH_OF_MEMBER) !== value) changes.push({ op: 'change', key, value })
    }
    for (const { key, value } of changes) this.#texts.set(key, value)
    return changes
  }
}
