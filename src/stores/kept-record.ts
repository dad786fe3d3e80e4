import { secondOf } from '../seconds.ts'
import { factsOf } from './facts.ts'
import type { ListedRecord, NewRecord, StoredRecord, StoreKey, Version } from './store.ts'

/** A record as a store keeps it in memory. A class, as all that there is of every session: `session/start.ts` says why. */
export class KeptRecord implements StoredRecord {
  /** The second in which it expires. It stands first, with what else is asked for at every read. */
  readonly #lastSecond: number
  #place: object | undefined
  readonly payload: string
  readonly version: Version
  readonly createdAt: Date
  readonly expiresAt: Date
  readonly userId: string | undefined
  readonly ipAddress: string | undefined
  readonly userAgent: string | undefined
  readonly lastActivity: Date | undefined

  /** @param before of which it is the next version, if there is one: mostly it expires at the same time */
  constructor ({ payload, createdAt, expiresAt, userId, ipAddress, userAgent, lastActivity }: NewRecord, version: Version, before?: KeptRecord) {
    this.version = version
    this.payload = payload
    this.createdAt = createdAt
    this.expiresAt = expiresAt
    this.userId = userId
    this.ipAddress = ipAddress
    this.userAgent = userAgent
    this.lastActivity = lastActivity
    this.#lastSecond = before?.expiresAt === expiresAt ? before.#lastSecond : secondOf(expiresAt.getTime())
  }

  /** Where the store has it. Not among the members that are copied or written down with the record. */
  get place (): object | undefined {
    return this.#place
  }

  set place (place: object | undefined) {
    this.#place = place
  }

  /** @param now in milliseconds since 1970 */
  isOver (now: number): boolean {
    const second = secondOf(now)
    return second === this.#lastSecond ? this.expiresAt.getTime() <= now : second > this.#lastSecond
  }

  listedAs (key: StoreKey): ListedRecord {
    const { version, createdAt, expiresAt } = this
    return { key, version, createdAt, expiresAt, ...factsOf<Date>(this) }
  }

  /** @returns the same, with another expiry and, if it is given, another last activity */
  touched (expiresAt: Date, lastActivity = this.lastActivity): KeptRecord {
    return new KeptRecord({ ...this, expiresAt, lastActivity }, this.version)
  }
}
