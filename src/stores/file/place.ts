import { statSync } from 'node:fs'

/**
 * Notices when the directory at a path is another one, or none: somebody may have removed it, or put one in its place. Looks
 * once in each turn of the event loop in which it is asked, so that many requests share what it costs.
 */
export class Place {
  /** When it was last looked, in whole milliseconds by {@link performance.now}. */
  lookedAt = 0
  readonly #path: string
  #ino: number | undefined
  #wasAsked = false
  readonly #lookAgain = (): void => { this.#wasAsked = false }

  constructor (path: string) {
    this.#path = path
  }

  /**
   * @returns false when there was a directory when this was asked last, and this is not it any more
   * @throws the file system's error when that cannot be found out
   */
  isSame (): boolean {
    if (this.#wasAsked) return true
    const ino = statSync(this.#path, { throwIfNoEntry: false })?.ino
    const isSame = this.#ino === undefined || ino === this.#ino
    this.#ino = ino
    this.lookedAt = Math.floor(performance.now())
    this.#wasAsked = true
    setImmediate(this.#lookAgain)
    return isSame
  }

  /** Whatever is there next is the directory. */
  forget (): void {
    this.#ino = undefined
    this.#wasAsked = false
  }
}
