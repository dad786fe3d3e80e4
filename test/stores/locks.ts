/** The locks of the file stores that tests make: with TEST_LOCKS=lockfile those that are used where the system's own cannot be had. */
import { FileStore, type FileStoreOptions } from '../../src/stores/file/store.ts'
import { FileLocks } from '../../src/stores/file/locks.ts'

const locks = process.env['TEST_LOCKS'] === 'lockfile' ? lockfileLocks() : undefined

export function newFileStore (options: FileStoreOptions): FileStore {
  return new FileStore(options, locks)
}

/** The operating system's locks, ready to be used. */
export async function kernelLocks (): Promise<FileLocks> {
  return await opened(new FileLocks())
}

export async function opened (locks: FileLocks): Promise<FileLocks> {
  await locks.open()
  return locks
}

/** Those of proper-lockfile, not yet opened. */
export function lockfileLocks (): FileLocks {
  return new FileLocks(async () => undefined)
}
