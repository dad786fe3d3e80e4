/** Checks and runs programs made of code blocks. */
import { fork } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Block, Fault, Place } from './doc-blocks.ts'
import { BARE_ENVIRONMENT } from './environment.ts'
import { type Program, programOf } from './doc-programs.ts'
import type { Job, Verdict } from './doc-runner.ts'
import { typeFaults } from './doc-types.ts'

const RUNNER = join(import.meta.dirname, 'doc-runner.ts')
/** Milliseconds for all programs together; beyond it, some program keeps the process from doing anything else. */
const LIMIT = 240_000

export async function faultsInPrograms (blocks: readonly Block[], place: Place): Promise<Fault[]> {
  const faults: Fault[] = []
  const programs: Program[] = []
  for (const block of blocks) {
    try {
      programs.push(programOf(block, place))
    } catch (error) {
      faults.push({ block, problem: (error as Error).message })
    }
  }
  if (programs.length === 0) return faults
  await Promise.all(programs.map(async ({ path, lines }) => { await writeFile(path, lines.map(({ text }) => text).join('\n')) }))
  // The programs run in a process of their own while the compiler works in this one.
  const running = run(programs, place)
  return [...faults, ...typeFaults(programs, place.root), ...await running]
}

async function run (programs: readonly Program[], { directory }: Place): Promise<Fault[]> {
  const verdicts = await verdictsOn(programs, await mkdtemp(join(directory, 'cwd-')))
  return programs.flatMap(({ block, path }) => {
    const problems = verdicts.get(path)?.problems ?? ['the block did not run to its end']
    return problems.map(problem => ({ block, problem }))
  })
}

function verdictsOn (jobs: readonly Job[], cwd: string): Promise<Map<string, Verdict>> {
  return new Promise(resolve => {
    const verdicts = new Map<string, Verdict>()
    const child = fork(RUNNER, { cwd, env: BARE_ENVIRONMENT, execArgv: ['--import', 'tsx'], stdio: 'ignore', timeout: LIMIT })
    child.on('message', message => {
      const verdict = message as Verdict
      verdicts.set(verdict.path, verdict)
    })
    child.on('close', () => { resolve(verdicts) })
    child.send(jobs.map(({ path, expectations }) => ({ path, expectations })))
  })
}
