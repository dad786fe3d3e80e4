import { spawnSync } from 'node:child_process'

/**
 * Keeps this process, and with it the load and Redis, on a core of its own.
 *
 * @returns lists of cores for `taskset`: the one of the servers, and all; undefined where processes cannot be pinned
 */
export function pinToOwnCore () {
  const all = taskset('-cp', String(process.pid))?.split(': ')[1]?.trim()
  const [server, ...others] = all?.match(/\d+/g) ?? []
  const own = others.at(-1)
  if (own === undefined || taskset('-acp', own, String(process.pid)) === undefined) return { server: undefined, all: undefined }
  return { server, all }
}

/** @returns what it printed; undefined when it failed or is not installed */
function taskset (...args) {
  const { status, stdout } = spawnSync('taskset', args, { encoding: 'utf8' })
  return status === 0 ? stdout : undefined
}
