import { timingSafeEqual } from 'node:crypto'
import { SessionValueError } from '../errors.ts'
import type { SessionId, StoreKey } from './id.ts'
import type { DeclaredDefault, ElementAt, SessionKey, SessionValues, ValueAt, ValueOr } from './keys.ts'
import type { Tree } from './paths.ts'
import { checkKey, valueAt } from './paths.ts'
import { newStamp } from './stamp.ts'
import { newToken } from './token.ts'
import { userIdOf } from './user-id.ts'
import type { UnitOfWork } from './unit-of-work.ts'
import { encode } from './values.ts'

/** A default, or a function that makes one when it is needed. */
export type Default<D> = D | (() => D)

/** What a session can ask of its surroundings. */
export interface Lifecycle {
  /** The name of the cookie. */
  readonly name: string
  save (): Promise<void>
  reload (): Promise<void>
}

/**
 * The session of one visitor as one request sees it.
 *
 * Changes are visible at once, and stored together before the response leaves. Keys may be dotted paths: `'user.name'`
 * walks into objects, and into lists by index.
 *
 * Every method that changes something throws a SessionReadonlyError on a route that asked for a read-only session.
 */
export class Session {
  readonly #work: UnitOfWork
  readonly #lifecycle: Lifecycle

  /** @internal */
  constructor (work: UnitOfWork, lifecycle: Lifecycle) {
    this.#work = work
    this.#lifecycle = lifecycle
  }

  // Reading ---------------------------------------------------------------------------------------------------------

  /** @returns the value, or the default when there is none; a stored `null` is a value */
  get<K extends SessionKey> (key: K): ValueAt<K> | undefined
  get<K extends SessionKey> (key: K, fallback: DeclaredDefault<K>): Exclude<ValueAt<K>, undefined>
  get<K extends SessionKey, D> (key: K, fallback: Default<D>): ValueOr<K, D>
  get (key: string, fallback?: unknown): unknown {
    const value = this.#work.handOut(checked(key))
    if (value !== undefined) return value
    return typeof fallback === 'function' ? (fallback as () => unknown)() : fallback
  }

