/**
 * Exclusive locks on files, between all processes of a machine and between all stores of one process: the operating system's,
 * which are released when their process dies; or, where these are not available, those of `proper-lockfile`.
 */
import type properLockfile from 'proper-lockfile'
import { SessionStoreError } from '../../errors.ts'
import { codeOf } from './disk.ts'

export interface FileLocks {
  readonly kind: 'kernel' | 'lockfile'
  /** To be called before the first lock. */
  open? (): Promise<void>
  /** @returns whether the lock was free, and is held now */
  tryLock (descriptor: number, path: string): boolean
  unlock (descriptor: number, path: string): void
}

interface NativeLocks {
  tryLock (descriptor: number, offset: number, length: number): boolean
  unlock (descriptor: number, offset: number, length: number): void
}

/** Far behind all content: on Windows a locked range cannot be read. */
const OFFSET = 2 ** 40

/** Locks belong to the open file, so that two descriptors of one process exclude each other as those of two processes do. */
function kernelLocks (native: NativeLocks): FileLocks {
  return {
    kind: 'kernel',
    tryLock: descriptor => native.tryLock(descriptor, OFFSET, 1),
    unlock: descriptor => { native.unlock(descriptor, OFFSET, 1) }
  }
}

/** Milliseconds after which a lock that its process has not renewed is taken over. */
const STALE = 5_000

let lockfile: typeof properLockfile | undefined

function loaded (): typeof properLockfile {
  if (lockfile === undefined) throw notOpen()
  return lockfile
}

/** A directory beside the file is the lock. Its holder renews the directory's time; where that stands still, the lock counts as free. */
export const lockfileLocks: FileLocks = {
  kind: 'lockfile',
  // Not before it is needed: a package that it loads replaces process.emit.
  async open () {
    lockfile ??= (await import('proper-lockfile')).default
  },
  tryLock (_descriptor, path) {
    try {
      loaded().lockSync(path, { realpath: false, stale: STALE, onCompromised: () => {} })
      return true
    } catch (error) {
      if (codeOf(error) === 'ELOCKED') return false
      throw error
    }
  },
  unlock (_descriptor, path) {
    try {
      loaded().unlockSync(path, { realpath: false })
    } catch {
      // It has been taken over, or its directory has gone, or it grows stale.
    }
  }
}

/** Loads the package of binaries, which stays outside of bundles; undefined where that is not possible. */
async function loadNative (): Promise<NativeLocks | undefined> {
  // @ts-expect-error -- the package has no types
  const { default: native } = await import('fs-native-extensions').catch(() => ({ default: undefined })) as { default: NativeLocks | undefined }
  return native
}

/** The operating system's locks; those of `proper-lockfile` where the binary cannot be loaded. Chosen when the store is opened. */
export class BestLocks implements FileLocks {
  readonly #load: () => Promise<NativeLocks | undefined>
  #chosen: FileLocks | undefined

  /** @param load for tests of this package */
  constructor (load = loadNative) {
    this.#load = load
  }

  get kind (): 'kernel' | 'lockfile' {
    return this.#locks.kind
  }

  async open (): Promise<void> {
    const native = await this.#load()
    const locks = native === undefined ? lockfileLocks : kernelLocks(native)
    await locks.open?.()
    this.#chosen = locks
  }

  tryLock (descriptor: number, path: string): boolean {
    return this.#locks.tryLock(descriptor, path)
  }

  unlock (descriptor: number, path: string): void {
    this.#locks.unlock(descriptor, path)
  }

  /** @throws SessionStoreError before open() */
  get #locks (): FileLocks {
    if (this.#chosen === undefined) throw notOpen()
    return this.#chosen
  }
}

function notOpen (): SessionStoreError {
  return new SessionStoreError('the file store is not open: await its open() before the first commit')
}
