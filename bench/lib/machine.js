import { readFileSync } from 'node:fs'
import { cpus, release, type } from 'node:os'
import { join } from 'node:path'
import { fileSystemOf } from './workspace.js'

const bench = join(import.meta.dirname, '..')
/** The packages whose versions matter, by where they are installed. */
const PACKAGES = [
  [join(bench, '..'), ['fastify', 'ioredis']],
  [bench, ['@fastify/session', '@fastify/secure-session', 'connect-redis', 'redis', 'express-session', 'session-file-store', 'autocannon']]
]

/** @returns what a reader has to know to judge the figures */
export function describeRun ({ rounds, seconds, cores, workspace, redis }) {
  const date = new Date().toISOString().slice(0, 10)
  const versions = PACKAGES.flatMap(([directory, names]) => names.map(name => `${name} ${versionIn(directory, name)}`))
  return [
    `Taken on ${date}: ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${cpus().length} cores, ${type()} ${release()}, ` +
      `Node.js ${process.version}, session files on ${fileSystemOf(workspace)}${redis === undefined ? '' : `, Redis ${redis.version}`}.`,
    `${cores.server === undefined ? 'Processes were not pinned to cores' : 'Servers on one core, the load and Redis on another'}; ` +
      `${rounds} rounds of ${seconds} s: the median, and in brackets the lowest and the highest.`,
    `Versions: ${versions.join(', ')}.`
  ].join('\n')
}

function versionIn (directory, name) {
  return JSON.parse(readFileSync(join(directory, 'node_modules', name, 'package.json'), 'utf8')).version
}
