/** Where the servers keep their files while they are measured. */
import { mkdtempSync, readFileSync, realpathSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, sep } from 'node:path'
import { onExit } from './exit.js'

/** Of statfs(2). */
const TMPFS_MAGIC = 0x01021994

/** @returns a new directory, on a disk, that is removed when the benchmark ends */
export function createWorkspace () {
  const candidates = [tmpdir(), '/var/tmp', join(import.meta.dirname, '..')]
  const parent = candidates.find(isOnDisk)
  if (parent === undefined) throw new Error('none of the directories for temporary files is on a disk; set TMPDIR to one that is')
  const workspace = mkdtempSync(join(parent, 'ambient-session-bench-'))
  // More than one attempt: a server that was just killed may still be finishing its last write.
  onExit(() => { rmSync(workspace, { recursive: true, force: true, maxRetries: 10 }) })
  return workspace
}

/**
 * @param {string} path
 * @returns the type of the file system it is on, as far as the system tells
 */
export function fileSystemOf (path) {
  try {
    const real = realpathSync(path)
    const mounts = readFileSync('/proc/mounts', 'utf8').trim().split('\n').map(line => line.split(' '))
    const above = mounts.filter(([, point]) => point === '/' || real === point || real.startsWith(point + sep))
    // Of two mounts on the same point the later one is what is seen.
    const [, , type] = above.reduce((best, mount) => mount[1].length >= best[1].length ? mount : best)
    return type
  } catch {
    return 'unknown'
  }
}

function isOnDisk (path) {
  try {
    return statfsSync(path).type !== TMPFS_MAGIC
  } catch {
    return false
  }
}
