/** Locks of sessions for routes that block: each on a file of its own, which is there for as long as the lock is held. */
import type { FileLocks } from './locks.ts'
import { CREATE, openFile } from './disk.ts'
import { SessionFile } from './session-file.ts'

/** @returns a function that unlocks, once, and removes the file; undefined when the lock is held by another request */
export function tryBlock (path: string, locks: FileLocks): (() => void) | undefined {
  const file = new SessionFile(path, openFile(path, CREATE), locks)
  if (!file.tryLock()) {
    file.close()
    return undefined
  }
  let isHeld = file.isAtItsPath()
  const unlock = (): void => {
    if (!isHeld) return
    isHeld = false
    // The directory may have been replaced meanwhile, and the file be that of another lock.
    if (file.isAtItsPath()) file.removeIfBlank()
    file.close()
    file.unlock()
  }
  if (isHeld) return unlock
  file.close()
  file.unlock()
  return undefined
}
