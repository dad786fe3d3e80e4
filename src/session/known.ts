import type { StoredRecord } from '../stores/store.ts'
import type { SessionId, StoreKey } from './id.ts'
import type { Opened } from './start.ts'
import { Start, StoredOrigin } from './start.ts'

/** What is remembered of a session: its key, which takes a hash to find, and what is in its payload, which takes decoding. */
export class Known {
  readonly id: SessionId
  readonly key: StoreKey
  #payload: string | undefined
  #opened: Opened | undefined
  #record: StoredRecord | undefined
  #start: Start | undefined

  constructor (id: SessionId, key: StoreKey) {
    this.id = id
    this.key = key
  }

  /** @returns what a request starts from that has found this record, if it is known what is in it */
  startFrom (record: StoredRecord): Start | undefined {
    if (this.#opened === undefined || record.payload !== this.#payload) return undefined
    if (this.#start !== undefined && record === this.#record) return this.#start
    this.#record = record
    this.#start = new Start(new StoredOrigin(this.id, this.key, record), this.#opened)
    return this.#start
  }

  remember (payload: string | undefined, opened: Opened | undefined): void {
    this.#payload = payload
    this.#opened = opened
    this.#record = undefined
    this.#start = undefined
  }
}

const SESSIONS = 4096
/** Sessions with longer texts are opened anew each time, so that what is kept stays within some 64 MiB of text. */
const LONGEST = 16 * 1024

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

  remember (id: SessionId, key: StoreKey, payload: string, opened: Opened): void {
    const known = this.get(id) ?? this.#add(new Known(ofItsOwn(id), key))
    const isKept = opened.text !== undefined && opened.text.length <= LONGEST
    known.remember(isKept ? payload : undefined, isKept ? opened : undefined)
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
