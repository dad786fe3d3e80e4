/**
 * Exclusive locks on files, between all processes of a machine and between all stores of one process: the operating system's,
 * which are released when their process dies; or, where these are not available, those of `proper-lockfile`.
 */
import type properLockfile from 'proper-lockfile'
import { SessionStoreError } from '../../errors.ts'
import { codeOf } from './disk.ts'

interface NativeLocks {
  tryLock (descriptor: number, offset: number, length: number): boolean
  unlock (descriptor: number, offset: number, length: number): void
}

/** Far behind all content: on Windows a locked range cannot be read. */
const OFFSET = 2 ** 40
/** Milliseconds after which a lock that its process has not renewed is taken over. */
const STALE = 5_000

/** Loads the package of binaries, which stays outside of bundles; undefined where that is not possible. */
async function loadNative (): Promise<NativeLocks | undefined> {
  // @ts-expect-error -- the package has no types
  const { default: native } = await import('fs-native-extensions').catch(() => ({ default: undefined })) as { default: NativeLocks | undefined }
  return native
}

/** The operating system's locks; those of `proper-lockfile` where the binary cannot be loaded. Chosen when the store is opened. */
export class FileLocks {
  readonly #load: () => Promise<NativeLocks | undefined>
  /** These locks belong to the open file, so that two descriptors of one process exclude each other as those of two processes do. */
  #native: NativeLocks | undefined
  /** A directory beside the file is the lock. Its holder renews the directory's time; where that stands still, the lock counts as free. */
  #lockfile: typeof properLockfile | undefined

  /** @param load for tests of this package */
  constructor (load = loadNative) {
    this.#load = load
  }

  /** To be called before the first lock. */
  async open (): Promise<void> {
    this.#native = await this.#load()
    // Not before it is needed: a package that it loads replaces process.emit.
    if (this.#native === undefined) this.#lockfile = (await import('proper-lockfile')).default
  }

  get areNative (): boolean {
    return this.#native !== undefined
  }

  /**
   * @returns whether the lock was free, and is held now
   * @throws SessionStoreError before open()
   */
  tryLock (descriptor: number, path: string): boolean {
    if (this.#native !== undefined) return this.#native.tryLock(descriptor, OFFSET, 1)
    if (this.#lockfile === undefined) throw new SessionStoreError('the file store is not open: await its open() before the first commit')
    try {
      this.#lockfile.lockSync(path, { realpath: false, stale: STALE, onCompromised: () => {} })
      return true
    } catch (error) {
      if (codeOf(error) === 'ELOCKED') return false
      throw error
    }
  }

  unlock (descriptor: number, path: string): void {
    if (this.#native !== undefined) return this.#native.unlock(descriptor, OFFSET, 1)
    try {
      this.#lockfile?.unlockSync(path, { realpath: false })
    } catch {
      // It has been taken over, or its directory has gone, or it grows stale.
    }
  }
}
