/** The demo as a process of its own, for tests of it over HTTP and in a browser. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { BARE_ENVIRONMENT, TYPESCRIPT } from './environment.ts'

const root = join(import.meta.dirname, '../..')

// The demo imports the package by its name, as users do, and so needs it built. `npm test` has done that.
if (!existsSync(join(root, 'dist/index.js'))) execFileSync('npm', ['run', 'build'], { cwd: root })

/** The demo's server, which can be stopped and started again at the same address, with the same sessions. */
export class Shop {
  readonly files: string
  #process: ChildProcess | undefined
  #port = '0'

  constructor (files: string) {
    this.files = files
  }

  get origin (): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start (): Promise<void> {
    const server = spawn(process.execPath, ['--import', TYPESCRIPT, 'demo/server.ts'], {
      cwd: root,
      env: { ...BARE_ENVIRONMENT, HOST: '127.0.0.1', PORT: this.#port, SESSION_FILES: this.files },
      stdio: ['ignore', 'pipe', 'inherit']
    })
    this.#process = server
    for await (const line of createInterface(server.stdout)) {
      const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1]
      if (port === undefined) continue
      this.#port = port
      // What it logs from here on has to go somewhere, or it would wait for a reader.
      server.stdout.resume()
      return
    }
    throw new Error('the demo ended before it listened')
  }

  /** Leaves requests waiting until {@link resume}, as a server does that has too much to do. */
  pause (): void {
    this.#process?.kill('SIGSTOP')
  }

  resume (): void {
    this.#process?.kill('SIGCONT')
  }

  /** @returns the exit code, or null when the signal did not leave time for one */
  async stop (signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const server = this.#process
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return null
    const ended = once(server, 'exit')
    server.kill(signal)
    const [code] = await ended as [number | null]
    return code
  }
}

/** Starts the demo on a free port, with a directory of its own for the sessions. It ends with the test. */
export async function openShop (t: Test): Promise<Shop> {
  const shop = new Shop(t.testdir())
  t.teardown(async () => { await shop.stop('SIGKILL') })
  await shop.start()
  return shop
}
