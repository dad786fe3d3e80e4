/**
 * A request's changes, as data. The same list is applied to what the request sees, to what it loaded and, when another
 * request has committed meanwhile, to what is stored by then: that is all replay is.
 */
import { SessionValueError } from '../errors.ts'
import { missingContainers, removeAt, removeIfEmpty, rootOf, setAt, type Tree, valueAt } from './paths.ts'
import type { Stamp } from './stamp.ts'
import { emptyState, hasFlashes, type SessionState } from './state.ts'
import { decode, type Encoded } from './values.ts'

export type Mutation =
  | { readonly op: 'put', readonly path: string, readonly value: Encoded }
  /** Put, unless something is there. */
  | { readonly op: 'remember', readonly path: string, readonly value: Encoded }
  /**
   * A value that was handed out and changed in place. The key is a whole one: its dots do not walk. `flashes`: those in it; where one
   * has gone meanwhile, nothing is changed, or it would come back for good.
   */
  | { readonly op: 'change', readonly key: string, readonly value: Encoded, readonly flashes?: ReadonlyArray<readonly [path: string, stamp: Stamp]> }
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
  /** The session's own idle timeout in milliseconds, and whether its cookie outlives the browser. */
  | { readonly op: 'lifetime', readonly idle: number | undefined, readonly isPersistent: boolean | undefined }

export type Change = Extract<Mutation, { op: 'change' }>

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
      return forgetFlashes(state, mutation.path, rootOf(state.data, mutation.path))
    case 'remember':
      if (valueAt(state.data, mutation.path) == null) setAt(state.data, mutation.path, decoded(mutation.value))
      return
    case 'change':
      if (mutation.flashes?.every(([path, stamp]) => state.flashes[path] === stamp) !== false) state.data[mutation.key] = decoded(mutation.value)
      return
    case 'forget': {
      const root = rootOf(state.data, mutation.path)
      removeAt(state.data, mutation.path)
      return forgetFlashes(state, mutation.path, root)
    }
    case 'flush':
      Object.assign(state, emptyState())
      return
    case 'replace':
      state.data = { ...decoded(mutation.value) as SessionState['data'] }
      state.flashes = {}
      state.flashContainers = []
      return
    case 'increment':
      return increment(state, mutation.path, mutation.by)
    case 'push':
      return push(state, mutation.path, decoded(mutation.value))
    case 'flash':
      return flash(state, mutation.path, decoded(mutation.value), mutation.stamp)
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
      return
    case 'lifetime':
      state.idle = mutation.idle
      state.isPersistent = mutation.isPersistent
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

/** What mutations change that are of no key. */
const SUBJECTS: Record<Exclude<Mutation, { path: string } | { key: string }>['op'], string> = {
  flush: '(all data)',
  replace: '(all data)',
  flashInput: '(old input)',
  age: '(flash data)',
  token: '(csrf token)',
  previousUrl: '(previous url)',
  user: '(user)',
  lifetime: '(lifetime)'
}

/** @returns what the mutation changes, for people: the name of a key, never a value */
export function subjectOf (mutation: Mutation): string {
  if ('path' in mutation) return mutation.path
  return 'key' in mutation ? mutation.key : SUBJECTS[mutation.op]
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

function flash (state: SessionState, path: string, value: unknown, stamp: Stamp): void {
  const made = missingContainers(state.data, path)
  setAt(state.data, path, value)
  state.flashes = { ...state.flashes, [path]: stamp }
  state.flashContainers = [...state.flashContainers.filter(container => !isAtOrBelow(container, path)), ...made]
}

/**
 * What is put or forgotten is no flash any more, nor is anything below it.
 *
 * @param root the top-level key that the path led through
 */
function forgetFlashes (state: SessionState, path: string, root: string): void {
  if (!hasFlashes(state.flashes)) return
  state.flashContainers = state.flashContainers.filter(container => !isAtOrBelow(container, path))
  // A mutation of a path changes nothing outside of its top-level key.
  keepFlashes(state, flashed => !isAtOrBelow(flashed, path), container => isAtOrBelow(container, root))
}

/** Forgets the other flashes, and removes the objects that were made for them and in which nothing is left. */
function keepFlashes (state: SessionState, isKept: (path: string) => boolean, isRemovable = (_container: string): boolean => true): void {
  const kept = Object.entries(state.flashes).filter(([path]) => isKept(path))
  state.flashes = Object.fromEntries(kept)
  if (state.flashContainers.length === 0) return
  const isNeeded = (container: string): boolean => kept.some(([path]) => isAtOrBelow(path, container))
  // The innermost first: what is around it may be empty then.
  const over = state.flashContainers.filter(container => !isNeeded(container)).sort((a, b) => b.length - a.length)
  state.flashContainers = state.flashContainers.filter(isNeeded)
  for (const container of over) if (isRemovable(container)) removeIfEmpty(state.data, container)
}

/** Whether the mutation puts a value under a whole key. */
export function isWhole (mutation: Mutation, data: Tree): mutation is Extract<Mutation, { op: 'put' | 'flash' }> {
  return (mutation.op === 'put' || mutation.op === 'flash') && rootOf(data, mutation.path) === mutation.path
}

/** Whether a path is another one, or leads through it. */
export function isAtOrBelow (path: string, other: string): boolean {
  return path === other || path.startsWith(`${other}.`)
}

function age (state: SessionState, flashes: readonly (readonly [string, Stamp])[], input: Stamp | undefined): void {
  const over = flashes.filter(([path, stamp]) => state.flashes[path] === stamp).map(([path]) => path)
  for (const path of over) removeAt(state.data, path)
  if (over.length > 0) keepFlashes(state, path => !over.includes(path))
  if (input !== undefined && state.input?.stamp === input) state.input = undefined
}
