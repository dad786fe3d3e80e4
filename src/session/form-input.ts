/**
 * A form's input as it may be kept for the next request: without passwords, CSRF tokens, files and streams. It takes bodies
 * as JSON, @fastify/formbody and @fastify/multipart give them.
 */
import { SessionValueError } from '../errors.ts'
import { kindOf } from './kind.ts'
import { setMember, type Tree } from './paths.ts'
import { isPlainPrototype } from './plain.ts'
import { MAX_DEPTH } from './values.ts'

/** Names of fields that are never kept, as {@link plainNameOf} gives them. */
const SECRET_NAMES = [
  'password', 'passwordconfirmation', 'passwordconfirm', 'passwordrepeat', 'confirmpassword', 'repeatpassword',
  'currentpassword', 'oldpassword', 'newpassword', 'newpasswordconfirmation', 'confirmnewpassword',
  '_token', '_csrf'
]

/** No form has so many fields; a client that sends more wants the server to be busy with them. */
const MOST_FIELDS = 10_000

/** Stands for a field that is left out. */
const OMITTED = Symbol('omitted')

/**
 * @param body what a form has sent; `null` or `undefined` for an empty one
 * @param dontFlash more names of fields that are not kept; with dots the path of one
 * @returns the fields to keep; of the same objects as the body where nothing of them is left out
 * @throws SessionValueError when the body is no object of fields, or has too many
 */
export function fieldsToKeep (body: unknown, dontFlash: readonly string[] = []): Tree {
  if (body === undefined || body === null) return {}
  if (typeof body !== 'object' || isIterable(body) || isFile(body)) {
    throw new SessionValueError('old input', `has to be an object of fields, not ${kindOf(body)}`)
  }
  return new Selection(dontFlash).fieldsOf(body as Tree)
}

class Selection {
  readonly #secrets: ReadonlySet<string>
  readonly #longestSecret: number
  readonly #ancestors: object[] = []
  #seen = 0

  constructor (dontFlash: readonly string[]) {
    const secrets = [...SECRET_NAMES, ...dontFlash.map(plainNameOf)]
    this.#secrets = new Set(secrets)
    this.#longestSecret = Math.max(...secrets.map(({ length }) => length))
  }

  /** @param around the path of the object, as {@link #pathOf} gives it */
  fieldsOf (object: Tree, around: string | undefined = ''): Tree {
    const fields: Tree = {}
    let isSame = isPlainPrototype(Object.getPrototypeOf(object))
    for (const [name, member] of Object.entries(object)) {
      if (++this.#seen > MOST_FIELDS) throw new SessionValueError('old input', `has more than ${MOST_FIELDS} fields`)
      const path = this.#pathOf(name, around)
      const kept = this.#isSecret(name, path) ? OMITTED : this.#kept(member, path)
      isSame &&= kept === member
      if (kept !== OMITTED) setMember(fields, name, kept)
    }
    return isSame ? object : fields
  }

  #kept (value: unknown, path: string | undefined): unknown {
    if (typeof value !== 'object' || value === null) return value
    if (isFile(value)) return OMITTED
    // What refers back to itself or is no data is refused where the input is encoded, and named there.
    if (this.#ancestors.length > MAX_DEPTH || this.#ancestors.includes(value)) return value
    if (!Array.isArray(value) && !isPlainPrototype(Object.getPrototypeOf(value))) return value
    this.#ancestors.push(value)
    const kept = this.#keptOf(value, path)
    this.#ancestors.pop()
    return kept
  }

  #keptOf (value: object, path: string | undefined): unknown {
    if (Array.isArray(value)) return this.#keptInList(value, path)
    return isField(value) ? this.#kept(value.value, path) : this.fieldsOf(value as Tree, path)
  }

  #keptInList (list: unknown[], path: string | undefined): unknown {
    const kept = list.map(member => this.#kept(member, path))
    if (kept.every((member, index) => member === list[index])) return list
    const present = kept.filter(member => member !== OMITTED)
    return present.length === 0 ? OMITTED : present
  }

  /** A name is a field's own, or a path: of `user[password]` and `user.password` each part counts. */
  #isSecret (name: string, path: string | undefined): boolean {
    return [name, ...partsOf(name)].some(part => this.#secrets.has(plainNameOf(part))) || (path !== undefined && this.#secrets.has(path))
  }

  /**
   * @param around the path of the field around
   * @returns the names of a field and of those around it, but no indexes of lists; undefined where that is too long to be listed: a
   *   client may send long names around many fields
   */
  #pathOf (name: string, around: string | undefined): string | undefined {
    if (around === undefined) return undefined
    const path = plainNameOf([...around === '' ? [] : [around], ...partsOf(name)].join('.'))
    return path.length > this.#longestSecret ? undefined : path
  }
}

/** Names that differ in case, hyphens and underscores only are the same. */
function plainNameOf (name: string): string {
  return name.toLowerCase().replace(/(?!^)[-_]/g, '')
}

function partsOf (name: string): string[] {
  return name.split(/[.[\]]+/).filter(part => part !== '' && !/^\d+$/.test(part))
}

/** Bytes, a stream, or the file of @fastify/multipart. */
function isFile (value: object): boolean {
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer || value instanceof Blob) return true
  const { toBuffer, pipe, getReader } = value as { toBuffer?: unknown, pipe?: unknown, getReader?: unknown }
  return [toBuffer, pipe, getReader].some(method => typeof method === 'function')
}

/** What @fastify/multipart makes of a field with `attachFieldsToBody: true`. */
export function isField (value: object): value is { readonly value: unknown } {
  return 'type' in value && value.type === 'field' && 'fieldname' in value && 'fields' in value && 'value' in value
}

/** A FormData, a Map: its entries are no members. */
function isIterable (value: object): boolean {
  return Symbol.iterator in value
}
