/** The store of one request whose browser keeps the whole session: what the request brought, and what it made of it. */
import type { FastifyReply } from 'fastify'
import { SessionHeadersSentError } from '../errors.ts'
import { MemoryStore } from '../stores/memory.ts'
import type { NewRecord, SessionStore, StoredRecord, StoreKey, Version } from '../stores/store.ts'
import type { SealedCookie } from './sealed-cookie.ts'

export class CarriedStore implements SessionStore {
  readonly readsSynchronously = true
  /** Whether something has been stored that the browser has not been sent. */
  isUnsent = false
  readonly #sealed: SealedCookie
  readonly #reply: FastifyReply
  readonly #memory = new MemoryStore()

  constructor (sealed: SealedCookie, reply: FastifyReply) {
    this.#sealed = sealed
    this.#reply = reply
  }

  /** Takes in what the browser brought. */
  bring (key: StoreKey, record: NewRecord): void {
    this.#memory.compareAndSet(key, record, undefined)
  }

  read (key: StoreKey): StoredRecord | 'gone' | undefined {
    return this.#memory.read(key)
  }

  /**
   * @throws SessionTooLargeError when the browser could not keep it
   * @throws SessionHeadersSentError when the browser cannot be sent it any more
   */
  compareAndSet (key: StoreKey, { payload, createdAt, expiresAt }: NewRecord, expected: Version | undefined): Version | 'conflict' | 'gone' {
    // Nobody lists these sessions, and room is short: where they were used from is left out.
    const record = { payload, createdAt, expiresAt }
    this.#assertCanBeSent()
    this.#sealed.assertFits(this.#reply, record)
    this.isUnsent = true
    return this.#memory.compareAndSet(key, record, expected)
  }

  touch (key: StoreKey, expiresAt: Date): boolean {
    return this.#memory.touch(key, expiresAt)
  }

  /** @throws SessionHeadersSentError when the browser cannot be told any more */
  destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): 'destroyed' | 'conflict' | 'gone' {
    this.#assertCanBeSent()
    return this.#memory.destroy(key, tombstoneUntil, expected)
  }

  #assertCanBeSent (): void {
    if (!this.#reply.raw.headersSent) return
    throw new SessionHeadersSentError("the response's headers have left, and with the driver 'cookie' the session leaves in them; " +
      'change it before the response begins, or use another driver')
  }
}
