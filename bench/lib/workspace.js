/** Where the servers keep their files while they are measured. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onExit } from './exit.js'

/** Of statfs(2). */
const TMPFS_MAGIC = 0x01021994

/** @returns a new directory, on a disk, that is removed when the benchmark ends */
export function createWorkspace () {
  const parent = [tmpdir(), '/var/tmp', join(import.meta.dirname, '..')].find(path => statfsSync(path).type !== TMPFS_MAGIC)
  if (parent === undefined) throw new Error('none of the directories for temporary files is on a disk: set TMPDIR to one that is')
  const workspace = mkdtempSync(join(realpathSync(parent), 'ambient-session-bench-'))
  // More than one attempt: a server that was just killed may still be finishing its last write.
  onExit(() => { rmSync(workspace, { recursive: true, force: true, maxRetries: 10 }) })
  return workspace
}

/** @returns the type of the file system that a directory is on, as far as the system tells */
export function fileSystemOf (directory) {
  const { status, stdout } = spawnSync('findmnt', ['--noheadings', '--output', 'FSTYPE', '--target', directory], { encoding: 'utf8' })
  return status === 0 ? stdout.trim() : 'an unknown file system'
}
