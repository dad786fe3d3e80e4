/** Installs the packages that are compared, unless that has been done since they last changed. */
import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'

const directory = import.meta.dirname
const changedAt = path => statSync(join(directory, path), { throwIfNoEntry: false })?.mtimeMs ?? 0

if (changedAt('node_modules/.package-lock.json') < changedAt('package-lock.json')) {
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--prefix', directory], { stdio: 'inherit', shell: process.platform === 'win32' })
  if (error !== undefined) throw error
  process.exitCode = status ?? 1
}
