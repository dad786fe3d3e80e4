/** Runs one action at a time for each key, in the order of the calls, within one process. */
export class Turns<Key> {
  readonly #last = new Map<Key, Promise<void>>()

  /** Whether an action of this key is still waiting or running. */
  has (key: Key): boolean {
    return this.#last.has(key)
  }

  /** Runs an action after all earlier ones of its key have succeeded or failed. */
  async take<T> (key: Key, act: () => Promise<T>): Promise<T> {
    const result = (this.#last.get(key) ?? Promise.resolve()).then(act)
    const ended = result.then(() => {}, () => {})
    this.#last.set(key, ended)
    void ended.then(() => {
      if (this.#last.get(key) === ended) this.#last.delete(key)
    })
    return await result
  }
}
