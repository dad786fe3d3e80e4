/** The exclusive lock of a blocking route on its session, from before the store is read until the request is over. */
import type { FastifyReply } from 'fastify'
import type { SessionConfig } from '../config/options.ts'
import { SessionLockTimeoutError } from '../errors.ts'
import { RETRY_AFTER } from '../stores/keyed-lock.ts'
import type { StoreKey, Unlock } from '../stores/store.ts'
import { isResponseClosed, onResponseClosed, waitsInPipeline } from './closing.ts'
import type { PluginContext } from './plugin-context.ts'
import type { ResponseHeaders } from './response-headers.ts'

type Block = Exclude<SessionConfig['block'], false>

/**
 * A request whose client has left goes on, and keeps its lock until it is answered: otherwise a client could have it done twice
 * at once by leaving.
 */
export class RouteLock {
  readonly #context: PluginContext
  readonly #block: Block
  readonly #reply: FastifyReply
  readonly #headers: ResponseHeaders
  #unlock: Unlock | undefined
  /** Whether the commit before the response has ended. */
  #isSettled = false

  constructor (context: PluginContext, block: Block, reply: FastifyReply, headers: ResponseHeaders) {
    this.#context = context
    this.#block = block
    this.#reply = reply
    this.#headers = headers
  }

  /**
   * Holds the session's lock while the session is read, and after that until the request is over, if it is a living one.
   *
   * @throws SessionLockTimeoutError when the lock is not free in time, or the client has left meanwhile; and what `read` throws
   */
  async during<T> (key: StoreKey, read: () => Promise<T>, isLiving: (found: T) => boolean): Promise<T> {
    const unlock = await this.#take(key)
    let isKept = false
    try {
      this.#assertOpen()
      const found = await read()
      this.#assertOpen()
      isKept = isLiving(found)
      return found
    } finally {
      if (isKept) this.#hold(unlock)
      else this.#release(unlock)
    }
  }

  /** Does the commit before the response, behind which the request may be over. */
  around (commit: () => Promise<void> | undefined): Promise<void> | undefined {
    let committing: Promise<void> | undefined
    try {
      committing = commit()
    } finally {
      if (committing === undefined) this.#settle()
    }
    return committing?.finally(() => { this.#settle() })
  }

  async #take (key: StoreKey): Promise<Unlock> {
    const { lock, wait } = this.#block
    try {
      return await this.#context.lock(key, { lease: Math.ceil(lock * 1000), wait: Math.ceil(wait * 1000) })
    } catch (error) {
      if (error instanceof SessionLockTimeoutError) this.#reply.header('retry-after', error.retryAfter)
      throw error
    }
  }

  /** Without a client a request may never end, as when its body was not read. */
  #assertOpen (): void {
    if (isResponseClosed(this.#reply)) throw new SessionLockTimeoutError(RETRY_AFTER)
  }

  #hold (unlock: Unlock): void {
    const forget = onResponseClosed(this.#reply, () => { this.#releaseIfOver() })
    this.#unlock = () => {
      forget()
      return unlock()
    }
  }

  #settle (): void {
    this.#isSettled = true
    this.#releaseIfOver()
  }

  #releaseIfOver (): void {
    if (this.#unlock === undefined || !this.#isOver) return
    this.#release(this.#unlock)
    this.#unlock = undefined
  }

  get #isOver (): boolean {
    // Where the answer waits behind that of another request in a pipeline, the other one may be waiting for this lock.
    const isClosed = isResponseClosed(this.#reply) || (this.#isSettled && waitsInPipeline(this.#reply))
    return isClosed && (this.#isSettled || this.#headers.isHijacked)
  }

  #release (unlock: Unlock): void {
    void Promise.resolve(unlock()).catch((cause: unknown) => {
      this.#context.settings.report({ code: 'AMBIENT_SESSION_STORE', message: 'a session\'s lock could not be released; it runs out by itself', cause })
    })
  }
}
