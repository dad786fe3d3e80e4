/** Servers that are processes of their own, on one directory, and the visitors they have. */
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import type { SessionOptions } from '../../src/index.ts'
import type { Answer, Visitor } from '../helpers/client.ts'
import { visitor } from '../helpers/client.ts'
import type { Step } from './app.ts'

export type { Step }

export interface Warning {
  readonly code?: string
  readonly keys?: readonly string[]
}

export interface How extends Pick<SpawnOptions, 'uid' | 'gid'> {
  /** A command that is to run the server's command: `['strace', '-f']`. */
  readonly under?: readonly string[]
}

/** A server in a process of its own. */
export class Server {
  readonly origin: string
  readonly process: ChildProcess

  constructor (child: ChildProcess, port: string) {
    this.process = child
    this.origin = `http://127.0.0.1:${port}`
  }

  visitor (): Visitor {
    return visitor(this.origin)
  }

  /** Ends it at once, as a crash would. */
  async kill (): Promise<void> {
    const exit = once(this.process, 'exit')
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    this.process.kill('SIGKILL')
    await exit
  }

  /** Ends it as an operator does. */
  async stop (): Promise<void> {
    const exit = once(this.process, 'exit')
    this.process.kill('SIGTERM')
    await exit
  }

  /** Resolves when so many requests have come to a gate. */
  async reached (gate: string, count = 1): Promise<void> {
    await this.control('GET', `reached/${gate}/${count}`)
  }

  async open (gate: string): Promise<void> {
    await this.control('POST', `open/${gate}`)
  }

  /** Lets the server's wall clock jump. */
  async advance (seconds: number): Promise<void> {
    await this.control('POST', `advance/${seconds}`)
  }

  async warnings (): Promise<Warning[]> {
    return JSON.parse(await this.control('GET', 'warnings')) as Warning[]
  }

  /** @returns the answer to one of the routes that guide the server */
  async control (method: string, path: string): Promise<string> {
    const response = await fetch(`${this.origin}/control/${path}`, { method })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return await response.text()
  }
}

/** Starts a server with a session plugin of these options. It ends with the test. */
export async function start (t: Test, options: SessionOptions, how: How = {}): Promise<Server> {
  return await startProgram(t, 'server.ts', [JSON.stringify(options)], how)
}

/** Starts a program of this folder that says a port when it listens. */
export async function startProgram (t: Test, name: string, args: readonly string[], { under = [], ...how }: How = {}): Promise<Server> {
  const program = [process.execPath, '--import', import.meta.resolve('tsx'), join(import.meta.dirname, name), ...args]
  const [command = '', ...others] = [...under, ...program]
  // tsx compiles to other code than tap does, so that what is covered here would be counted for other places.
  const env = { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' }
  const child = spawn(command, others, { ...how, env, stdio: ['pipe', 'pipe', 'inherit'] })
  const server = once(createInterface(child.stdout), 'line').then(([port]) => new Server(child, String(port)))
  const exit = once(child, 'exit').then(([code]) => { throw new Error(`the server ended with ${code} before it listened`) })
  t.teardown(async () => {
    // One that is stopped, and a traced one, go as well.
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  })
  return await Promise.race([server, exit])
}

/** Several at once, of the same options. */
export async function startSeveral (t: Test, count: number, options: SessionOptions): Promise<Server[]> {
  return await Promise.all(Array.from({ length: count }, async () => await start(t, options)))
}

/** One request that does these steps. */
export async function act (visitor: Visitor, ...steps: Step[]): Promise<Answer> {
  return await visitor.post('/do', steps)
}

/** One request that has to succeed. @returns what its last step gave */
export async function result (visitor: Visitor, ...steps: Step[]): Promise<unknown> {
  const { status, text } = await act(visitor, ...steps)
  if (status !== 200) throw new Error(`${status}: ${text}`)
  return (JSON.parse(text) as unknown[]).at(-1)
}

/** @returns everything in the visitor's session */
export async function dataOf (visitor: Visitor): Promise<Record<string, unknown>> {
  return await result(visitor, ['all']) as Record<string, unknown>
}
