/** One thing at a time for each key, in the order of the calls, within one process. */
export class Turns<Key> {
  readonly #last = new Map<Key, Promise<void>>()

  /** Does something after everything else that was to be done with this key has ended, however it ended. */
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
