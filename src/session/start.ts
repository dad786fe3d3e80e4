/**
 * What a unit of work starts from: what was found for the id that the browser presented.
 *
 * These are classes, as is all that is made for every request or kept for every session. Of object literals V8 keeps account
 * where in the code they are made, and once many of one place have lived for a while it makes all of that place in its old
 * generation, where those of a request are garbage that waits for a full collection, and hold on to more of it.
 */
import type { StoredRecord } from '../stores/store.ts'
import { deepFreeze } from './freeze.ts'
import type { SessionId, StoreKey } from './id.ts'
import type { Known } from './known.ts'
import type { Spot } from './splice.ts'
import type { SessionState } from './state.ts'
import { decodeState, emptyState, shallowCopy } from './state.ts'

/** Longer texts are dearer to decode once more than what they say is to copy. In characters. */
const LONGEST_TAKEN = 2048

/** What is in a record: the opened payload, and what it says. Shared by all requests that find the record. */
export class Opened {
  /** The state as text, where there is a stored one. */
  readonly text: string | undefined
  #state: SessionState | undefined
  /** Whether JSON alone can say the state. */
  readonly isPlain: boolean
  /** Whether this process has written the text, so that it is known to be just as JSON.stringify makes it. */
  readonly isOurs: boolean
  /** Where in the text the member stands that was changed last, if that is known. */
  readonly spot: Spot | undefined

  /** @param state belongs to this from here on, so it must not be that of another one */
  constructor (text: string | undefined, state: SessionState, isPlain: boolean, isOurs = false, spot?: Spot) {
    this.text = text
    this.#state = state
    this.isPlain = isPlain
    this.isOurs = isOurs
    this.spot = spot
  }

  /** To look at, and not to keep: it may be taken. */
  get state (): Readonly<SessionState> {
    this.#state ??= decodeState(this.text as string)
    return this.#state
  }

  /**
   * Gives the state away to whoever is about to change it, mostly the only one who has it: what was to be copied is
   * garbage as soon as the change is stored. Where another request does look at it afterwards, the text is decoded again.
   *
   * @returns a state whose members, and those of its data, can be set; what is in them is shared or may be
   */
  take (): SessionState {
    const { state } = this
    if (this.text === undefined || this.text.length > LONGEST_TAKEN) return shallowCopy(state)
    this.#state = undefined
    return state
  }

  /** Takes back what was given away, from another that says the same and is not needed any more. */
  takeBack (same: Opened): void {
    this.#state ??= same.#state
    same.#state = undefined
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

export const EMPTY = new Opened(undefined, deepFreeze(emptyState()), true)
export const NOTHING = new Start({ kind: 'none' }, EMPTY)
export const GONE = new Start({ kind: 'gone' }, EMPTY)
