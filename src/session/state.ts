import type { Tree } from './paths.ts'
import type { Stamp } from './stamp.ts'
import { decode, encode, MAX_DEPTH_OF_WHOLE } from './values.ts'

export type Flashes = Readonly<Record<string, Stamp>>

/** Most sessions have none, and share this. */
export const NO_FLASHES: Flashes = Object.freeze({})

/** Everything a session holds. */
export interface SessionState {
  /** What the application has put. */
  data: Tree
  /** Which paths of the data are there for one more request only. Never changed, but replaced: states share them. */
  flashes: Flashes
  /** The form input flashed for the next request. */
  input: { value: Tree, stamp: Stamp } | undefined
  token: string | undefined
  previousUrl: string | undefined
  /** Whose session it is. */
  userId: string | undefined
}

export function emptyState (): SessionState {
  return { data: {}, flashes: NO_FLASHES, input: undefined, token: undefined, previousUrl: undefined, userId: undefined }
}

/** @throws SessionValueError when the state holds what would not come back as it went in */
export function encodeState (state: SessionState): string {
  return encode(written(state), 'session', MAX_DEPTH_OF_WHOLE)
}

/** As {@link encodeState}, for a state of which it is known that JSON can say all of it. */
export function encodePlainState (state: SessionState): string {
  return JSON.stringify(written(state))
}

/** @throws SyntaxError when the text is not an encoded state */
export function decodeState (text: string): SessionState {
  const state = decode(text) as Partial<SessionState> | null
  if (!isObject(state?.data)) throw new SyntaxError('not a session')
  return {
    data: state.data,
    flashes: state.flashes ?? NO_FLASHES,
    input: state.input,
    token: state.token,
    previousUrl: state.previousUrl,
    userId: state.userId
  }
}

/** @returns a state whose members can be set; what is in them is shared with the one given */
export function shallowCopy ({ data, flashes, input, token, previousUrl, userId }: Readonly<SessionState>): SessionState {
  // A copy that is made by spreading has another hidden class than what it was made of, and its own copy yet another one.
  return { data: Object.assign({}, data), flashes, input, token, previousUrl, userId }
}

/** The state as it is written: JSON leaves out what is undefined. */
function written ({ data, flashes, input, token, previousUrl, userId }: SessionState): Partial<SessionState> {
  const written: Partial<SessionState> = { data }
  if (hasFlashes(flashes)) written.flashes = flashes
  if (input !== undefined) written.input = input
  if (token !== undefined) written.token = token
  if (previousUrl !== undefined) written.previousUrl = previousUrl
  if (userId !== undefined) written.userId = userId
  return written
}

export function hasFlashes (flashes: Flashes): boolean {
  return flashes !== NO_FLASHES && Object.keys(flashes).length > 0
}

function isObject (value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
