/** Servers that are processes of their own and share a store, and the browsers that come to them. */
import { join } from 'node:path'
import type { Test } from 'tap'
import type { SessionOptions } from '../../src/index.ts'
import { startProgram } from '../helpers/process.ts'

export interface Answer {
  /** What the action gave. */
  readonly result: unknown
  readonly cookies: readonly string[]
}

/** A browser with the one cookie that the servers set, and that of no other. */
export class Browser {
  cookie: string | undefined

  /** @returns another one with the same cookie */
  copy (): Browser {
    const other = new Browser()
    other.cookie = this.cookie
    return other
  }

  /**
   * Has the server do something to the session.
   *
   * @param gate where the request waits in between, after it has read its session
   * @throws Error when the answer is not a success
   */
  async act (server: SharedServer, action: string, text = '', gate?: string): Promise<Answer> {
    const response = await fetch(`${server.origin}/do/${action}`, {
      method: 'POST',
      body: JSON.stringify({ text }),
      headers: {
        'content-type': 'application/json',
        ...this.cookie !== undefined && { cookie: this.cookie },
        ...gate !== undefined && { 'x-gate': gate }
      }
    })
    const body = await response.text()
    if (!response.ok) throw new Error(`${action}: ${response.status} ${body}`)
    const cookies = response.headers.getSetCookie()
    const [cookie] = cookies
    if (cookie !== undefined) this.cookie = cookie.includes('Max-Age=0') ? undefined : cookie.split(';', 1)[0]
    const { result } = JSON.parse(body) as { result?: unknown }
    return { result, cookies }
  }

  /** @returns everything in the session */
  async all (server: SharedServer): Promise<Record<string, unknown>> {
    return (await this.act(server, 'all')).result as Record<string, unknown>
  }
}

export class SharedServer {
  readonly origin: string

  constructor (port: string) {
    this.origin = `http://127.0.0.1:${port}`
  }

  /** Resolves when so many requests wait at a gate. */
  async reached (gate: string, count: number): Promise<void> {
    await this.#guide('GET', `reached/${gate}/${count}`)
  }

  /** Lets those go on that wait there. */
  async open (gate: string): Promise<void> {
    await this.#guide('POST', `open/${gate}`)
  }

  async #guide (method: string, path: string): Promise<void> {
    const response = await fetch(`${this.origin}/${path}`, { method })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  }
}

/** Starts a process with a session plugin of these options. The test ends it with SIGTERM, and waits until it has. */
export async function startShared (t: Test, options: SessionOptions): Promise<SharedServer> {
  const program = startProgram(t, join(import.meta.dirname, 'shared-server.ts'), [JSON.stringify(options)], { teardown: 'SIGTERM' })
  return new SharedServer(await program.firstLine())
}
