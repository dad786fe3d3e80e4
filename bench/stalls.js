/** How long a process' commits take while another process on the same directory is busy, stopped or killed. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Child } from './lib/child.js'
import { describe, tableOf } from './lib/tables.js'

/** Milliseconds for which the other process is out of order. */
const STALL = 2_000
/** Milliseconds for which it commits before that. */
const LEAD_IN = 100
const SESSIONS = 64

/** What the other process does; it is given as a child and has {@link STALL} left when it comes to its fault. */
const FAULTS = [
  { label: 'does nothing', async begin () {} },
  { label: 'commits all the time', begin: other => other.ask('commit', { duration: LEAD_IN + STALL }) },
  {
    label: 'works for 2 s without turning its event loop, after commits',
    begin: other => other.ask('commit', { duration: LEAD_IN, thenWorkFor: STALL })
  },
  { label: 'is stopped for 2 s in the middle of commits (SIGSTOP)', begin: other => signalWhileCommitting(other, 'SIGSTOP') },
  { label: 'is killed in the middle of commits (SIGKILL)', begin: other => signalWhileCommitting(other, 'SIGKILL') }
]

/** @returns {Promise<string>} a table */
export async function measureStalls (plan) {
  const results = new Map(FAULTS.map(fault => [fault, []]))
  for (let round = 0; round < plan.stallRounds; round++) {
    console.error(`stalls, round ${round + 1} of ${plan.stallRounds}`)
    for (const fault of FAULTS) results.get(fault).push(await watch(plan, fault, `stalls-${round}-${FAULTS.indexOf(fault)}`))
  }
  const rows = FAULTS.map(fault => {
    const watched = results.get(fault)
    return [fault.label, describe(watched.map(({ longest }) => longest), 1), String(watched.reduce((sum, { failures }) => sum + failures, 0))]
  })
  return [
    '### The longest commit of one process while another …',
    tableOf(['… process on the same directory', 'longest, ms', 'commits that failed'], rows)
  ].join('\n\n')
}

async function watch ({ cores, workspace }, { begin }, name) {
  const directory = join(workspace, name)
  mkdirSync(directory)
  const [watched, other] = await Promise.all(['watched', 'other'].map(() => Child.start('servers/committer.js', [directory], cores.all)))
  for (const child of [watched, other]) {
    await child.ask('create', SESSIONS)
    await child.ask('commit', { duration: LEAD_IN })
  }
  const [result] = await Promise.all([watched.ask('commit', { duration: LEAD_IN + STALL }), begin(other)])
  // A commit that waits for the other process goes on once that has gone, so this ends.
  await Promise.all([watched.end(), other.end()])
  return result
}

async function signalWhileCommitting (other, signal) {
  // It never answers.
  other.ask('commit', { duration: LEAD_IN + STALL }).catch(() => {})
  await delay(LEAD_IN)
  other.signal(signal)
  await delay(STALL)
  // What is stopped cannot be waited for.
  other.signal('SIGCONT')
}
