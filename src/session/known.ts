import type { SessionId, StoreKey } from './id.ts'
import type { SessionState } from './state.ts'

/** What is in a record: the opened payload, and what it says. Shared by all requests, so nobody may change it. */
export interface Opened {
  readonly text: string
  readonly state: Readonly<SessionState>
  /** Whether JSON alone can say the state. */
  readonly isPlain: boolean
}

/** What is remembered of a session: its key, which takes a hash to find, and what is in its payload, which takes decoding. */
export interface Known {
  readonly key: StoreKey
  payload: string | undefined
  opened: Opened | undefined
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
  #young = new Map<SessionId, Known>()
  #old = new Map<SessionId, Known>()

  get (id: SessionId): Known | undefined {
    const young = this.#young.get(id)
    if (young !== undefined) return young
    const old = this.#old.get(id)
    if (old !== undefined) this.#add(id, old)
    return old
  }

  remember (id: SessionId, key: StoreKey, payload: string, opened: Opened): void {
    const known = this.get(id) ?? this.#add(id, { key, payload: undefined, opened: undefined })
    const isKept = opened.text.length <= LONGEST
    known.payload = isKept ? payload : undefined
    known.opened = isKept ? opened : undefined
  }

  #add (id: SessionId, known: Known): Known {
    if (this.#young.size >= SESSIONS / 2) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(id, known)
    return known
  }
}
