/**
 * Commands that are answered within a bounded time, whatever the server or the network does.
 *
 * A command that got no answer in time may still be carried out later, when a server that was stopped goes on. Everything
 * that this store sends is made for that: see scripts.ts.
 */
import { SessionStoreError } from '../../errors.ts'
import { reasonOf, storeError } from '../faults.ts'
import { within } from '../within.ts'
import type { Connection } from './client.ts'
import type { Script } from './scripts.ts'

/** After so many attempts in a row without an answer in time, the server is tried with one at a time. */
const MANY = 100

/** An error reply begins with a word in capitals that says of which kind it is. */
const REPLY = /^-?[A-Z]{2,} /
/** The value of a key is not of the type that this store gives it. */
const FOREIGN = /WRONGTYPE/
/** What Redis says instead of an answer between MULTI and EXEC. No value of this store is that text. */
const QUEUED = 'QUEUED'

export class Link {
  readonly #timeout: number
  connection: Connection | undefined
  /** The last fault that the connection's client has reported, named by errors while there is no connection; undefined when it is back. */
  fault: unknown
  /** Attempts without an answer in time since the last answer. */
  #unanswered = 0
  #lastAttempt = 0

  /** @param timeout milliseconds from the beginning of an operation to its last answer */
  constructor (timeout: number) {
    this.#timeout = timeout
  }

  /** @returns the moment by which an operation that begins now has to be over */
  deadline (): number {
    return performance.now() + this.#timeout
  }

  /** @throws SessionStoreError when there is no connection by then */
  async ready (deadline = this.deadline()): Promise<Connection> {
    const connection = this.connection
    if (connection === undefined) throw storeError('unreachable', 'the store has not been opened, or has been closed')
    if (connection.isReady()) return connection
    const ready = async (): Promise<void> => {
      await connection.ready().catch((error: unknown) => { throw storeError('unreachable', reasonOf(error), error) })
    }
    await this.#attempt(deadline, ready, () => {
      const reason = this.fault === undefined ? '' : ` (${reasonOf(this.fault)})`
      return storeError('unreachable', `there is no connection to Redis${reason}, and there was none within ${this.#timeout} ms`, this.fault)
    })
    return connection
  }

  /**
   * @param key one of those that the command is about
   * @throws SessionStoreError when the server refuses the command, only queues it, cannot be reached or does not answer by then
   */
  async send (command: string, args: string[], key: string, deadline = this.deadline()): Promise<unknown> {
    try {
      return await this.#send(command, args, key, deadline)
    } catch (error) {
      throw failure(error)
    }
  }

  /**
   * Runs a script, which is sent in full if the server does not know it.
   *
   * @returns one of the script's answers, as text
   */
  async run ({ sha, source, answers }: Script, keys: readonly [string, ...string[]], args: readonly string[], deadline = this.deadline()): Promise<string> {
    const rest = [String(keys.length), ...keys, ...args]
    const answer = String(await this.#send('EVALSHA', [sha, ...rest], keys[0], deadline).catch((error: unknown) => {
      if (!reasonOf(error).startsWith('NOSCRIPT')) throw failure(error)
      return this.send('EVAL', [source, ...rest], keys[0], deadline)
    }))
    if (!answers.test(answer)) throw noAnswer()
    return answer
  }

  /** Rejects with the client's own error when it is not about time. */
  async #send (command: string, args: string[], key: string, deadline: number): Promise<unknown> {
    const connection = this.connection?.isReady() === true ? this.connection : await this.ready(deadline)
    const answer = await this.#attempt(deadline, () => connection.send(command, args, key), () =>
      storeError('late', `Redis has not answered within ${this.#timeout} ms`))
    if (!isText(answer) || String(answer) !== QUEUED) return answer
    throw storeError('failed', 'the client is in a MULTI, in which Redis only queues commands: give the store a client of its own')
  }

  /** Waits for an answer until the deadline; not at all where many have waited in vain, and another one waits. */
  async #attempt<T> (deadline: number, attempt: () => Promise<T>, late: () => SessionStoreError): Promise<T> {
    const now = performance.now()
    if (this.#unanswered >= MANY && now - this.#lastAttempt < this.#timeout) {
      throw storeError('late', `Redis has not answered for ${this.#timeout} ms; one command at a time finds out when it does again`, this.fault)
    }
    this.#lastAttempt = now
    const answered = async (): Promise<T> => {
      try {
        return await attempt()
      } finally {
        this.#unanswered = 0
      }
    }
    return await within(deadline - now, answered, () => {
      this.#unanswered++
      return late()
    })
  }
}

/** @returns the error for something that Redis does not say to this command; it is not repeated, since it may be anything */
function noAnswer (): SessionStoreError {
  return storeError('failed', 'the client has given an answer that Redis does not give to this command')
}

/**
 * @returns the text that a command was answered with
 * @throws SessionStoreError when it is none
 */
export function textOf (answer: unknown): string {
  if (!isText(answer)) throw noAnswer()
  return String(answer)
}

function isText (answer: unknown): answer is string | Buffer {
  return typeof answer === 'string' || Buffer.isBuffer(answer)
}

/**
 * @returns the texts that a command was answered with
 * @throws SessionStoreError when they are none
 */
export function textsOf (answer: unknown): string[] {
  if (!Array.isArray(answer)) throw noAnswer()
  return answer.map(textOf)
}

/** @returns the error for a command that the client has given up or the server has refused */
export function failure (error: unknown): SessionStoreError {
  if (error instanceof SessionStoreError) return error
  const reason = reasonOf(error)
  if (FOREIGN.test(reason)) {
    return storeError('failed', `a key with the store's prefix holds something else (${reason}): give the store a prefix of its own`, error)
  }
  return REPLY.test(reason)
    ? storeError('failed', `Redis refused the command (${reason})`, error)
    : storeError('unreachable', `the connection to Redis has failed (${reason})`, error)
}
