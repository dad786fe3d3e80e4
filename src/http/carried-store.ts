/** The store of one request whose browser keeps the whole session: what the request brought, and what it made of it. */
import { SessionHeadersSentError } from '../errors.ts'
import { refusalToSet, unexpired, versionAfter } from '../stores/record.ts'
import type { NewRecord, SessionStore, StoredRecord, StoreKey, Version } from '../stores/store.ts'
import type { ResponseHeaders } from './response-headers.ts'
import type { SealedCookie } from './sealed-cookie.ts'

/** What a store needs to know of the response that takes the session back. */
export type LeavingHeaders = Pick<ResponseHeaders, 'canLeave'>

export class CarriedStore implements SessionStore {
  readonly readsSynchronously = true
  /** Whether something has been stored that the browser has not been sent. */
  isUnsent = false
  readonly #cookie: SealedCookie
  readonly #headers: LeavingHeaders
  readonly #records = new Map<StoreKey, StoredRecord>()

  constructor (cookie: SealedCookie, headers: LeavingHeaders) {
    this.#cookie = cookie
    this.#headers = headers
  }

  /** Takes in what the browser brought. */
  bring (key: StoreKey, record: NewRecord): void {
    this.#records.set(key, { ...record, version: 1 as Version })
  }

  read (key: StoreKey): StoredRecord | undefined {
    return unexpired(this.#records.get(key))
  }

  /**
   * @throws SessionTooLargeError when the browser could not keep it
   * @throws SessionHeadersSentError when the browser cannot be sent it any more
   */
  compareAndSet (key: StoreKey, { payload, createdAt, expiresAt }: NewRecord, expected: Version | undefined): Version | 'conflict' | 'gone' {
    // These sessions are never listed, and room is short: where they were used from is left out.
    const record = { payload, createdAt, expiresAt }
    this.#assertCanBeSent()
    this.#cookie.assertFits(record)
    const refusal = refusalToSet(this.read(key), expected)
    if (refusal !== undefined) return refusal
    const version = versionAfter(expected)
    this.#records.set(key, { ...record, version })
    this.isUnsent = true
    return version
  }

  touch (key: StoreKey, expiresAt: Date): boolean {
    const current = this.read(key)
    if (current === undefined) return false
    this.#records.set(key, { ...current, expiresAt })
    this.isUnsent = true
    return true
  }

  /** @throws SessionHeadersSentError when the browser cannot be told any more */
  destroy (key: StoreKey, _tombstoneUntil?: Date, expected?: Version): 'destroyed' | 'conflict' | 'gone' {
    this.#assertCanBeSent()
    const current = this.read(key)
    if (current === undefined) return 'gone'
    if (expected !== undefined && current.version !== expected) return 'conflict'
    this.#records.delete(key)
    return 'destroyed'
  }

  #assertCanBeSent (): void {
    if (this.#headers.canLeave) return
    throw new SessionHeadersSentError("the response's headers have left, or its client has, and with the driver 'cookie' the session leaves in " +
      'them; change it before the response begins, or use another driver')
  }
}
