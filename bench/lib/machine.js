import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, release, type } from 'node:os'
import { join } from 'node:path'
import { fileSystemOf } from './workspace.js'

const root = join(import.meta.dirname, '../..')

/**
 * @param {string} workspace where the files of the measured servers are
 * @returns what a reader has to know to judge the figures
 */
export function describeMachine (workspace) {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: availableParallelism(),
    system: `${type()} ${release()}`,
    fileSystem: fileSystemOf(workspace),
    node: process.version,
    date: new Date().toISOString().slice(0, 10)
  }
}

/**
 * @param {readonly string[]} own names of packages that the project itself has installed
 * @param {readonly string[]} peers names of those that the benchmark has
 * @returns {Record<string, string>} the versions
 */
export function versionsOf (own, peers) {
  const versionIn = directory => name => {
    const manifest = readFileSync(join(directory, 'node_modules', name, 'package.json'), 'utf8')
    return [name, JSON.parse(manifest).version]
  }
  return Object.fromEntries([...own.map(versionIn(root)), ...peers.map(versionIn(join(root, 'bench')))])
}

/** One sentence. */
export function sentenceOf ({ cpu, cores, system, fileSystem, node, date }) {
  return `Taken on ${date}: ${cpu}, ${cores} ${cores === 1 ? 'core' : 'cores'}, ${system}, Node.js ${node}, session files on ${fileSystem}.`
}
