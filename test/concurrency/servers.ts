/** Servers that are processes of their own, on one directory, and the visitors they have. */
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { SessionOptions } from '../../src/index.ts'
import { type Answer, visitor, type Visitor } from '../helpers/client.ts'
import { type Program, type ProgramOptions, startProgram } from '../helpers/process.ts'
import type { Step } from './app.ts'

export type { Step }

export interface Warning {
  readonly code?: string
  readonly keys?: readonly string[]
}

export interface How extends Pick<ProgramOptions, 'uid' | 'gid' | 'under'> {
  /** The locks of its file store, where they are not to be the operating system's. */
  readonly locks?: 'lockfile' | undefined
}

/** A server in a process of its own. */
export class Server {
  readonly origin: string
  readonly process: ChildProcess

  readonly #program: Program

  constructor (program: Program, port: string) {
    this.#program = program
    this.process = program.process
    this.origin = `http://127.0.0.1:${port}`
  }

  visitor (): Visitor {
    return visitor(this.origin)
  }

  /** Ends it at once, as a crash would. */
  async kill (): Promise<void> {
    await this.#program.stop('SIGKILL')
  }

  /** Ends it as an operator does. */
  async stop (): Promise<void> {
    await this.#program.stop('SIGTERM')
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
  return await startServer(t, 'server.ts', [JSON.stringify(options)], how)
}

/** Starts a program of this folder that says a port when it listens. */
export async function startServer (t: Test, name: string, args: readonly string[], { locks, ...how }: How = {}): Promise<Server> {
  const program = startProgram(t, join(import.meta.dirname, name), args, { ...how, env: locks && { TEST_LOCKS: locks } })
  return new Server(program, await program.firstLine())
}

/** Several at once, of the same options. */
export async function startSeveral (t: Test, count: number, options: SessionOptions, how?: How): Promise<Server[]> {
  return await Promise.all(Array.from({ length: count }, async () => await start(t, options, how)))
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
