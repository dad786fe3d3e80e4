import { statSync } from 'node:fs'

/**
 * Notices when the directory at a path is another one, or none: somebody may have removed it, or put one in its place. Looks
 * once in each turn of the event loop in which it is asked, so that many requests share what it costs.
 */
export class Place {
  readonly #path: string
  #ino: number | undefined
  #wasAsked = false
  readonly #forget = (): void => { this.#wasAsked = false }

  constructor (path: string) {
    this.#path = path
  }

  /**
   * @returns whether it is still the directory that was there when this was asked last
   * @throws the file system's error when that cannot be found out
   */
  isSame (): boolean {
    if (this.#wasAsked) return true
    const ino = statSync(this.#path, { throwIfNoEntry: false })?.ino
    const isSame = ino === this.#ino
    this.#ino = ino
    this.#wasAsked = true
    setImmediate(this.#forget)
    return isSame
  }
}
