import type { Stats } from 'node:fs'
import { statSync } from 'node:fs'

/** An inode's number alone is not enough: the next directory may be given that of the one that was removed. */
type Identity = Pick<Stats, 'ino' | 'birthtimeMs'>

/** Notices when the directory at a path is another one, or none: somebody may have removed it, or put one in its place. */
export class Place {
  readonly #path: string
  #identity: Identity | undefined

  constructor (path: string) {
    this.#path = path
  }

  /**
   * @returns false when there was a directory when this was asked last, and this is not it any more
   * @throws the file system's error when that cannot be found out
   */
  isSame (): boolean {
    const found = statSync(this.#path, { throwIfNoEntry: false })
    const known = this.#identity
    this.#identity = found
    return known === undefined || (found?.ino === known.ino && found.birthtimeMs === known.birthtimeMs)
  }

  /** Whatever is there next is the directory. */
  forget (): void {
    this.#identity = undefined
  }
}
