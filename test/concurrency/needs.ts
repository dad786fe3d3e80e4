/** What a test needs of the machine. Where that is missing the test is skipped, or fails when the environment says REQUIRE_SERVICES=1. */
import { spawnSync } from 'node:child_process'

/** @returns the reason to skip a test, for tap's option of that name */
export function unless (isThere: boolean, what: string): string | false {
  if (isThere) return false
  if (process.env['REQUIRE_SERVICES'] === '1') throw new Error(`REQUIRE_SERVICES=1, and there is no ${what} here`)
  return `needs ${what}`
}

export const isRoot = process.getuid?.() === 0

/** Whether processes can be traced here, which some containers forbid. */
export function canTrace (): boolean {
  return spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status === 0
}

/** Whether file systems can be mounted here, for which root is not enough in a container. */
export function canMount (directory: string): boolean {
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]).status === 0
  if (mounted) spawnSync('umount', [directory])
  return mounted
}

/** Whether processes can be started with a bound on their descriptors. */
export const hasShell = spawnSync('sh', ['-c', 'ulimit -n 64']).status === 0
