/**
 * What a session can hold, as text and back.
 *
 * The text is JSON. What JSON cannot express is an object with one key that begins with `$`, in the manner of MongoDB's
 * Extended JSON: `{"$date":"2026-01-31T12:00:00.000Z"}`. An application's own object of that form is wrapped in
 * `{"$object":…}`, so that every value comes back as it went in and stays legible in the store. Most sessions hold
 * nothing of the kind, and text without `{"$` is read by JSON.parse alone.
 */
import { SessionValueError } from '../errors.ts'
import { isPromise } from './maybe-promise.ts'
import { isPlainPrototype } from './plain.ts'

/** A value as text. */
export type Encoded = string & { readonly brand: 'Encoded' }

/** Nesting beyond this is refused: it is never meant, and unbounded recursion ends in a stack overflow. */
export const MAX_DEPTH = 200
/** What is put below a path lies deeper in the whole than by itself. */
export const MAX_DEPTH_OF_WHOLE = 2 * MAX_DEPTH
/** A member of the data lies two levels below the whole. */
export const MAX_DEPTH_OF_MEMBER = MAX_DEPTH_OF_WHOLE - 2

type Tagged = Record<string, unknown>

/** Which names members may have: what an application puts has no `__proto__`, fields of a form may have any name. */
export type Names = 'safe' | 'any'

/** What a member of something is called: a key, or an index. */
type Name = string | number | undefined

/** The way from the value down to where the encoding is. Of its names a text is made only for a message. */
class Way {
  readonly maxDepth: number
  readonly names: Names
  readonly #path: string
  readonly #objects: object[] = []
  readonly #names: Name[] = []

  /** @param maxDepth how many objects there may be on it */
  constructor (path: string, maxDepth: number, names: Names) {
    this.#path = path
    this.maxDepth = maxDepth
    this.names = names
  }

  get depth (): number {
    return this.#objects.length
  }

  includes (object: object): boolean {
    return this.#objects.includes(object)
  }

  enter (object: object, name: Name): void {
    this.#objects.push(object)
    this.#names.push(name)
  }

  leave (): void {
    this.#objects.pop()
    this.#names.pop()
  }

  /** @returns the path to a member of the object that was entered last, or to that object itself */
  pathTo (name?: Name): string {
    return [this.#path, ...this.#names, name].filter(each => each !== undefined).join('.')
  }
}

/** Constructors of the values that are kept as bytes, by the name they are kept under. */
const BYTES = new Map<string, (bytes: Buffer) => unknown>([
  ['Buffer', bytes => bytes],
  ['ArrayBuffer', bytes => arrayBufferOf(bytes)],
  ...[
    Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
    Float32Array, Float64Array, BigInt64Array, BigUint64Array
  ].map(TypedArray => [TypedArray.name, (bytes: Buffer) => new TypedArray(arrayBufferOf(bytes))] as const)
])

const DECODERS: Record<string, (content: unknown) => unknown> = {
  $date: iso => new Date(iso === null ? NaN : text(iso)),
  $map: entries => new Map(list(entries).map(entry => {
    const [key, value] = list(entry)
    return [revive(key), revive(value)]
  })),
  $set: values => new Set(list(values).map(revive)),
  $bigint: digits => BigInt(text(digits)),
  $number: name => Number(text(name)),
  $url: href => new URL(text(href)),
  $regexp: content => {
    const [source, flags] = list(content)
    return new RegExp(text(source), text(flags))
  },
  $bytes: content => {
    const [name, base64] = list(content)
    const construct = BYTES.get(text(name))
    if (construct === undefined) throw new SyntaxError(`unknown kind of bytes '${text(name)}'`)
    return construct(Buffer.from(text(base64), 'base64'))
  },
  $undefined: () => undefined,
  $object: content => reviveMembers(content)
}

/**
 * @param value anything
 * @param path where it is being put, for the error's message
 * @param maxDepth how deep objects may be nested
 * @param names which names members may have
 * @throws SessionValueError when the value, or anything in it, would not come back as it went in
 */
export function encode (value: unknown, path: string, maxDepth = MAX_DEPTH, names: Names = 'safe'): Encoded {
  return JSON.stringify(taggedForm(value, undefined, new Way(path, maxDepth, names))) as Encoded
}

/**
 * @returns a new value each time, which shares no object with another one
 * @throws SyntaxError when the text is not one that {@link encode} makes
 */
export function decode (encoded: string): unknown {
  const value: unknown = JSON.parse(encoded)
  // JSON and nothing beyond; a text may have that in it as well, and is only looked at in vain.
  if (!encoded.includes('{"$')) return value
  try {
    return revive(value)
  } catch (cause) {
    throw new SyntaxError('not the text of a session value', { cause })
  }
}

/** @returns a copy of a value that can be stored, sharing no object with it */
export function copyOf (value: unknown): unknown {
  return decode(encode(value, 'session', MAX_DEPTH_OF_WHOLE, 'any'))
}

/** The value itself where JSON can express it, and otherwise a copy in which everything else is tagged. */
function taggedForm (value: unknown, name: Name, way: Way): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { $number: Object.is(value, -0) ? '-0' : String(value) }
    case 'bigint':
      return { $bigint: String(value) }
    case 'undefined':
      return { $undefined: true }
    case 'object':
      return value === null ? null : taggedObject(value, name, way)
    default:
      throw new SessionValueError(way.pathTo(name), `is a ${typeof value}, which cannot be stored`)
  }
}

