/**
 * What a unit of work starts from: what was found for the id that the browser presented.
 *
 * These are classes, as is all that is made for every request or kept for every session. Of object literals V8 keeps account
 * where in the code they are made, and once many of one place have lived for a while it makes all of that place in its old
 * generation, where those of a request are garbage that waits for a full collection, and hold on to more of it.
 */
import type { StoredRecord } from '../stores/store.ts'
import type { SessionId, StoreKey } from './id.ts'
import type { Known } from './known.ts'
import type { Spot } from './splice.ts'
import type { SessionState } from './state.ts'
import { emptyState } from './state.ts'

/** What is in a record: the opened payload, and what it says. Shared by all requests, so nobody may change it. */
export class Opened {
  /** The state as text, where there is a stored one. */
  readonly text: string | undefined
  readonly state: Readonly<SessionState>
  /** Whether JSON alone can say the state. */
  readonly isPlain: boolean
  /** Whether this process has written the text, so that it is known to be just as JSON.stringify makes it. */
  readonly isOurs: boolean
  /** Where in the text the member stands that was changed last, if that is known. */
  readonly spot: Spot | undefined

  constructor (text: string | undefined, state: Readonly<SessionState>, isPlain: boolean, isOurs = false, spot?: Spot) {
    this.text = text
    this.state = state
    this.isPlain = isPlain
    this.isOurs = isOurs
    this.spot = spot
  }
}

/** A living session. */
export class StoredOrigin {
  readonly kind = 'stored'
  readonly known: Known
  readonly record: StoredRecord

  constructor (known: Known, record: StoredRecord) {
    this.known = known
    this.record = record
  }

  get id (): SessionId {
    return this.known.id
  }

  get key (): StoreKey {
    return this.known.key
  }
}

/** What was found for the id that the browser presented. */
export type Origin =
  /** Nothing: no cookie, or one whose session is not there any more. A new session may begin. */
  | { readonly kind: 'none' }
  | StoredOrigin
  /** A session that was ended a moment ago. The request works on an empty one that is never stored. */
  | { readonly kind: 'gone' }

export class Start {
  readonly origin: Origin
  readonly opened: Opened

  constructor (origin: Origin, opened: Opened) {
    this.origin = origin
    this.opened = opened
  }
}

export const EMPTY = new Opened(undefined, emptyState(), true)
export const NOTHING = new Start({ kind: 'none' }, EMPTY)
export const GONE = new Start({ kind: 'gone' }, EMPTY)
