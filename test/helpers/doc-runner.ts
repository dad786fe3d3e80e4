/** Runs the programs that it is given, one after the other, and prints the problems of each. A process of its own. */
import { subscribe } from 'node:diagnostics_channel'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import fastify, { type FastifyInstance, type FastifyPluginAsync } from 'fastify'
import { takeProblems } from './doc-runtime.ts'

export interface Job {
  readonly path: string
  readonly expectations: readonly number[]
}

export interface Verdict {
  readonly path: string
  readonly problems: readonly string[]
}

/** Milliseconds for one program; far more than any takes. */
const LIMIT = 60_000

const directory = process.cwd()
const environment = { ...process.env }
const apps = new Set<FastifyInstance>()
const stray: string[] = []

subscribe('fastify.initialization', message => { apps.add((message as { fastify: FastifyInstance }).fastify) })
process.on('uncaughtException', error => { stray.push(inspect(error)) })
process.on('message', jobs => { void runAll(jobs as Job[]) })

async function runAll (jobs: readonly Job[]): Promise<void> {
  for (const { path, expectations } of jobs) {
    const failure = await Promise.race([run(path).then(() => [], (error: unknown) => [inspect(error)]), timeUp()])
    const verdict: Verdict = { path, problems: [...failure, ...stray.splice(0), ...takeProblems(expectations)] }
    process.send?.(verdict)
  }
  process.disconnect()
}

async function run (path: string): Promise<void> {
  process.chdir(mkdtempSync(join(directory, 'block-')))
  process.env = { ...environment }
  const exported = await import(pathToFileURL(path).href) as { default?: unknown }
  if (typeof exported.default === 'object' && exported.default !== null) await accept(exported.default)
  for (const app of apps) await app.close()
  apps.clear()
}

async function timeUp (): Promise<string[]> {
  return [await delay(LIMIT, `the block did not end within ${LIMIT} ms`, { ref: false })]
}

/** What a program exports by default are options, as in a config/session.ts. */
async function accept (options: object): Promise<void> {
  // Named so that the compiler need not have seen a build.
  const { default: plugin } = await import(String('ambient-session')) as { default: FastifyPluginAsync<object> }
  const app = fastify()
  await app.register(plugin, options)
  await app.ready()
}
