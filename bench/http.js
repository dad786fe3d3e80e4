/** Every stack under every workload, by HTTP. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from './lib/child.js'
import { CONNECTIONS, load } from './lib/load.js'
import { checkSessions, createSessions } from './lib/sessions.js'
import { describe, ratios, tableOf } from './lib/tables.js'
import { comparisons, workloads } from './stacks.js'

/** Each connection has sixteen of its own. */
const SESSIONS = 16 * CONNECTIONS
/** Seconds at the beginning of a visit that do not count: until the code of the route has been optimized. */
const LEAD_IN = 0.2
/** Above this share of the time the load may have been what was measured. */
const SATURATED = 0.9

/**
 * @typedef {object} Visit one stack under one workload in one round
 * @property {import('./stacks.js').Stack} stack
 * @property {string} workload
 * @property {number} rate requests answered per second
 * @property {number} cpu microseconds of the server's CPU time per request
 * @property {number} redisCpu the same of Redis
 * @property {number} loadBusy share of the time in which the load had something to do
 */

/** @returns {Promise<string>} tables */
export async function measureHttp (plan) {
  const visits = []
  for (let round = 0; round < plan.rounds; round++) {
    console.error(`HTTP, round ${round + 1} of ${plan.rounds}`)
    visits.push(...await playRound(plan, round))
  }
  return report(plan.stacks, visits)
}

/**
 * Each round has new servers, because a program that is started again is up to a tenth slower or faster for as long as it runs.
 * They are visited in turn, workload by workload, so that a change of the machine's speed changes all of them.
 */
async function playRound (plan, round) {
  await plan.redis?.clear()
  const running = []
  for (const stack of plan.stacks) running.push(await start(plan, stack, round))
  const first = round % running.length
  const inTurn = [...running.slice(first), ...running.slice(0, first)]
  const visits = []
  for (const workload of workloads) {
    for (const server of inTurn) visits.push(await visit(plan, server, workload))
  }
  await Promise.all(running.flatMap(({ processes }) => processes.map(child => child.end())))
  return visits
}

async function start ({ cores, workspace, redis, seconds }, stack, round) {
  const directory = join(workspace, `${round}-${stack.name}`)
  mkdirSync(directory, { recursive: true })
  const processes = []
  for (let count = 0; count < (stack.processes ?? 1); count++) {
    processes.push(await Child.start(`servers/${stack.server}`, [stack.kind ?? '', directory, redis?.url ?? ''], cores.server))
  }
  const ports = await Promise.all(processes.map(child => child.ask('port')))
  // Bare Fastify answers as many as the others: Node.js becomes slower with each kind of request that it has met.
  const cookies = await Promise.all(ports.map(port => createSessions(port, SESSIONS / ports.length)))
  if (!stack.server.startsWith('fastify.')) await checkSessions(ports)
  await load({ ports, path: workloads[0].path, cookies: cookies.flat(), sleeps: stack.usesRedis, seconds })
  return { stack, processes, ports, cookies: cookies.flat() }
}

/** @returns {Promise<Visit>} */
async function visit ({ seconds, redis }, { stack, processes, ports, cookies }, { name, path, sendsCookie }) {
  const work = { ports, path, cookies: sendsCookie ? cookies : undefined, sleeps: stack.usesRedis }
  await load({ ...work, seconds: LEAD_IN })
  const cpuOfServers = async () => (await Promise.all(processes.map(child => child.ask('cpu')))).reduce((sum, cpu) => sum + cpu)
  const cpuOfRedis = async () => stack.usesRedis ? await redis.cpu() : 0
  const [cpuBefore, redisBefore] = [await cpuOfServers(), await cpuOfRedis()]
  const { answers, rate, busy } = await load({ ...work, seconds })
  if (answers === 0) throw new Error(`${stack.label}, ${name}: nothing was answered in ${seconds} s`)
  const [cpuAfter, redisAfter] = [await cpuOfServers(), await cpuOfRedis()]
  return { stack, workload: name, rate, cpu: (cpuAfter - cpuBefore) / answers, redisCpu: (redisAfter - redisBefore) / answers, loadBusy: busy }
}

/** @param {readonly Visit[]} visits */
function report (stacks, visits) {
  const of = (stack, workload, figure) => visits.filter(visit => visit.stack.name === stack && visit.workload === workload).map(visit => visit[figure])
  const row = (label, cellOf) => [label, ...workloads.map(({ name }) => cellOf(name))]
  const heads = first => [first, ...workloads.map(({ name }) => name)]
  const [{ name: baseline }, ...others] = stacks
  const pairs = comparisons.filter(pair => pair.every(name => stacks.some(stack => stack.name === name)))
  const labelOf = name => stacks.find(stack => stack.name === name).label
  const saturated = visits.filter(({ loadBusy }) => loadBusy > SATURATED).map(({ stack, workload }) => `${stack.label}, ${workload}`)
  return [
    '### Requests per second, as a share of bare Fastify\'s',
    tableOf(heads('stack'), others.map(({ name, label }) => row(label, workload =>
      describe(ratios(of(name, workload, 'rate'), of(baseline, workload, 'rate')), 2)))),
    '### Requests per second, as a multiple of another stack\'s',
    tableOf(heads('stacks'), pairs.map(([name, peer]) => row(`${labelOf(name)}, by ${labelOf(peer)}`, workload =>
      describe(ratios(of(name, workload, 'rate'), of(peer, workload, 'rate')), 2)))),
    '### Requests per second',
    tableOf(heads('stack'), stacks.map(({ name, label }) => row(label, workload => describe(of(name, workload, 'rate'), 0)))),
    '### Microseconds of the server\'s CPU per request',
    tableOf(heads('stack'), stacks.map(({ name, label }) => row(label, workload => describe(of(name, workload, 'cpu'), 1)))),
    ...reportRedis(stacks.filter(({ usesRedis }) => usesRedis), of, heads, row),
    ...saturated.length === 0 ? [] : [`The load was busy for more than ${SATURATED * 100} % of the time in ${saturated.length} of ${visits.length} visits (${[...new Set(saturated)].join('; ')}): go by the CPU time there.`]
  ].join('\n\n')
}

function reportRedis (stacks, of, heads, row) {
  if (stacks.length === 0) return []
  return [
    '### Microseconds of Redis\' CPU per request',
    tableOf([...heads('stack'), 'commit (write less read)'], stacks.map(({ name, label }) => {
      const reads = of(name, 'read', 'redisCpu')
      const commits = of(name, 'write', 'redisCpu').map((cpu, round) => cpu - reads[round])
      return [...row(label, workload => describe(of(name, workload, 'redisCpu'), 1)), describe(commits, 1)]
    }))
  ]
}
