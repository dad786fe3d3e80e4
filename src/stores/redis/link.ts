/**
 * Commands that are answered within a bounded time, whatever the server or the network does.
 *
 * A command that got no answer in time may still be carried out later, when a server that was stopped goes on. Everything
 * that this store sends is made for that: see scripts.ts.
 */
import type { Connection } from './client.ts'
import { failure, messageOf, storeError } from './faults.ts'
import type { Script } from './scripts.ts'
import { within } from './within.ts'

/** A link to a server that has left so many commands in a row unanswered is tried with one command at a time. */
const MANY = 100

export class Link {
  readonly #timeout: number
  #connection: Connection | undefined
  /** What ails the connection, when its client has said so. */
  #fault: unknown
  /** Commands without an answer in time since the last answer. */
  #unanswered = 0
  #lastSent = 0

  /** @param timeout milliseconds from the beginning of an operation to its last answer */
  constructor (timeout: number) {
    this.#timeout = timeout
  }

  use (connection: Connection | undefined): void {
    this.#connection = connection
  }

  /** Remembers what ails the connection, for the errors of those who wait for it; undefined when it is well again. */
  suffers (fault: unknown): void {
    this.#fault = fault
  }

  /** @returns the moment by which an operation that begins now has to be over */
  deadline (): number {
    return performance.now() + this.#timeout
  }

  /** @throws SessionStoreError when there is no connection by then */
  async ready (deadline = this.deadline()): Promise<Connection> {
    const connection = this.#connection
    if (connection === undefined) throw storeError('the store has not been opened, or has been closed')
    if (connection.isReady()) return connection
    const ready = connection.ready().catch((error: unknown) => { throw storeError(messageOf(error), error) })
    await within(deadline, ready, () => {
      const reason = this.#fault === undefined ? '' : ` (${messageOf(this.#fault)})`
      return storeError(`there is no connection to Redis${reason}, and there was none within ${this.#timeout} ms`, this.#fault)
    })
    return connection
  }

  /**
   * @param key one of those that the command is about
   * @throws SessionStoreError when the server refuses the command, cannot be reached or does not answer by then
   */
  async send (command: string, args: string[], key: string, deadline = this.deadline()): Promise<unknown> {
    return await this.#send(command, args, key, deadline).catch((error: unknown) => { throw failure(error) })
  }

  /** Runs a script, which is sent in full if the server does not know it. */
  async run ({ sha, source }: Script, keys: readonly [string, ...string[]], args: readonly string[], deadline = this.deadline()): Promise<unknown> {
    const rest = [String(keys.length), ...keys, ...args]
    return await this.#send('EVALSHA', [sha, ...rest], keys[0], deadline).catch(async (error: unknown) => {
      if (!messageOf(error).startsWith('NOSCRIPT')) throw failure(error)
      return await this.send('EVAL', [source, ...rest], keys[0], deadline)
    })
  }

  /** Rejects with the client's own error when it is not about time. */
  async #send (command: string, args: string[], key: string, deadline: number): Promise<unknown> {
    const connection = await this.ready(deadline)
    const now = performance.now()
    if (this.#unanswered >= MANY && now - this.#lastSent < this.#timeout) {
      throw storeError(`Redis has not answered for ${this.#timeout} ms; one command at a time finds out when it does again`)
    }
    this.#lastSent = now
    const answered = connection.send(command, args, key).finally(() => { this.#unanswered = 0 })
    return await within(deadline, answered, () => {
      this.#unanswered++
      return storeError(`Redis has not answered within ${this.#timeout} ms`)
    })
  }
}
