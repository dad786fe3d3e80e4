import type { Tree } from './paths.ts'
import type { Stamp } from './stamp.ts'
import { decode, encode, MAX_DEPTH_OF_WHOLE } from './values.ts'

/** Everything a session holds. */
export interface SessionState {
  /** What the application has put. */
  data: Tree
  /** Which paths of the data are there for one more request only. */
  flashes: Record<string, Stamp>
  /** The form input flashed for the next request. */
  input: { value: Tree, stamp: Stamp } | undefined
  token: string | undefined
  previousUrl: string | undefined
}

export function emptyState (): SessionState {
  return { data: {}, flashes: {}, input: undefined, token: undefined, previousUrl: undefined }
}

export function encodeState ({ data, flashes, input, token, previousUrl }: SessionState): string {
  return encode({
    data,
    ...Object.keys(flashes).length > 0 && { flashes },
    ...input !== undefined && { input },
    ...token !== undefined && { token },
    ...previousUrl !== undefined && { previousUrl }
  }, 'session', MAX_DEPTH_OF_WHOLE)
}

/** @throws SyntaxError when the text is not an encoded state */
export function decodeState (text: string): SessionState {
  const state = decode(text) as Partial<SessionState> | null
  if (!isObject(state?.data)) throw new SyntaxError('not a session')
  return {
    data: state.data,
    flashes: state.flashes ?? {},
    input: state.input,
    token: state.token,
    previousUrl: state.previousUrl
  }
}

function isObject (value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
