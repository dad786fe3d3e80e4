/** Locks of sessions for routes that block: each on a file of its own, which is there for as long as the lock is held. */
import { rmSync } from 'node:fs'
import { CREATE, openFile } from './disk.ts'
import { LockableFile } from './lockable-file.ts'
import type { FileLocks } from './locks.ts'

/** @returns a function that unlocks, once, and removes the file; undefined when the lock is held by another request */
export function tryBlock (path: string, locks: FileLocks): (() => void) | undefined {
  const file = new LockableFile(path, openFile(path, CREATE), locks)
  let isHeld = false
  const letGo = (): void => {
    file.close()
    file.unlock()
  }
  try {
    isHeld = file.tryLock() && file.isAtItsPath()
  } finally {
    if (!isHeld) letGo()
  }
  if (!isHeld) return undefined
  return () => {
    if (!isHeld) return
    isHeld = false
    try {
      // The directory may have been replaced meanwhile, and the file be that of another lock.
      if (file.isAtItsPath()) rmSync(path, { force: true })
    } catch {
      // Nobody may look into the directory at the moment. The next sweep removes the file.
    } finally {
      letGo()
    }
  }
}
