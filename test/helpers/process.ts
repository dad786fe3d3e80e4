/** Programs of the tests that run as processes of their own, and print lines to say how far they are. */
import { type ChildProcessByStdio, spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Test } from 'tap'
import { TYPESCRIPT } from './environment.ts'

export interface Program {
  readonly process: ChildProcessByStdio<Writable, Readable, null>
  /** What it has printed so far. */
  readonly lines: readonly string[]
  /** Resolves when the program has printed the line. */
  said (line: string): Promise<void>
  /** Resolves with the first line that the program prints. */
  firstLine (): Promise<string>
  /** Resolves with all lines when the process has ended. */
  readonly ended: Promise<string[]>
  /** Sends a signal and waits for the process to end: by default as a crash would end it. */
  stop (signal?: NodeJS.Signals): Promise<void>
}

export interface ProgramOptions extends Pick<SpawnOptions, 'uid' | 'gid' | 'env' | 'cwd'> {
  /** A command that runs the program: `['strace', '-f']`. */
  readonly under?: readonly string[]
  /** How it is ended with the test. Default: SIGKILL, which also ends a stopped process. */
  readonly teardown?: NodeJS.Signals
}

/**
 * Starts a TypeScript file as a process that ends with the test.
 *
 * @param args what the program finds in `process.argv`
 */
export function startProgram (
  t: Test, file: string, args: readonly (string | number)[] = [], { under = [], teardown, env, ...options }: ProgramOptions = {}
): Program {
  const [command = '', ...others] = [...under, process.execPath, '--import', TYPESCRIPT, file, ...args.map(String)]
  const child = spawn(command, others, {
    ...options,
    stdio: ['pipe', 'pipe', 'inherit'],
    // Without what tap adds to each process: many are killed before they could tell what they have covered.
    env: { ...process.env, NODE_OPTIONS: '', ...env }
  })
  const lines: string[] = []
  const output = createInterface(child.stdout)
  output.on('line', line => { lines.push(line) })
  const ended = once(child, 'close').then(() => lines)
  const linesUntil = async (isEnough: () => boolean, what: string): Promise<void> => {
    while (!isEnough()) {
      const isOver = await Promise.race([once(output, 'line').then(() => false), ended.then(() => true)])
      if (isOver && !isEnough()) throw new Error(`the process ended without ${what}: ${lines.join(', ')}`)
    }
  }
  const stop = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }
  t.teardown(() => stop(teardown))
  return {
    process: child,
    lines,
    ended,
    stop,
    said: async line => { await linesUntil(() => lines.includes(line), `saying '${line}'`) },
    async firstLine () {
      await linesUntil(() => lines.length > 0, 'saying anything')
      return lines[0] ?? ''
    }
  }
}
