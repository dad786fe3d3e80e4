import { closeSync, openSync } from 'node:fs'
import { LRUCache } from 'lru-cache'

/** Opening and closing a file costs as much as everything else a commit does, so files in use are kept open. */
const KEPT_OPEN = 256

/** An open file. Knows its inode, because another file may have been put in its place. */
interface Descriptor {
  readonly file: number
  readonly ino: number
}

/** The session files that are open, by path. */
export class Descriptors {
  readonly #open = new LRUCache<string, Descriptor>({ max: KEPT_OPEN, dispose: ({ file }) => { closeSync(file) } })

  /**
   * @param ino of the file that is at the path now
   * @returns a descriptor for reading and writing that file
   * @throws the file system's error when it cannot be opened; ENOENT when it is gone by now
   */
  get (path: string, ino: number): number {
    const known = this.#open.get(path)
    if (known?.ino === ino) return known.file
    const file = this.#openFile(path, 'r+')
    this.#open.set(path, { file, ino })
    return file
  }

  /** To be told of a file that was just made, and is open already. */
  set (path: string, file: number, ino: number): void {
    this.#open.set(path, { file, ino })
  }

  close (path: string): void {
    this.#open.delete(path)
  }

  closeAll (): void {
    this.#open.clear()
  }

  /** @returns a descriptor for writing and reading a new, empty file; not kept yet */
  make (path: string, mode: number): number {
    return this.#openFile(path, 'w+', mode)
  }

  #openFile (path: string, flags: string, mode?: number): number {
    try {
      return openSync(path, flags, mode)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
      // What is kept open for speed is the first thing to give up when descriptors run out.
      this.closeAll()
      return openSync(path, flags, mode)
    }
  }
}
