import { statSync } from 'node:fs'

/** Notices when the directory at a path is another one, or none: somebody may have removed it, or put one in its place. */
export class Place {
  readonly #path: string
  #ino: number | undefined

  constructor (path: string) {
    this.#path = path
  }

  /**
   * @returns false when there was a directory when this was asked last, and this is not it any more
   * @throws the file system's error when that cannot be found out
   */
  isSame (): boolean {
    const ino = statSync(this.#path, { throwIfNoEntry: false })?.ino
    const isSame = this.#ino === undefined || ino === this.#ino
    this.#ino = ino
    return isSame
  }

  /** Whatever is there next is the directory. */
  forget (): void {
    this.#ino = undefined
  }
}