function taggedObject (value: object, name: Name, way: Way): unknown {
  if (way.includes(value)) throw new SessionValueError(way.pathTo(name), 'refers back to itself; a session holds no cycles')
  if (way.depth >= way.maxDepth) throw new SessionValueError(way.pathTo(name), `is nested more than ${way.maxDepth} levels deep`)
  way.enter(value, name)
  const tagged = taggedByKind(value, way)
  way.leave()
  return tagged
}

function taggedByKind (value: object, way: Way): unknown {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Array.prototype) return taggedList(value as unknown[], way)
  if (isPlainPrototype(prototype)) return taggedMembers(value as Tagged, way)
  switch (prototype) {
    case Date.prototype: {
      const date = value as Date
      return { $date: Number.isNaN(date.getTime()) ? null : date.toISOString() }
    }
    case Map.prototype:
      return { $map: [...value as Map<unknown, unknown>].map(([key, member], index) => [taggedForm(key, index, way), taggedForm(member, index, way)]) }
    case Set.prototype:
      return { $set: [...value as Set<unknown>].map((member, index) => taggedForm(member, index, way)) }
    case URL.prototype:
      return { $url: (value as URL).href }
    case RegExp.prototype:
      return { $regexp: [(value as RegExp).source, (value as RegExp).flags] }
    default:
      return taggedBytes(value, prototype, way)
  }
}

function taggedList (value: unknown[], way: Way): unknown {
  if (Object.keys(value).length !== value.length) throw notDense(way)
  let copy: unknown[] | undefined
  for (let index = 0; index < value.length; index++) {
    const member = value[index]
    if (member === undefined && !Object.hasOwn(value, index)) throw notDense(way)
    const tagged = taggedForm(member, index, way)
    if (tagged !== member) copy ??= value.slice()
    if (copy !== undefined) copy[index] = tagged
  }
  return copy ?? value
}

function notDense (way: Way): SessionValueError {
  return new SessionValueError(way.pathTo(), 'is an array with holes or with named properties; fill it, or use an object')
}

function taggedMembers (value: Tagged, way: Way): unknown {
  const names = Object.keys(value)
  if (Object.getOwnPropertySymbols(value).length > 0) {
    throw new SessionValueError(way.pathTo(), 'has a symbol among its keys, which cannot be stored')
  }
  let copy: Tagged | undefined
  for (const name of names) {
    if (name === '__proto__' && way.names === 'safe') throw new SessionValueError(way.pathTo(name), 'would replace a prototype')
    const member = value[name]
    const tagged = taggedForm(member, name, way)
    if (tagged !== member) copy ??= { ...value }
    if (copy !== undefined) copy[name] = tagged
  }
  return names.length === 1 && names[0]?.startsWith('$') === true ? { $object: copy ?? value } : copy ?? value
}

function taggedBytes (value: object, prototype: unknown, way: Way): unknown {
  const name = (prototype as { constructor?: { name?: string } }).constructor?.name ?? 'an unnamed class'
  const genuine = BYTES.has(name) && prototype === (globalThis as unknown as Record<string, { prototype: unknown }>)[name]?.prototype
  if (!genuine) {
    if (isPromise(value)) throw new SessionValueError(way.pathTo(), 'is a promise: await it, and store what it gives')
    throw new SessionValueError(way.pathTo(), `is an instance of ${name}, which would come back as a plain object; store its data instead`)
  }
  const bytes = ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(value as ArrayBuffer)
  return { $bytes: [name, bytes.toString('base64')] }
}

/** Undoes {@link taggedForm}; may reuse the tree it is given. */
function revive (value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (!Array.isArray(value)) {
    const names = Object.keys(value)
    const [name] = names
    if (names.length === 1 && name?.startsWith('$') === true) {
      const decoder = Object.hasOwn(DECODERS, name) ? DECODERS[name] : undefined
      if (decoder === undefined) throw new SyntaxError(`unknown kind of value '${name}'`)
      return decoder((value as Tagged)[name])
    }
  }
  return reviveMembers(value)
}

function reviveMembers (value: unknown): unknown {
  const members = value as Tagged
  for (const name of Object.keys(members)) members[name] = revive(members[name])
  return members
}

function arrayBufferOf (bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

function text (content: unknown): string {
  if (typeof content !== 'string') throw new SyntaxError('expected a text')
  return content
}

function list (content: unknown): unknown[] {
  if (!Array.isArray(content)) throw new SyntaxError('expected a list')
  return content
}
