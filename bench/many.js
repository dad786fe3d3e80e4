/**
 * `npm run bench:many`: the file store with very many sessions. What it costs that there are many, what removing as many
 * expired ones does to the requests that come meanwhile, and for how long writing keeps the event loop.
 *
 * Flags: --sessions (default 100000), --seconds of one visit, --rounds, --sweep-seconds for which the sweep is watched at most
 * (default 60), --json file, --no-docs.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Child } from './lib/child.js'
import { findCores } from './lib/cores.js'
import { fill, recordOf } from './lib/fill.js'
import { positive, readFlags } from './lib/flags.js'
import { describeMachine, sentenceOf } from './lib/machine.js'
import { pageOfMany } from './lib/many-report.js'
import { interleave, Server } from './lib/measure.js'
import { writePart } from './lib/page.js'
import { createSessions } from './lib/sessions.js'
import { median } from './lib/statistics.js'
import { watchSweep } from './lib/sweeping.js'
import { createWorkspace } from './lib/workspace.js'

const FEW = 1_000
/** As many as visitors who are there at the same time. */
const VISITORS = 500
/** Read one after the other, so that hardly any is in the store's memory when its turn comes. */
const CROWD = 50_000

const flags = readFlags({
  sessions: { type: 'string', default: '100000' },
  seconds: { type: 'string', default: '2' },
  rounds: { type: 'string', default: '5' },
  'sweep-seconds': { type: 'string', default: '60' },
  json: { type: 'string' },
  'no-docs': { type: 'boolean', default: false }
})
const count = Math.ceil(positive('sessions', flags.sessions))
const seconds = positive('seconds', flags.seconds)
const rounds = Math.ceil(positive('rounds', flags.rounds))
const duration = seconds * 1000

const workspace = createWorkspace()
const machine = describeMachine(workspace)
const cores = findCores()
const load = await Child.start('load.js', [], cores.load)
console.log(sentenceOf(machine))

const template = await makeTemplate()
const settings = { sessions: count, few: Math.min(FEW, count), seconds, rounds, pinned: cores.server !== undefined }
const results = { machine, settings, reading: await compareReading(), sweeping: await watchSweeping(), writing: await watchWriting() }
const page = pageOfMany(results)
console.log(`\n${page}`)
if (flags.json !== undefined) writeFileSync(flags.json, JSON.stringify(results, null, 2))
if (!flags['no-docs']) writePart('many', page)
process.exit()

/** What the server stores for a new visitor, to be stored many times. */
async function makeTemplate () {
  const { server, directory } = await start('template')
  const [cookie] = await createSessions(server.port, 1)
  const record = recordOf(directory, cookie)
  await server.end()
  return record
}

/** Reading among many sessions and among few, both by few visitors and by a crowd. */
async function compareReading () {
  const places = []
  for (const sessions of [settings.few, count]) {
    const { server, directory } = await start(`${places.length}`)
    console.log(`storing ${sessions} sessions …`)
    places.push({ sessions, server, directory, cookies: await fill(directory, sessions, template) })
  }
  const comparisons = []
  for (const [readers, most] of [['visitors', VISITORS], ['crowd', CROWD]]) {
    console.log(`reading among them, ${readers} …`)
    const visit = ({ server, cookies }) => server.visit(load, { path: '/read', cookies: spread(cookies, most), duration })
    await interleave(places, 1, visit)
    const visits = await interleave(places, rounds, visit)
    comparisons.push({ readers, read: places.map(({ sessions }) => Math.min(sessions, most)), ...compare(...places.map(place => visits.get(place))) })
  }
  for (const { server, directory } of places) await leave(server, directory)
  return comparisons
}

function compare (few, many) {
  const summaries = [few, many].map(visits => ({
    rate: median(visits.map(({ rate }) => rate)),
    p99: median(visits.map(({ p99 }) => p99)),
    cpu: median(visits.map(({ cpu }) => cpu))
  }))
  return {
    few: summaries[0],
    many: summaries[1],
    ratio: median(many.map(({ rate }, round) => rate / few[round].rate)),
    cpuRatio: median(many.map(({ cpu }, round) => cpu / few[round].cpu))
  }
}

/** Requests before and during the removal of expired sessions. */
async function watchSweeping () {
  const { server, directory } = await start('sweeping')
  console.log(`storing ${count} expired sessions …`)
  await fill(directory, count, { ...template, expiresAt: new Date(Date.now() - 60_000) })
  const work = { path: '/read', cookies: await createSessions(server.port, VISITORS), duration }
  const visit = () => server.visit(load, work)
  await visit()

  const without = []
  for (let round = 0; round < rounds; round++) without.push(await visit())
  const memoryBefore = await server.ask('peakMemory')
  console.log('sweeping them away …')
  const { visits: during, ...sweep } = await watchSweep(() => server.ask('sweep'), visit, {
    directory, expired: count, living: VISITORS, patience: positive('sweep-seconds', flags['sweep-seconds']) * 1000
  })
  const memoryAfter = await server.ask('peakMemory')
  await leave(server, directory)
  return { without: summarize(without), during: summarize(during), ...sweep, memoryBefore, memoryAfter }
}

/** How long each call of the store keeps the event loop while the server writes as much as it can. */
async function watchWriting () {
  const { server, directory } = await start('writing')
  const work = { path: '/write', cookies: await createSessions(server.port, VISITORS), duration }
  const visit = () => server.visit(load, work)
  console.log('writing …')
  await visit()
  await server.ask('startWatchingCalls')
  const visits = []
  for (let round = 0; round < rounds; round++) visits.push(await visit())
  const calls = await server.ask('stopWatchingCalls')
  await leave(server, directory)
  return { calls, ...summarize(visits) }
}

function summarize (visits) {
  return {
    rate: median(visits.map(({ rate }) => rate)),
    p99: median(visits.map(({ p99 }) => p99)),
    max: Math.max(...visits.map(({ max }) => max))
  }
}

async function start (name) {
  const directory = join(workspace, name)
  mkdirSync(directory)
  return { directory, server: await Server.start('file-store.js', [directory], cores.server) }
}

async function leave (server, directory) {
  await server.end()
  rmSync(directory, { recursive: true, maxRetries: 10 })
}

/** At most so many of them, from everywhere. */
function spread (all, most) {
  const step = Math.max(1, all.length / most)
  return Array.from({ length: Math.min(all.length, most) }, (_, index) => all[Math.floor(index * step)])
}
