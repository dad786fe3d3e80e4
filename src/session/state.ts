/** Everything that a session holds, and how it is written as text. */
import type { Tree } from './paths.ts'
import { isObject } from './plain.ts'
import type { Stamp } from './stamp.ts'
import { decode, encode, MAX_DEPTH_OF_WHOLE } from './values.ts'

export type Flashes = Readonly<Record<string, Stamp>>

export interface SessionState {
  /** What the application has put. */
  data: Tree
  /** Which paths of the data are there for one more request only. Never changed, but replaced: states share them. */
  flashes: Flashes
  /** Dotted paths of the objects that flashing made on the way to its values: they go with the last flash below them. */
  flashContainers: readonly string[]
  /** The form input flashed for the next request. */
  input: { value: Tree, stamp: Stamp } | undefined
  token: string | undefined
  previousUrl: string | undefined
  /** Whose session it is. */
  userId: string | undefined
  /** The session's own idle timeout in milliseconds, where it has one. */
  idle: number | undefined
  /** Whether its cookie outlives the browser, where the session says so itself. */
  isPersistent: boolean | undefined
}

const NO_FACTS = { input: undefined, token: undefined, previousUrl: undefined, userId: undefined, idle: undefined, isPersistent: undefined }

export function emptyState (): SessionState {
  return { data: {}, flashes: {}, flashContainers: [], ...NO_FACTS }
}

/**
 * The data has been checked where it was put; the fields of old input may have any name.
 *
 * @throws SessionValueError when the state holds what would not come back as it went in
 */
export function encodeState (state: SessionState): string {
  return encode(written(state), 'session', MAX_DEPTH_OF_WHOLE, 'any')
}

/** @throws SyntaxError when the text is not an encoded state */
export function decodeState (text: string): SessionState {
  const state = decode(text) as Partial<SessionState> | null
  if (!isObject(state?.data)) throw new SyntaxError('not a session')
  return { ...emptyState(), ...state, data: state.data }
}

/** The state as it is written, without what is undefined: encode() would write that, too. */
function written ({ data, flashes, flashContainers, input, token, previousUrl, userId, idle, isPersistent }: SessionState): Partial<SessionState> {
  const written: Partial<SessionState> = { data }
  if (hasFlashes(flashes)) written.flashes = flashes
  if (flashContainers.length > 0) written.flashContainers = flashContainers
  if (input !== undefined) written.input = input
  if (token !== undefined) written.token = token
  if (previousUrl !== undefined) written.previousUrl = previousUrl
  if (userId !== undefined) written.userId = userId
  if (idle !== undefined) written.idle = idle
  if (isPersistent !== undefined) written.isPersistent = isPersistent
  return written
}

export function hasFlashes (flashes: Flashes): boolean {
  return Object.keys(flashes).length > 0
}
