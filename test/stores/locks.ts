/** The locks of the file stores that tests make: with TEST_LOCKS=lockfile those that are used where the system's own cannot be had. */
import { FileStore, type FileStoreOptions } from '../../src/stores/file/store.ts'
import { BestLocks, lockfileLocks } from '../../src/stores/file/locks.ts'

const locks = process.env['TEST_LOCKS'] === 'lockfile' ? lockfileLocks : undefined

export function newFileStore (options: FileStoreOptions): FileStore {
  return new FileStore(options, locks)
}

/** The operating system's locks, ready to be used. */
export async function kernelLocks (): Promise<BestLocks> {
  const locks = new BestLocks()
  await locks.open()
  return locks
}
