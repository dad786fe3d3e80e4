import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'

/** @returns the cores of the server and of the load; undefined for both where processes cannot be pinned */
export function findCores () {
  const canPin = availableParallelism() >= 2 && [0, 1].every(core => spawnSync('taskset', ['-c', String(core), 'true']).status === 0)
  return canPin ? { server: 0, load: 1 } : { server: undefined, load: undefined }
}
