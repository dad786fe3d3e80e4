/** One, two and four processes that commit to one directory in a loop, without HTTP. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from './lib/child.js'
import { describe, ratios, tableOf } from './lib/tables.js'

const COUNTS = [1, 2, 4]
const SESSIONS = 64

/** @returns {Promise<string>} a table */
export async function measureCommits (plan) {
  const own = new Map(COUNTS.map(count => [count, []]))
  const same = new Map(COUNTS.map(count => [count, []]))
  for (let round = 0; round < plan.rounds; round++) {
    console.error(`commits, round ${round + 1} of ${plan.rounds}`)
    for (const count of COUNTS) {
      own.get(count).push(await measure(plan, count, false, `commits-${round}-${count}-own`))
      same.get(count).push(await measure(plan, count, true, `commits-${round}-${count}-same`))
    }
  }
  const cells = (rates, count) => [describe(rates.get(count), 0), describe(ratios(rates.get(count), rates.get(1)), 2)]
  return [
    '### Commits of the file store per second, in a loop',
    tableOf(['processes', 'sessions of their own', 'times one', `the same ${SESSIONS} sessions`, 'times one'], COUNTS.map(count =>
      [String(count), ...cells(own, count), ...cells(same, count)]))
  ].join('\n\n')
}

/** @returns commits per second of all processes */
async function measure ({ cores, workspace, seconds }, count, shareSessions, name) {
  const directory = join(workspace, name)
  mkdirSync(directory)
  const children = await Promise.all(Array.from({ length: count }, () => Child.start('servers/committer.js', [directory], cores.all)))
  const keys = shareSessions ? await children[0].ask('create', SESSIONS) : undefined
  await Promise.all(children.map(child => keys === undefined ? child.ask('create', SESSIONS) : child.ask('adopt', keys)))
  const commitFor = duration => Promise.all(children.map(child => child.ask('commit', { duration })))
  await commitFor(seconds * 500)
  const results = await commitFor(seconds * 1000)
  await Promise.all(children.map(child => child.end()))
  return results.reduce((sum, { commits }) => sum + commits, 0) / seconds
}
