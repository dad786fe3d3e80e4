import { secondOf } from '../seconds.ts'
import type { StoredRecord } from '../stores/store.ts'
import type { Lifetime } from './expiry.ts'
import { quietTimes } from './expiry.ts'
import type { SessionId, StoreKey } from './id.ts'
import type { Opened } from './start.ts'
import { Start, StoredOrigin } from './start.ts'

const SESSIONS = 4096
/** Sessions with longer texts are opened anew each time, so that what is kept stays within some 64 MiB of text. */
const LONGEST = 16 * 1024

/** What is remembered of a session: its key, which takes a hash to find, and what is in its payload, which takes decoding. */
export class Known {
  readonly id: SessionId
  readonly key: StoreKey
  /** Where the store has the session, as far as it has said so. */
  place: object | undefined
  #payload: string | undefined
  #opened: Opened | undefined
  #createdAt: Date | undefined
  #expiresAt: Date | undefined
  #quietFrom = 0
  #quietUntil = 0

  constructor (id: SessionId, key: StoreKey) {
    this.id = id
    this.key = key
  }

  /** @returns what a request starts from that has found this record, if it is known what is in it */
  startFrom (record: StoredRecord): Start | undefined {
    // Also of a record that has been met: a store may be one that changes its records.
    if (record.payload !== this.#payload || this.#opened === undefined) return undefined
    if (record.place !== this.place) this.place = record.place
    return new Start(new StoredOrigin(this, record), this.#opened)
  }

  /** @param opened what is in the payload */
  remember (payload: string, opened: Opened): void {
    const isKept = opened.text !== undefined && opened.text.length <= LONGEST
    this.#payload = isKept ? payload : undefined
    this.#opened = isKept ? opened : undefined
    // There the store may have the text as well.
    if (!isKept) this.place = undefined
  }

  /** Whether it is certain, without looking closely, that a record's expiry need not be changed. */
  isQuiet ({ createdAt, expiresAt }: StoredRecord, lifetime: Lifetime, now: number): boolean {
    if (createdAt !== this.#createdAt || expiresAt !== this.#expiresAt) {
      this.#createdAt = createdAt
      this.#expiresAt = expiresAt
      const { from, until } = quietTimes(createdAt.getTime(), expiresAt.getTime(), lifetime)
      this.#quietFrom = secondOf(from)
      this.#quietUntil = secondOf(until)
    }
    const second = secondOf(now)
    return second > this.#quietFrom && second < this.#quietUntil
  }
}

/**
 * The sessions that this process has met lately. What is remembered of a payload counts for that payload only, so it can
 * never be out of date.
 *
 * There are two generations, of which the older one is forgotten as a whole when the younger one is full: one look-up for a
 * session that is in use, where a list in order of use has to be changed each time.
 */
export class KnownSessions {
  #young = new Map<string, Known>()
  #old = new Map<string, Known>()

  /** @param id of which it need not be known whether it is one */
  get (id: string): Known | undefined {
    const young = this.#young.get(id)
    if (young !== undefined) return young
    const old = this.#old.get(id)
    if (old !== undefined) this.#add(old)
    return old
  }

  /** @returns what is known of a session from now on */
  meet (id: SessionId, key: StoreKey): Known {
    return this.get(id) ?? this.#add(new Known(ofItsOwn(id), key))
  }

  #add (known: Known): Known {
    if (this.#young.size >= SESSIONS / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(known.id, known)
    return known
  }
}

/** An id as it comes is a part of its header, which would be kept as a whole. */
function ofItsOwn (id: SessionId): SessionId {
  return Buffer.from(id, 'latin1').toString('latin1') as SessionId
}
