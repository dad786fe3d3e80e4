/** The server of examples/deploy as a process, under what a container or systemd puts around it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { visitor, type Visitor } from '../../src/testing.ts'
import { BARE_ENVIRONMENT } from '../helpers/environment.ts'

export const directory = join(import.meta.dirname, '../../examples/deploy')

export function textOf (file: string): string {
  return readFileSync(join(directory, file), 'utf8')
}

export interface Deployed {
  readonly origin: string
  /** What the server takes its process id to be. */
  readonly pid: number
  visitor (): Visitor
  /** @returns the exit code */
  stop (): Promise<number | null>
}

interface LogLine {
  readonly msg: string
  readonly pid: number
}

/**
 * @param command runs the server, which finds the variables that are given and no others
 * @param processOf gives the server's process id; by default the command becomes the server
 */
export async function deploy (
  t: Test, command: readonly string[], env: Record<string, string>, processOf: (pid: number) => number = pid => pid
): Promise<Deployed> {
  const [program = '', ...args] = command
  const child = spawn(program, args, { cwd: directory, env: { ...BARE_ENVIRONMENT, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit') as Promise<[code: number | null]>
  const kill = (signal: NodeJS.Signals): void => {
    // What was started around a server does not end it where it has become another user's.
    if (child.exitCode === null && child.signalCode === null) process.kill(processOf(child.pid ?? NaN), signal)
  }
  t.teardown(async () => {
    kill('SIGKILL')
    await exited
  })
  const lines = createInterface(child.stdout)
  const { origin, pid } = await new Promise<{ origin: string, pid: number }>((resolve, reject) => {
    lines.on('line', line => {
      const { msg, pid } = JSON.parse(line) as LogLine
      const [, origin] = /^Server listening at (\S+)$/.exec(msg) ?? []
      if (origin !== undefined) resolve({ origin: origin.replace('0.0.0.0', '127.0.0.1'), pid })
    })
    void exited.then(([code]) => { reject(new Error(`the server ended with ${code}`)) })
  })
  return {
    origin,
    pid,
    visitor: () => visitor(origin),
    async stop () {
      kill('SIGTERM')
      const [code] = await exited
      return code
    }
  }
}
