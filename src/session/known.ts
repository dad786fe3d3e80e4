import { LRUCache } from 'lru-cache'
import type { SessionId, StoreKey } from './id.ts'
import { keyOf } from './id.ts'
import type { SessionState } from './state.ts'

/** What is in a record: the opened payload, and what it says. Shared by all requests, so nobody may change it. */
export interface Opened {
  readonly text: string
  readonly state: Readonly<SessionState>
}

const SESSIONS = 4096
/** Sessions with longer texts are opened anew each time, so that what is kept stays within some 64 MiB of text. */
const LONGEST = 16 * 1024

/**
 * What this process remembers of the sessions that it has met lately: their keys, which take a hash to find, and what is in
 * their payloads, which takes decoding. What is remembered of a payload counts for that payload only, so it can never be
 * out of date.
 */
export class KnownSessions {
  readonly #sessions = new LRUCache<SessionId, Known>({ max: SESSIONS })

  keyOf (id: SessionId): StoreKey {
    return this.#sessions.get(id)?.key ?? keyOf(id)
  }

  /** @returns what is in the payload, if that is remembered */
  opened (id: SessionId, payload: string): Opened | undefined {
    const known = this.#sessions.get(id)
    return known?.payload === payload ? known.opened : undefined
  }

  remember (id: SessionId, key: StoreKey, payload: string, opened: Opened): void {
    const known = this.#sessions.get(id)
    const isTooLong = opened.text.length > LONGEST
    if (known === undefined) {
      this.#sessions.set(id, isTooLong ? { key, payload: undefined, opened: undefined } : { key, payload, opened })
    } else {
      known.payload = isTooLong ? undefined : payload
      known.opened = isTooLong ? undefined : opened
    }
  }
}

interface Known {
  readonly key: StoreKey
  payload: string | undefined
  opened: Opened | undefined
}
