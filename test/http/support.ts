/** What whole-request tests are made with: a server, gates to hold a request at a point, and a log that can be read. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter, once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'
import ambientSession, { type SessionOptions } from '../../src/index.ts'

export interface Teardown {
  teardown (fn: () => unknown): unknown
}

/**
 * Serves routes with sessions, by default in memory, on a free port until the test ends.
 *
 * @param routes called once the plugin is registered
 */
export async function serve (
  t: Teardown, routes: (app: FastifyInstance) => unknown, options: SessionOptions = {}, server: FastifyServerOptions = {}
): Promise<FastifyInstance> {
  const app = Fastify(server)
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false, ...options })
  await routes(app)
  return await listening(app)
}

export async function listening (app: FastifyInstance): Promise<FastifyInstance> {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

/** Runs a function in the flow of no request, as another process would. */
export const elsewhere = AsyncLocalStorage.snapshot()

/** A promise that is settled from outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
}

export function deferred<T = void> (): Deferred<T> {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(_resolve => { resolve = _resolve })
  return { promise, resolve }
}

/** Resolves when the clock shows another millisecond: within one it is not known what came first. */
export async function nextMillisecond (): Promise<void> {
  const now = Date.now()
  while (Date.now() === now) await turn()
}

/** A point at which a handler waits until the test lets it pass. */
export class Gate {
  readonly #reached = deferred()
  readonly #opened = deferred()

  /** Resolves when somebody has come to the gate. */
  get reached (): Promise<void> {
    return this.#reached.promise
  }

  /** For the one who waits. */
  async pass (): Promise<void> {
    this.#reached.resolve()
    await this.#opened.promise
  }

  open (): void {
    this.#opened.resolve()
  }
}

export interface LogEntry {
  readonly level: number
  readonly msg: string
  readonly code?: string
  readonly key?: string
  readonly keys?: readonly string[]
  readonly err?: { readonly message: string }
}

/** A log for Fastify's `logger` option, from warnings upwards. */
export class Log extends EventEmitter {
  readonly level = 'warn'
  readonly lines: string[] = []
  readonly stream = {
    write: (line: string): void => {
      this.lines.push(line)
      this.emit('line')
    }
  }

  get entries (): LogEntry[] {
    return this.lines.map(line => JSON.parse(line) as LogEntry)
  }

  /** @returns the warnings with a code of this package, once there are so many */
  async warnings (count: number): Promise<LogEntry[]> {
    for (;;) {
      const warnings = this.entries.filter(({ code }) => code?.startsWith('AMBIENT_SESSION_'))
      if (warnings.length >= count) return warnings
      await once(this, 'line')
    }
  }
}

/** Moves the clock that `Date.now()` shows, or `performance.now()`. Timers stay as they are. */
export class Clock {
  #offset = 0

  constructor (t: { intercept (object: object, name: string, descriptor: PropertyDescriptor): unknown }, clock: { now (): number } = Date) {
    const now = clock.now.bind(clock)
    t.intercept(clock, 'now', { value: () => now() + this.#offset })
  }

  /** @param seconds forward */
  advance (seconds: number): void {
    this.#offset += seconds * 1000
  }
}

export const COOKIE = 'ambient_session'
