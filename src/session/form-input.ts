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

/** Stands for a field that is left out. */
const OMITTED = Symbol('omitted')

/**
 * @param body what a form has sent; `null` or `undefined` for an empty one
 * @param dontFlash more names of fields that are not kept; with dots the path of one
 * @returns the fields to keep; of the same objects as the body where nothing of them is left out
 * @throws SessionValueError when the body is no object of fields
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
  /** The names of the fields around, to which an index of a list does not count. */
  readonly #path: string[] = []
  readonly #ancestors: object[] = []

  constructor (dontFlash: readonly string[]) {
    this.#secrets = new Set([...SECRET_NAMES, ...dontFlash.map(plainNameOf)])
  }

  fieldsOf (object: Tree): Tree {
    const fields: Tree = {}
    let isSame = isPlainPrototype(Object.getPrototypeOf(object))
    for (const [name, member] of Object.entries(object)) {
      this.#path.push(name)
      const kept = this.#isSecret(name) ? OMITTED : this.#kept(member)
      this.#path.pop()
      isSame &&= kept === member
      if (kept !== OMITTED) setMember(fields, name, kept)
    }
    return isSame ? object : fields
  }

  #kept (value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    if (isFile(value)) return OMITTED
    // What refers back to itself or is no data is refused where the input is encoded, and named there.
    if (this.#ancestors.length > MAX_DEPTH || this.#ancestors.includes(value)) return value
    if (!Array.isArray(value) && !isPlainPrototype(Object.getPrototypeOf(value))) return value
    this.#ancestors.push(value)
    const kept = this.#keptOf(value)
    this.#ancestors.pop()
    return kept
  }

  #keptOf (value: object): unknown {
    if (Array.isArray(value)) return this.#keptInList(value)
    return isField(value) ? this.#kept(value.value) : this.fieldsOf(value as Tree)
  }

  #keptInList (list: unknown[]): unknown {
    const kept = list.map(member => this.#kept(member))
    if (kept.every((member, index) => member === list[index])) return list
    const present = kept.filter(member => member !== OMITTED)
    return present.length === 0 ? OMITTED : present
  }

  /** A name is a field's own, or a path: of `user[password]` and `user.password` each part counts. */
  #isSecret (name: string): boolean {
    const isListed = (plain: string): boolean => this.#secrets.has(plain)
    return isListed(plainNameOf(name)) || partsOf(name).some(part => isListed(plainNameOf(part))) ||
      isListed(plainNameOf(this.#path.flatMap(partsOf).join('.')))
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
