/**
 * A request's changes, as data. The same list is applied to what the request sees, to what it loaded and, when another
 * request has committed meanwhile, to what is stored by then: that is all replay is.
 */
import { SessionValueError } from '../errors.ts'
import { removeAt, setAt, valueAt } from './paths.ts'
import type { Stamp } from './stamp.ts'
import type { SessionState } from './state.ts'
import { emptyState, hasFlashes, NO_FLASHES } from './state.ts'
import type { Encoded } from './values.ts'
import { decode } from './values.ts'

export type Mutation =
  | { readonly op: 'put', readonly path: string, readonly value: Encoded }
  /** Put, unless something is there. */
  | { readonly op: 'remember', readonly path: string, readonly value: Encoded }
  /** A value that was handed out and changed in place. The key is a whole one: its dots do not walk. */
  | { readonly op: 'change', readonly key: string, readonly value: Encoded }
  | { readonly op: 'forget', readonly path: string }
  | { readonly op: 'flush' }
  | { readonly op: 'replace', readonly value: Encoded }
  | { readonly op: 'increment', readonly path: string, readonly by: number }
  | { readonly op: 'push', readonly path: string, readonly value: Encoded }
  | { readonly op: 'flash', readonly path: string, readonly value: Encoded, readonly stamp: Stamp }
  | { readonly op: 'flashInput', readonly value: Encoded, readonly stamp: Stamp }
  /** Forgets the flashes a request has seen: exactly those, and none flashed since. */
  | { readonly op: 'age', readonly flashes: readonly (readonly [path: string, stamp: Stamp])[], readonly input: Stamp | undefined }
  | { readonly op: 'token', readonly token: string, readonly unlessPresent: boolean }
  | { readonly op: 'previousUrl', readonly url: string }
  | { readonly op: 'user', readonly userId: string | undefined }

/**
 * Changes the state as the mutation says.
 *
 * @param value the mutation's value where the caller has it; otherwise it is decoded afresh
 * @throws SessionValueError when it does not fit what is there (an increment of a text); nothing is changed then
 */
export function apply (state: SessionState, mutation: Mutation, value?: unknown): void {
  const decoded = (encoded: Encoded): unknown => value ?? decode(encoded)
  switch (mutation.op) {
    case 'put':
      setAt(state.data, mutation.path, decoded(mutation.value))
      return forgetFlashes(state, mutation.path)
    case 'remember':
      if (valueAt(state.data, mutation.path) == null) setAt(state.data, mutation.path, decoded(mutation.value))
      return
    case 'change':
      state.data[mutation.key] = decoded(mutation.value)
      return
    case 'forget':
      removeAt(state.data, mutation.path)
      return forgetFlashes(state, mutation.path)
    case 'flush':
      Object.assign(state, emptyState())
      return
    case 'replace':
      state.data = { ...decoded(mutation.value) as SessionState['data'] }
      state.flashes = NO_FLASHES
      return
    case 'increment':
      return increment(state, mutation.path, mutation.by)
    case 'push':
      return push(state, mutation.path, decoded(mutation.value))
    case 'flash':
      setAt(state.data, mutation.path, decoded(mutation.value))
      state.flashes = { ...state.flashes, [mutation.path]: mutation.stamp }
      return
    case 'flashInput':
      state.input = { value: decoded(mutation.value) as SessionState['data'], stamp: mutation.stamp }
      return
    case 'age':
      return age(state, mutation.flashes, mutation.input)
    case 'token':
      if (!mutation.unlessPresent || state.token === undefined) state.token = mutation.token
      return
    case 'previousUrl':
      state.previousUrl = mutation.url
      return
    case 'user':
      state.userId = mutation.userId
  }
}

/**
 * Applies a list of mutations to what is stored now. One that does not fit any more, because another request has put
 * something else in its place meanwhile, is passed over: the outcome is that of the other order of the two requests.
 */
export function replay (state: SessionState, mutations: readonly Mutation[]): void {
  for (const mutation of mutations) {
    try {
      apply(state, mutation)
    } catch (error) {
      if (!(error instanceof SessionValueError)) throw error
    }
  }
}

/** @returns what the mutation changes, for people: the name of a key, never a value */
export function subjectOf (mutation: Mutation): string {
  switch (mutation.op) {
    case 'flush':
    case 'replace':
      return '(all data)'
    case 'flashInput':
      return '(old input)'
    case 'age':
      return '(flash data)'
    case 'token':
      return '(csrf token)'
    case 'previousUrl':
      return '(previous url)'
    case 'user':
      return '(user)'
    case 'change':
      return mutation.key
    default:
      return mutation.path
  }
}

function increment (state: SessionState, path: string, by: number): void {
  const current = valueAt(state.data, path) ?? 0
  if (typeof current !== 'number') throw new SessionValueError(path, `is a ${typeof current} and cannot be incremented; only numbers can`)
  setAt(state.data, path, current + by)
}

function push (state: SessionState, path: string, value: unknown): void {
  const current = valueAt(state.data, path)
  if (current == null) return setAt(state.data, path, [value])
  if (!Array.isArray(current)) throw new SessionValueError(path, 'is not a list and cannot be pushed to')
  current.push(value)
}

/** What is put or forgotten is no flash any more, nor is anything below it. */
function forgetFlashes (state: SessionState, path: string): void {
  if (!hasFlashes(state.flashes)) return
  keepFlashes(state, flashed => flashed !== path && !flashed.startsWith(`${path}.`))
}

function keepFlashes (state: SessionState, isKept: (path: string) => boolean): void {
  state.flashes = Object.fromEntries(Object.entries(state.flashes).filter(([path]) => isKept(path)))
}

function age (state: SessionState, flashes: readonly (readonly [string, Stamp])[], input: Stamp | undefined): void {
  const over = flashes.filter(([path, stamp]) => state.flashes[path] === stamp).map(([path]) => path)
  for (const path of over) removeAt(state.data, path)
  if (over.length > 0) keepFlashes(state, path => !over.includes(path))
  if (input !== undefined && state.input?.stamp === input) state.input = undefined
}
