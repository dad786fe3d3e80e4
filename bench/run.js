/**
 * `npm run bench`: the same HTTP work for all stacks, in turn, within one run.
 *
 * Stacks that keep sessions on a server of Redis or a database are measured where one answers (`lib/services.js`).
 *
 * Flags: --seconds of one visit, --rounds, --only stack,stack and --workloads name,name for a part of it, --json file for
 * everything that was measured, --no-docs to leave docs/performance.md as it is.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { variables } from './lib/addresses.js'
import { Child } from './lib/child.js'
import { findCores } from './lib/cores.js'
import { choose, positive, readFlags } from './lib/flags.js'
import { describeMachine, sentenceOf, versionsOf } from './lib/machine.js'
import { CONNECTIONS, Server, visitInTurn } from './lib/measure.js'
import { docs, writePart } from './lib/page.js'
import { drawPicture } from './lib/picture.js'
import { pageOf, tableOfWorkload } from './lib/report.js'
import { SATURATED, summarize } from './lib/results.js'
import { claimSpace, findServices, services } from './lib/services.js'
import { checkBodies, checkSessions, createSessions } from './lib/sessions.js'
import { createWorkspace } from './lib/workspace.js'
import { baseline, ownPackages, peerPackages, stacks as allStacks } from './stacks.js'
import { workloads as allWorkloads } from './workloads.js'

const SESSIONS = 500

const flags = readFlags({
  seconds: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '5' },
  only: { type: 'string' },
  workloads: { type: 'string' },
  json: { type: 'string' },
  'no-docs': { type: 'boolean', default: false }
})
const seconds = positive('seconds', flags.seconds)
const rounds = Math.ceil(positive('rounds', flags.rounds))
const serviceVersions = await findServices()
const chosen = choose('only', allStacks, flags.only)
const possible = chosen.filter(({ needs }) => needs === undefined || serviceVersions.has(needs))
// Without it there would be nothing to hold the others against.
const stacks = possible.includes(baseline) ? possible : [baseline, ...possible]
const used = new Set(stacks.flatMap(({ needs }) => needs ?? []))
const workloads = choose('workloads', allWorkloads, flags.workloads)

const workspace = createWorkspace()
const space = used.size > 0 ? claimSpace(used) : ''
const machine = describeMachine(workspace)
const cores = findCores()
const load = await Child.start('load.js', [], cores.load)

console.log(sentenceOf(machine))
tellLeftOut()
console.log(cores.server === undefined
  ? 'Server and load cannot be pinned to different cores here (that takes taskset and two cores); they get in each other\'s way.'
  : `Servers run on core ${cores.server}, the load on core ${cores.load}.`)

const results = []
for (const workload of workloads) {
  const { name, label } = workload
  console.log(`\n${label}`)
  const measured = await measure(workload)
  const baselineVisits = measured.get(baseline)
  const result = { name, label, stacks: stacks.map(stack => summarize(stack, measured.get(stack), baselineVisits)) }
  console.log(tableOfWorkload(result))
  warnOfSaturation(result)
  results.push(result)
}

const settings = { seconds, rounds, sessions: SESSIONS, connections: CONNECTIONS, pinned: cores.server !== undefined }
const serversOfSessions = Object.fromEntries([...used].map(name => [services[name].label, serviceVersions.get(name)]))
const everything = { machine, versions: versionsOf(ownPackages, peerPackages), services: serversOfSessions, settings, workloads: results }
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(everything, null, 2))
if (flags['no-docs']) console.log('\ndocs/performance.md was left as it is.')
else if (stacks.length < allStacks.length || workloads.length < allWorkloads.length) console.log('\ndocs/performance.md was left as it is, since this was a part of the benchmark only.')
else writeDocs()
process.exit()

/** All stacks on one workload, once in each round. */
async function measure (workload) {
  const visits = new Map(stacks.map(stack => [stack, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [stack, visit] of await playRound(workload, round)) visits.get(stack).push(visit)
  }
  return visits
}

/**
 * One visit to each stack, on servers that have been started for it: how fast a program runs is settled, to a tenth and more,
 * when its process starts, so that medians have to be taken over processes.
 */
async function playRound ({ name, path, sendsCookie }, round) {
  const running = new Map()
  for (const stack of stacks) {
    const server = await start(stack, `${name}_${round}`)
    const cookies = await prepare(stack, server)
    running.set(stack, { server, work: { path, cookies: sendsCookie ? cookies : [], sleeps: stack.needs !== undefined, duration: seconds * 1000 } })
  }
  const visitAll = () => visitInTurn(stacks, round, async stack => {
    const { server, work } = running.get(stack)
    return await server.visit(load, work)
  })
  // Until the code of server and load has been optimized.
  await visitAll()
  const visits = await visitAll()
  for (const { server } of running.values()) await server.end()
  return visits
}

async function start ({ name, server, args, needs }, visit) {
  const place = needs === undefined ? newDirectory(visit, name) : `${space}${visit}_${name}_`.replaceAll('-', '_')
  return await Server.start(server, [...args, place], cores.server)
}

function newDirectory (...names) {
  const directory = join(workspace, ...names)
  mkdirSync(directory, { recursive: true })
  return directory
}

function tellLeftOut () {
  const missing = new Set(chosen.filter(stack => !possible.includes(stack)).map(({ needs }) => needs))
  for (const name of missing) {
    const labels = chosen.filter(({ needs }) => needs === name).map(stack => stack.label)
    console.log(`Left out, as no ${services[name].label} answers (${variables[name]} says where it is): ${labels.join('; ')}.`)
  }
}

async function prepare (stack, { port }) {
  // Bare Fastify is asked as much, by the same client: Node's code becomes slower with each kind of request that it has met. It
  // gets a cookie as well, and ignores it.
  if (stack === baseline) {
    await checkBodies(port)
    await createSessions(port, SESSIONS)
    return Array.from({ length: SESSIONS }, (_, index) => `sessionId=${String(index).padStart(43, '0')}`)
  }
  await checkSessions(port)
  return await createSessions(port, SESSIONS)
}

function warnOfSaturation ({ stacks }) {
  const saturated = stacks.filter(({ isLoadSaturated }) => isLoadSaturated).map(({ label }) => label)
  if (saturated.length === 0) return
  console.log(`The load used more than ${SATURATED * 100} % of its core with ${saturated.join(', ')}: go by the CPU time there.`)
}

function writeDocs () {
  writeFileSync(join(docs, 'performance.svg'), drawPicture(results))
  writePart('figures', pageOf(everything))
  console.log('\nWritten: docs/performance.md and docs/performance.svg.')
}
