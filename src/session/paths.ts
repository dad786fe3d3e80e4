/**
 * Dotted paths into a session's data: `'user.name'` walks into objects and, by index, into lists. Only own members are
 * ever seen, so no path reaches a prototype.
 */
import { SessionValueError } from '../errors.ts'
import { isPlainPrototype } from './plain.ts'

export type Tree = Record<string, unknown>

const UNWALKABLE: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const NONE: ReadonlySet<string> = new Set()
/** Segments of a path to write to: with a value below it that is as deep as values may be, it can still be stored. */
const MOST_SEGMENTS = 100

/** @returns what stands at the path, or `undefined`; a whole key that contains the dot comes before walking. */
export function valueAt (tree: Tree, path: string): unknown {
  return find(tree, path, UNWALKABLE)
}

/** As {@link valueAt}, for what a form has sent: its fields may have any name, and only own members are seen. */
export function fieldAt (input: Tree, path: string): unknown {
  return find(input, path, NONE)
}

/** Sets an own member of any name: `__proto__` does not change the prototype. */
export function setMember (object: Tree, name: string, value: unknown): void {
  if (name !== '__proto__') object[name] = value
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true })
}

/**
 * For whole keys, whose dots do not walk.
 *
 * @throws SessionValueError when no path could ever read the key
 */
export function checkKey (key: string): void {
  checkName(key, key)
}

/** @returns the top-level key a path leads through */
export function rootOf (tree: Tree, path: string): string {
  const dot = path.indexOf('.')
  return dot === -1 || Object.hasOwn(tree, path) ? path : path.slice(0, dot)
}

/**
 * Sets the value at the path, making objects on the way; what stands in the way and is no container is replaced.
 *
 * @throws SessionValueError when a segment is not allowed, not an index of the list it walks into, or when the path
 *   leads into something that is neither an object nor a list (a Map, a Date …), or has too many segments
 */
export function setAt (tree: Tree, path: string, value: unknown): void {
  const segments = Object.hasOwn(tree, path) ? [path] : segmentsOf(path)
  // Before anything is made on the way: what is refused changes nothing.
  for (const segment of segments) checkName(segment, path)
  const last = segments.pop() as string
  let container: Tree | unknown[] = tree
  for (const segment of segments) {
    checkSegment(container, segment, path)
    const next: unknown = hasMember(container, segment) ? (container as Tree)[segment] : undefined
    if (isWalkable(next)) {
      container = next
    } else {
      if (typeof next === 'object' && next !== null) {
        throw new SessionValueError(path, `leads into a ${next.constructor.name}; dots walk into objects and lists only`)
      }
      const made: Tree = {}
      ;(container as Tree)[segment] = made
      container = made
    }
  }
  checkSegment(container, last, path)
  ;(container as Tree)[last] = value
}

/** Removes what stands at the path, if anything does. An element is taken out of its list; those behind it move up. */
export function removeAt (tree: Tree, path: string): void {
  if (Object.hasOwn(tree, path)) {
    delete tree[path]
    return
  }
  const segments = path.split('.')
  const last = segments.pop() as string
  const container = walk(tree, segments)
  if (UNWALKABLE.has(last) || !isWalkable(container) || !hasMember(container, last)) return
  if (Array.isArray(container)) container.splice(Number(last), 1)
  else delete container[last]
}

/**
 * @returns the paths of the objects that {@link setAt} would have to make on the way to a path; elements of lists are not
 *   among them, because other elements take their places
 */
export function missingContainers (tree: Tree, path: string): string[] {
  if (!path.includes('.') || Object.hasOwn(tree, path)) return []
  const segments = segmentsOf(path).slice(0, -1)
  const present = segments.findIndex((_segment, index) => !isWalkable(walk(tree, segments.slice(0, index + 1))))
  if (present === -1 || Array.isArray(walk(tree, segments.slice(0, present)))) return []
  return segments.slice(present).map((_segment, index) => segments.slice(0, present + index + 1).join('.'))
}

/** Removes the object at a path if it is there and empty. Dots always walk: a whole key that contains them is another one. */
export function removeIfEmpty (tree: Tree, path: string): void {
  const segments = path.split('.')
  const last = segments.pop() as string
  const container = walk(tree, segments)
  if (!isWalkable(container) || Array.isArray(container) || !hasMember(container, last)) return
  const value = container[last]
  if (isWalkable(value) && !Array.isArray(value) && Object.keys(value).length === 0) delete container[last]
}

function find (tree: Tree, path: string, unwalkable: ReadonlySet<string>): unknown {
  if (Object.hasOwn(tree, path)) return unwalkable.has(path) ? undefined : tree[path]
  return path.includes('.') ? walk(tree, path.split('.'), unwalkable) : undefined
}

function walk (tree: Tree, segments: readonly string[], unwalkable = UNWALKABLE): unknown {
  let value: unknown = tree
  for (const segment of segments) {
    if (!isWalkable(value) || unwalkable.has(segment) || !hasMember(value, segment)) return undefined
    value = (value as Tree)[segment]
  }
  return value
}

function checkSegment (container: Tree | unknown[], segment: string, path: string): void {
  if (Array.isArray(container) && segment !== String(container.length) && !hasMember(container, segment)) {
    throw new SessionValueError(path, `has '${segment}' where an index of a list of ${container.length} is needed`)
  }
}

function isWalkable (value: unknown): value is Tree | unknown[] {
  if (typeof value !== 'object' || value === null) return false
  return Array.isArray(value) || isPlainPrototype(Object.getPrototypeOf(value))
}

function hasMember (container: Tree | unknown[], segment: string): boolean {
  return Array.isArray(container) ? isIndex(segment) && Number(segment) < container.length : Object.hasOwn(container, segment)
}

/** @throws SessionValueError when there are so many that nothing could be stored there */
function segmentsOf (path: string): string[] {
  const segments = path.split('.', MOST_SEGMENTS + 1)
  if (segments.length > MOST_SEGMENTS) throw new SessionValueError(path, `has more than ${MOST_SEGMENTS} names between its dots`)
  return segments
}

function isIndex (segment: string): boolean {
  return /^(0|[1-9]\d*)$/.test(segment)
}

function checkName (segment: string, path: string): void {
  if (UNWALKABLE.has(segment)) throw new SessionValueError(path, `has '${segment}' in its path, which is not allowed`)
}
