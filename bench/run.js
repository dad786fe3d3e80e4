/**
 * `npm run bench`: what sessions cost as they are deployed, beside a server without them and beside other packages.
 *
 * --quick takes two minutes instead of ten. --write puts the tables of a whole run, not a quick one, into docs/performance.md.
 * --parts http,commits,stalls and --stacks fastify,file,… measure a part.
 */
import { parseArgs } from 'node:util'
import { measureCommits } from './commits.js'
import { measureHttp } from './http.js'
import { pinToOwnCore } from './lib/cores.js'
import { describeRun } from './lib/machine.js'
import { writeFigures } from './lib/page.js'
import { startRedis } from './lib/redis.js'
import { createWorkspace } from './lib/workspace.js'
import { stacks as allStacks } from './stacks.js'
import { measureStalls } from './stalls.js'

/** Milliseconds after which the run has failed, whatever it is waiting for. */
const LONGEST_RUN = 15 * 60_000
const FULL = { rounds: 5, seconds: 0.8, stallRounds: 5 }
const QUICK = { rounds: 2, seconds: 0.4, stallRounds: 1 }
const PARTS = { http: measureHttp, commits: measureCommits, stalls: measureStalls }

setTimeout(() => { fail(`the benchmark has not ended after ${LONGEST_RUN / 60_000} minutes`) }, LONGEST_RUN).unref()

const { quick, write, parts, stacks } = readFlags()
const cores = pinToOwnCore()
const workspace = createWorkspace()
const redis = stacks.some(({ usesRedis }) => usesRedis) ? await startRedis(workspace) : undefined
const possibleStacks = redis === undefined ? stacks.filter(({ usesRedis }) => !usesRedis) : stacks
if (possibleStacks.length < stacks.length) console.error('redis-server is not installed: what keeps sessions on Redis is left out.')
const isWhole = !quick && parts.length === Object.keys(PARTS).length && possibleStacks.length === allStacks.length
if (write && !isWhole) fail('only all parts with all stacks, without --quick, can be written into docs/performance.md')

const plan = { ...quick ? QUICK : FULL, stacks: possibleStacks, cores, workspace, redis }
const sections = [describeRun(plan)]
for (const part of parts) sections.push(await PARTS[part](plan))
const figures = sections.join('\n\n')
console.log(figures)
if (write) writeFigures(figures)
process.exit()

function readFlags () {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      parts: { type: 'string', default: Object.keys(PARTS).join() },
      stacks: { type: 'string', default: allStacks.map(({ name }) => name).join() }
    }
  })
  const parts = namesIn('parts', values.parts, Object.keys(PARTS))
  const names = namesIn('stacks', values.stacks, allStacks.map(({ name }) => name))
  // The first stack is bare Fastify: the others are measured against it.
  return { ...values, parts, stacks: allStacks.filter(({ name }, index) => index === 0 || names.includes(name)) }
}

function namesIn (flag, list, known) {
  const names = list.split(',')
  const unknown = names.filter(name => !known.includes(name))
  if (unknown.length > 0) fail(`--${flag}: ${unknown.join(', ')} is unknown; there are ${known.join(', ')}`)
  return names
}

function fail (message) {
  console.error(message)
  process.exit(1)
}