  /** @returns everything the application has put, flash data included, in an object of its own */
  all (): SessionValues {
    return Object.fromEntries(Object.keys(this.#work.state.data).map(key => [key, this.#work.handOut(key)]))
  }

  /** @returns the named top-level keys, as far as they are there */
  only (keys: SessionKey | readonly SessionKey[]): SessionValues {
    const names = listOf(keys)
    return Object.fromEntries(Object.entries(this.all()).filter(([key]) => names.includes(key)))
  }

  /** @returns everything but the named top-level keys */
  except (keys: SessionKey | readonly SessionKey[]): SessionValues {
    const names = listOf(keys)
    return Object.fromEntries(Object.entries(this.all()).filter(([key]) => !names.includes(key)))
  }

  /** @returns whether the key, or every one of several, is present and not null */
  has (keys: SessionKey | readonly SessionKey[]): boolean {
    return listOf(keys).every(key => this.#value(key) != null)
  }

  /** @returns whether at least one of the keys is present and not null */
  hasAny (keys: SessionKey | readonly SessionKey[]): boolean {
    return listOf(keys).some(key => this.#value(key) != null)
  }

  /** @returns whether the key, or every one of several, is present, even if its value is null */
  exists (keys: SessionKey | readonly SessionKey[]): boolean {
    return listOf(keys).every(key => this.#value(key) !== undefined)
  }

  /** @returns whether the key, or every one of several, is not there at all */
  missing (keys: SessionKey | readonly SessionKey[]): boolean {
    return listOf(keys).every(key => this.#value(key) === undefined)
  }

  /** Reads a value and removes it. */
  pull<K extends SessionKey> (key: K): ValueAt<K> | undefined
  pull<K extends SessionKey> (key: K, fallback: DeclaredDefault<K>): Exclude<ValueAt<K>, undefined>
  pull<K extends SessionKey, D> (key: K, fallback: Default<D>): ValueOr<K, D>
  pull (key: string, fallback?: unknown): unknown {
    const value: unknown = this.get(key, fallback)
    this.#forgetOne(key)
    return value
  }

  // Writing ---------------------------------------------------------------------------------------------------------

  /**
   * Stores a value, or several at once. Putting `undefined` forgets the key.
   *
   * @throws SessionValueError when a value would not come back from the store as it went in
   */
  put<K extends SessionKey> (key: K, value: ValueAt<K> | undefined): void
  put (values: SessionValues): void
  put (keyOrValues: string | SessionValues, value?: unknown): void {
    if (typeof keyOrValues === 'string') return this.#putOne(keyOrValues, value)
    for (const [key, member] of Object.entries(valuesOf(keyOrValues))) this.#putOne(key, member)
  }

  /** Makes the given object the whole of the data. Its keys are taken as they are: dots in them do not walk. */
  replace (values: SessionValues): void {
    const present = Object.fromEntries(Object.entries(valuesOf(values)).filter(([, value]) => value !== undefined))
    Object.keys(present).forEach(checkKey)
    this.#work.record({ op: 'replace', value: encode(present, 'session') }, present)
  }

  /**
   * Reads a value and, when it is missing or null, makes and stores it first.
   *
   * @param make gives the value, or a promise of it; the result is then a promise, too
   */
  remember<K extends SessionKey, T extends Promise<ValueAt<K>>> (key: K, make: () => T): T | NonNullable<ValueAt<K>>
  remember<K extends SessionKey> (key: K, make: () => ValueAt<K>): NonNullable<ValueAt<K>>
  remember (key: string, make: () => unknown): unknown {
    const value = this.#work.handOut(checked(key))
    if (value != null) return value
    const made = make()
    return made instanceof Promise ? made.then(settled => this.#rememberOne(key, settled)) : this.#rememberOne(key, made)
  }

  /**
   * Appends to a list, which is made when it is missing. Concurrent pushes all arrive.
   *
   * @throws SessionValueError when there is something else than a list
   */
  push<K extends SessionKey> (key: K, value: ElementAt<K>): void {
    this.#work.record({ op: 'push', path: checked(key), value: encode(value, key) }, value)
  }

  /**
   * Adds to a number, beginning at 0. Concurrent increments add up.
   *
   * @returns the sum as this request sees it
   * @throws SessionValueError when there is something else than a number
   */
  increment (key: SessionKey, by = 1): number {
    if (!Number.isFinite(by)) throw new SessionValueError(key, `cannot be incremented by ${String(by)}`)
    this.#work.record({ op: 'increment', path: checked(key), by })
    return this.#value(key) as number
  }

  /** Subtracts from a number; see {@link increment}. */
  decrement (key: SessionKey, by = 1): number {
    return this.increment(key, -by)
  }

  /** Removes a key and returns what it held. */
  remove<K extends SessionKey> (key: K): ValueAt<K> | undefined {
    return this.pull(key)
  }

  /** Removes one key or several. */
  forget (keys: SessionKey | readonly SessionKey[]): void {
    for (const key of listOf(keys)) this.#forgetOne(key)
  }

  /** Removes all data, with the user, the CSRF token, old input and previous URL. The session keeps its id. */
  flush (): void {
    this.#work.record({ op: 'flush' })
  }

  // Flash data ------------------------------------------------------------------------------------------------------

  /** Stores a value for this request and the next one that uses the session. */
  flash (key: SessionKey, value: unknown = true): void {
    this.#work.record({ op: 'flash', path: checked(key), value: encode(value, key), stamp: newStamp() }, value)
  }

  /** Sets a value for this request only. */
  now (key: SessionKey, value: unknown): void {
    this.#work.putTransient(checked(key), value)
  }

  /** Keeps all flash data for another request. */
  reflash (): void {
    this.#work.keep()
  }

  /** Keeps the named flash data for another request; without names, all of it. */
  keep (keys?: SessionKey | readonly SessionKey[]): void {
    this.#work.keep(keys === undefined ? undefined : listOf(keys))
  }

  /** Keeps a form's input for the next request, to be read with {@link old}. */
  flashInput (input: Readonly<Record<string, unknown>>): void {
    // A copy: what the application does to its own afterwards, as taking a password out, is its own affair.
    this.#work.record({ op: 'flashInput', value: encode(valuesOf(input), 'old input'), stamp: newStamp() })
  }

  /** @returns a field of the input flashed by the previous request, or all of it */
  old (): Record<string, unknown>
  old<D = undefined> (key: string, fallback?: Default<D>): unknown
  old (key?: string, fallback?: unknown): unknown {
    const input = this.#work.handOutInput()
    if (key === undefined) return { ...input }
    const value = valueAt(input, key)
    if (value !== undefined) return value
    return typeof fallback === 'function' ? (fallback as () => unknown)() : fallback
  }

  /** @returns whether the previous request flashed this field, or any input at all */
  hasOld (key?: string): boolean {
    const input = this.#work.state.input?.value ?? {}
    return key === undefined ? Object.keys(input).length > 0 : valueAt(input, key) != null
  }

  // Identity --------------------------------------------------------------------------------------------------------

  /** The secret that the browser's cookie holds. Not for logs: use {@link key}. */
  get id (): SessionId {
    return this.#work.id
  }

  /** SHA-256 of the id, in hex: what the store knows the session by. */
  get key (): StoreKey {
    return this.#work.key
  }

  /** The name of the session's cookie. */
  get name (): string {
    return this.#lifecycle.name
  }

  /** Whose session it is, if {@link setUser} has said so. */
  get userId (): string | undefined {
    return this.#work.state.userId
  }

  /**
   * Ties the session to a user, so that it is among that user's sessions. It stays so when the session gets a new id, and
   * no longer than until its data goes: `flush()` and `invalidate()` untie it.
   *
   * @param id the user's id in the application; null or undefined unties the session
   * @throws SessionValueError when it is neither a whole number nor a text of 1 to 255 characters
   */
  setUser (id: string | number | null | undefined): void {
    this.#work.record({ op: 'user', userId: id == null ? undefined : userIdOf(id) })
  }

  /** @internal Whether a key is this session's: the one that it is stored under, or is going to be. */
  isKnownAs (key: StoreKey): boolean {
    const { origin } = this.#work
    return key === this.key || (origin.kind === 'stored' && key === origin.key)
  }

  /** Whether nothing has been stored for this session yet. */
  get isNew (): boolean {
    return this.#work.stored === undefined
  }

  /** Gives the session a new id and a new CSRF token and keeps its data: to be called whenever somebody signs in. */
  regenerate (): void {
    const isStored = !this.isNew
    this.migrate()
    // A session in which nothing was put gets its token when somebody asks for it, and is not stored for it before.
    if (isStored || this.#work.state.token !== undefined) this.regenerateToken()
  }

  /** Gives the session a new id and keeps everything. The old id is dead once the response leaves. */
  migrate (): void {
    this.#work.depart('move')
  }

  /** Ends the session and gives the visitor an empty one: to be called when somebody signs out. */
  invalidate (): void {
    this.#work.depart('end')
  }

  // CSRF ------------------------------------------------------------------------------------------------------------

  /** @returns the session's CSRF token, made at the first call */
  token (): string {
    const token = this.#work.state.token ?? newToken()
    if (this.#work.state.token === undefined) this.#work.record({ op: 'token', token, unlessPresent: true })
    return token
  }

  regenerateToken (): void {
    this.#work.record({ op: 'token', token: newToken(), unlessPresent: false })
  }

  /** @returns whether what a form sent is the session's CSRF token; takes the same time whatever was sent */
  hasToken (candidate: unknown): boolean {
    const { token } = this.#work.state
    if (token === undefined || typeof candidate !== 'string') return false
    const [expected, actual] = [Buffer.from(token), Buffer.from(candidate)]
    return expected.length === actual.length && timingSafeEqual(expected, actual)
  }

  // Navigation ------------------------------------------------------------------------------------------------------

  /** @returns the page the visitor was on, when the `previousUrl` option records it or it was set */
  previousUrl (): string | undefined {
    return this.#work.state.previousUrl
  }

  setPreviousUrl (url: string): void {
    if (typeof url !== 'string') throw new SessionValueError('previous url', 'has to be a text')
    this.#work.record({ op: 'previousUrl', url })
  }

  // Lifecycle -------------------------------------------------------------------------------------------------------

  /**
   * Stores what has been changed so far. Needed only after the response's headers have left: in streams, on hijacked
   * replies, in work that goes on.
   *
   * @throws SessionHeadersSentError when the session is new and the browser can no longer be told its id
   * @throws SessionTooLargeError, SessionStoreError as a commit does; the changes stay uncommitted then
   */
  save (): Promise<void> {
    return this.#lifecycle.save()
  }

  /** Reads the session again from the store. Changes that were not saved are given up. */
  reload (): Promise<void> {
    return this.#lifecycle.reload()
  }

  /** When the session was first stored; undefined while it is new. */
  get createdAt (): Date | undefined {
    return copyOf(this.#work.stored?.record.createdAt)
  }

  /** When the session ends if it is not used again; undefined while it is new. */
  get expiresAt (): Date | undefined {
    return copyOf(this.#work.stored?.record.expiresAt)
  }

  // -----------------------------------------------------------------------------------------------------------------

  #value (key: string): unknown {
    return valueAt(this.#work.state.data, checked(key))
  }

  #putOne (key: string, value: unknown): void {
    if (value === undefined) return this.#forgetOne(key)
    this.#work.record({ op: 'put', path: checked(key), value: encode(value, key) }, value)
  }

  #rememberOne (key: string, value: unknown): unknown {
    if (value === undefined) return undefined
    this.#work.record({ op: 'remember', path: key, value: encode(value, key) }, value)
    return this.get(key)
  }

  #forgetOne (key: string): void {
    this.#work.record({ op: 'forget', path: checked(key) })
  }
}

/** What a store remembers is shared by all requests. */
function copyOf (date: Date | undefined): Date | undefined {
  return date && new Date(date)
}

function checked (key: string): string {
  if (typeof key !== 'string' || key === '') throw new SessionValueError(String(key), 'needs a key that is a text and not empty')
  return key
}

function listOf (keys: string | readonly string[]): readonly string[] {
  return typeof keys === 'string' ? [keys] : keys
}

function valuesOf (values: unknown): Tree {
  if (typeof values === 'object' && values !== null && !Array.isArray(values)) return values as Tree
  throw new SessionValueError('(several)', `has to be an object of keys and values, not ${values === null ? 'null' : typeof values}`)
}
