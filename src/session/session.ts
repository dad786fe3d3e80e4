/** The class that applications use. Its methods check their arguments; changes.ts keeps what they change. */
import type { SessionConfig } from '../config/options.ts'
import { SessionValueError } from '../errors.ts'
import { fieldsToKeep } from './form-input.ts'
import { guard } from './guard.ts'
import type { SessionId, StoreKey } from './id.ts'
import { kindOf } from './kind.ts'
import type { CounterKey, DeclaredDefault, ElementAt, FlashedAt, ListKey, Remembered, SessionKey, SessionValues, ValueAt, ValueOr } from './keys.ts'
import { isPromise } from './maybe-promise.ts'
import type { Mutation } from './mutations.ts'
import { quote } from './names.ts'
import { checkKey, fieldAt, rootOf, type Tree, valueAt } from './paths.ts'
import { isPlainPrototype } from './plain.ts'
import { newStamp } from './stamp.ts'
import { isTokenOf, newToken } from './token.ts'
import { userIdOf } from './user-id.ts'
import type { SessionChanges } from './changes.ts'
import { encode } from './values.ts'

const MINUTE = 60_000
/** A hundred years of minutes: well within what a Date can hold. */
const LONGEST_LIFETIME = 52_560_000

/** A default, or a function that makes one when it is needed. */
export type Default<D> = D | (() => D)

/** Keys, one by one or in lists: `has('a', 'b')` is `has(['a', 'b'])`. */
export type SessionKeys = ReadonlyArray<SessionKey | readonly SessionKey[]>

/** What a session needs from whoever made it: a request, or a job. */
export interface SessionHost {
  readonly config: Pick<SessionConfig, 'cookie' | 'dontFlash' | 'csrf'>
  save (): Promise<void>
  reload (): Promise<void>
  /** Runs something when no save or reload is under way. */
  inTurn<T> (step: () => Promise<T>): Promise<T>
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
  readonly #changes: SessionChanges
  readonly #host: SessionHost

  /** @internal */
  constructor (changes: SessionChanges, host: SessionHost) {
    this.#changes = changes
    this.#host = host
  }

  // Reading ---------------------------------------------------------------------------------------------------------

  /** @returns the value, or the default when there is none; a stored `null` is a value */
  get<K extends SessionKey> (key: K): ValueAt<K> | undefined
  get<K extends SessionKey> (key: K, fallback: DeclaredDefault<K>): Exclude<ValueAt<K>, undefined>
  get<K extends SessionKey, D> (key: K, fallback: Default<D>): ValueOr<K, D>
  get (key: string, fallback?: unknown): unknown {
    const value = this.#changes.handOut(checked(key))
    return value === undefined ? defaultOf(fallback) : value
  }

  /** @returns everything the application has put, flash data included, in an object of its own */
  all (): SessionValues {
    return this.#handedOut(() => true)
  }

  /** @returns the named top-level keys, as far as they are there */
  only (...keys: SessionKeys): SessionValues {
    const names = this.#topLevelKeys(keys)
    return this.#handedOut(key => names.includes(key))
  }

  /** @returns everything but the named top-level keys */
  except (...keys: SessionKeys): SessionValues {
    const names = this.#topLevelKeys(keys)
    return this.#handedOut(key => !names.includes(key))
  }

  /** @returns whether every one of the keys is present and not null */
  has (...keys: SessionKeys): boolean {
    return listOf(keys).every(key => this.#value(key) != null)
  }

  /** @returns whether at least one of the keys is present and not null */
  hasAny (...keys: SessionKeys): boolean {
    return listOf(keys).some(key => this.#value(key) != null)
  }

  /** @returns whether every one of the keys is present, even if its value is null */
  exists (...keys: SessionKeys): boolean {
    return listOf(keys).every(key => this.#value(key) !== undefined)
  }

  /** @returns whether at least one of the keys is not present: the opposite of {@link exists}, as in Laravel */
  missing (...keys: SessionKeys): boolean {
    return !this.exists(...keys)
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
    if (typeof keyOrValues === 'string') return this.#changes.record(putOf(keyOrValues, value), value)
    this.#recordAll(keyOrValues, putOf)
  }

  /** Makes the given object the whole of the data. Its keys are taken as they are: dots in them do not walk. */
  replace (values: SessionValues): void {
    const present = Object.fromEntries(Object.entries(valuesOf(values)).filter(([, value]) => value !== undefined))
    Object.keys(present).forEach(checkKey)
    this.#changes.record({ op: 'replace', value: encode(present, 'session') }, present)
  }

  /**
   * Reads a value and, when it is missing or null, makes and stores it first.
   *
   * @param make gives the value, or a promise of it; the result is then a promise, too
   * @throws SessionValueError when `make` is no function, or makes what cannot be stored
   */
  remember<K extends SessionKey, Make extends () => ValueAt<K> | Promise<ValueAt<K>>> (key: K, make: Make): Remembered<K, ReturnType<Make>>
  remember (key: string, make: () => unknown): unknown {
    const value = this.#changes.handOut(checked(key))
    if (typeof make !== 'function') throw new SessionValueError(key, `needs a function that makes it: remember(${quote(key)}, () => …)`)
    if (value != null) return value
    const made = make()
    if (!isPromise(made)) return this.#rememberOne(key, made)
    return Promise.resolve(made).then(settled => this.#rememberOne(key, settled))
  }

  /**
   * Appends one value or several to a list, which is made when it is missing. Concurrent pushes all arrive.
   *
   * @throws SessionValueError when there is something else than a list, or a value cannot be stored; nothing is pushed then
   */
  push<K extends SessionKey> (key: K & ListKey<K>, ...values: ReadonlyArray<ElementAt<K>>): void {
    const path = checked(key)
    const pushes = values.map((value): Mutation => ({ op: 'push', path, value: encode(value, path) }))
    pushes.forEach((push, index) => { this.#changes.record(push, values[index]) })
  }

  /**
   * Adds to a number, beginning at 0. Concurrent increments add up.
   *
   * @returns the sum as this request sees it
   * @throws SessionValueError when there is something else than a number
   */
  increment<K extends SessionKey> (key: K & CounterKey<K>, by = 1): number {
    return this.#add(key, stepOf(by, key))
  }

  /** Subtracts from a number; see {@link increment}. */
  decrement<K extends SessionKey> (key: K & CounterKey<K>, by = 1): number {
    return this.#add(key, -stepOf(by, key))
  }

  /** Removes a key and returns what it held. */
  remove<K extends SessionKey> (key: K): ValueAt<K> | undefined
  remove (key: string, ...others: unknown[]): unknown {
    refuseMore('remove', others, 'removes one key and returns what it held', 'forget')
    return this.pull(key)
  }

  /** Removes one key or several. */
  forget (...keys: SessionKeys): void {
    for (const key of listOf(keys)) this.#forgetOne(key)
  }

  /** Removes all data, with the user, the CSRF token, old input and previous URL. The session keeps its id. */
  flush (): void
  flush (...keys: unknown[]): void {
    refuseMore('flush', keys, 'removes all data', 'forget')
    this.#changes.record({ op: 'flush' })
  }

  // Flash data ------------------------------------------------------------------------------------------------------

  /**
   * Stores a value, or several, for this request and the next one that uses the session. A key alone stores `true`.
   *
   * @throws SessionValueError as {@link put} does
   */
  flash<K extends SessionKey> (key: K, ...value: FlashedAt<K>): void
  flash (values: SessionValues): void
  flash (keyOrValues: string | SessionValues, value: unknown = true): void {
    if (typeof keyOrValues === 'string') return this.#changes.record(flashOf(keyOrValues, value), value)
    this.#recordAll(keyOrValues, flashOf)
  }

  /** Sets a value for this request only. Dots in the key do not walk. */
  now<K extends SessionKey> (key: K, value: ValueAt<K>): void {
    this.#changes.putTransient(checked(key), value)
  }

  /** Keeps all flash data for another request. */
  reflash (): void
  reflash (...keys: unknown[]): void {
    refuseMore('reflash', keys, 'keeps all flash data', 'keep')
    this.#changes.keep()
  }

  /** Keeps the named flash data, and what was flashed below it, for another request; without names, all flash data. */
  keep (...keys: SessionKeys): void {
    if (keys.length === 0) return this.#changes.keep()
    const names = listOf(keys)
    const flashed = Object.keys(this.#changes.state.flashes)
    this.#changes.keep(names.flatMap(name => [name, ...flashed.filter(path => path.startsWith(`${name}.`))]))
  }

  /**
   * Keeps a form's input for the next request, to be read with {@link old}. Files, streams, password fields and CSRF tokens
   * are left out; the `dontFlash` option names more.
   *
   * @param body the request's body, as JSON, @fastify/formbody or @fastify/multipart give it; `undefined` for an empty form
   * @throws SessionValueError when it is no object of fields, or a field cannot be stored
   */
  flashInput (body: unknown): void {
    // The encoding is a copy: what the application changes in its body afterwards is not stored.
    const value = encode(fieldsToKeep(body, this.#host.config.dontFlash), 'old input', undefined, 'any')
    this.#changes.record({ op: 'flashInput', value, stamp: newStamp() })
  }

  /**
   * A field of the input flashed by the previous request, or all of it. With a text as the default the result is a text: a
   * number or boolean is written out, and the default is given for what is no text, as a list is.
   */
  old (): Record<string, unknown>
  old (key: string): unknown
  old (key: string, fallback: string): string
  old (key: string, fallback: unknown): unknown
  old (key?: string, fallback?: unknown): unknown {
    const input = this.#changes.handOutInput()
    if (key === undefined) return { ...input }
    const value = fieldAt(input, checked(key))
    if (typeof fallback === 'string') return textOf(value) ?? fallback
    return value === undefined ? defaultOf(fallback) : value
  }

  /** @returns whether the previous request flashed every one of the fields, not as null; without names, any input at all */
  hasOld (...keys: ReadonlyArray<string | readonly string[]>): boolean {
    const input = this.#changes.state.input?.value ?? {}
    return keys.length === 0 ? Object.keys(input).length > 0 : listOf(keys).every(key => fieldAt(input, key) != null)
  }

  // Identity --------------------------------------------------------------------------------------------------------

  /** The secret that the browser's cookie holds. Not for logs: use {@link key}. */
  get id (): SessionId {
    return this.#changes.id
  }

  /** SHA-256 of the id, in hex: what the store knows the session by. */
  get key (): StoreKey {
    return this.#changes.key
  }

  /** The name of the session's cookie. */
  get name (): string {
    return this.#host.config.cookie
  }

  /** The id of the user that {@link setUser} tied the session to. */
  get userId (): string | undefined {
    return this.#changes.facts.userId
  }

  /**
   * Ties the session to a user, so that it is among that user's sessions. A new id keeps the tie; `flush()` and `invalidate()`
   * end it.
   *
   * @param id the user's id in the application; null or undefined unties the session
   * @throws SessionValueError when it is neither a whole number nor a text of 1 to 255 characters
   */
  setUser (id: string | number | null | undefined): void {
    this.#changes.record({ op: 'user', userId: id == null ? undefined : userIdOf(id) })
  }

  /** @internal The key that it is stored under, also when it is going to get another one; undefined where nothing is stored. */
  get storedKey (): StoreKey | undefined {
    const { origin } = this.#changes
    return origin.kind === 'stored' ? origin.key : undefined
  }

  /** @internal Whether a key is this session's: the one that it is stored under, or is going to be. */
  isKnownAs (key: StoreKey): boolean {
    return key === this.key || key === this.storedKey
  }

  /**
   * @internal Has the request end its own session in the store, as if it had called {@link invalidate}. It comes behind each save() that is under
   * way, which would otherwise bring back what it was to store.
   *
   * @param end ends the session under a key
   */
  endIn (end: (key: StoreKey) => Promise<boolean>): Promise<boolean> {
    return this.#host.inTurn(async () => {
      // A session that is to get a new id is under the old one until the commit.
      const stored = this.storedKey ?? this.key
      const hasEnded = await end(stored)
      if (hasEnded) this.#changes.markEnded(stored)
      return hasEnded
    })
  }

  /** Whether nothing has been stored for this session yet. */
  get isNew (): boolean {
    return this.#changes.stored === undefined
  }

  /**
   * Whether the session is over: it was signed out, revoked or regenerated by another request, as far as this one has seen.
   * Nothing is stored for it any more.
   */
  get isEnded (): boolean {
    return this.#changes.isEnded
  }

  /** Gives the session a new id and a new CSRF token and keeps its data. Call it when a user signs in. */
  regenerate (): void {
    const isStored = !this.isNew
    this.migrate()
    // An empty session gets its token from the first call of token(), and is not stored before.
    if (isStored || this.#changes.facts.token !== undefined) this.regenerateToken()
  }

  /** Gives the session a new id and keeps everything. The old id is dead once the response leaves. */
  migrate (): void {
    this.#changes.changeId('regenerate')
  }

  /** Ends the session and gives the visitor an empty one. Call it when a user signs out. */
  invalidate (): void {
    this.#changes.changeId('invalidate')
  }

  /** @internal Ends the session as {@link invalidate} does, and begins another one with some of its data, of which flash data stays flash data. */
  invalidateAllBut (keys: readonly SessionKey[]): void {
    const names = this.#topLevelKeys([keys])
    const kept = this.#handedOut(key => names.includes(key) && !this.#changes.isTransient(key))
    const flashed = Object.keys(this.#changes.state.flashes).filter(path => Object.hasOwn(kept, rootOf(kept, path)))
    this.invalidate()
    // Nothing to begin another session with is an end like any other.
    if (Object.keys(kept).length > 0) this.replace(kept)
    for (const path of flashed) this.flash(path, valueAt(kept, path))
  }

  // CSRF ------------------------------------------------------------------------------------------------------------

  /** @returns the session's CSRF token, made at the first call */
  token (): string {
    const token = this.#changes.state.token ?? newToken()
    if (this.#changes.state.token === undefined) this.#changes.record({ op: 'token', token, unlessPresent: true })
    return token
  }

  regenerateToken (): void {
    this.#changes.record({ op: 'token', token: newToken(), unlessPresent: false })
  }

  /**
   * @param candidate what a form or a header has brought, of any type
   * @returns whether it is the session's CSRF token, as {@link token} gives it or masked; takes the same time whatever was sent
   */
  hasToken (candidate: unknown): boolean {
    const { token } = this.#changes.facts
    return token !== undefined && typeof candidate === 'string' && isTokenOf(token, candidate)
  }

  /** @internal The name of the form field that carries the CSRF token. */
  get tokenField (): string {
    const { csrf } = this.#host.config
    return csrf === false ? '_token' : csrf.field
  }

  // Navigation ------------------------------------------------------------------------------------------------------

  /** @returns the page the visitor was on, when the `previousUrl` option records it or it was set */
  previousUrl (): string | undefined {
    return this.#changes.state.previousUrl
  }

  setPreviousUrl (url: string): void {
    if (typeof url !== 'string') throw new SessionValueError('previous url', `has to be a text, not ${kindOf(url)}`)
    this.#changes.record({ op: 'previousUrl', url })
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
    return this.#host.save()
  }

  /** Reads the session again from the store. Changes that were not saved are given up. */
  reload (): Promise<void> {
    return this.#host.reload()
  }

  /**
   * Gives this session a lifetime of its own, as for "remember me". It is kept through {@link regenerate} and ends with
   * {@link invalidate}.
   *
   * @param minutes idle timeout; null for that of the options
   * @param options.persistent whether the cookie outlives the browser; as the options say when left out
   * @throws SessionValueError when it is neither null nor a number of minutes greater than 0
   */
  setLifetime (minutes: number | null, { persistent }: { readonly persistent?: boolean | undefined } = {}): void {
    if (minutes !== null && !(typeof minutes === 'number' && minutes > 0 && minutes <= LONGEST_LIFETIME)) {
      throw new SessionValueError('(lifetime)', `has to be null or a number of minutes, greater than 0 and at most ${LONGEST_LIFETIME}`)
    }
    this.#changes.record({ op: 'lifetime', idle: minutes === null ? undefined : Math.ceil(minutes * MINUTE), isPersistent: persistent })
  }

  /** When the session was first stored; undefined while it is new. */
  get createdAt (): Date | undefined {
    return copyOf(this.#changes.stored?.record.createdAt)
  }

  /** When the session ends if it is not used again; undefined while it is new. */
  get expiresAt (): Date | undefined {
    return copyOf(this.#changes.stored?.record.expiresAt)
  }

  // -----------------------------------------------------------------------------------------------------------------

  #value (key: string): unknown {
    return valueAt(this.#changes.state.data, checked(key))
  }

  /** Makes all changes of an object of keys and values, unless one of them is refused. */
  #recordAll (values: unknown, mutationOf: (key: string, value: unknown) => Mutation): void {
    const entries = Object.entries(valuesOf(values))
    const mutations = entries.map(([key, value]) => mutationOf(key, value))
    this.#changes.assertFit(mutations)
    mutations.forEach((mutation, index) => { this.#changes.record(mutation, entries[index]?.[1]) })
  }

  #add (key: string, by: number): number {
    this.#changes.record({ op: 'increment', path: checked(key), by })
    return this.#value(key) as number
  }

  /** @returns the wanted top-level keys, whose values may be changed in place from then on */
  #handedOut (isWanted: (key: string) => boolean): SessionValues {
    const keys = Object.keys(this.#changes.state.data).filter(isWanted)
    return Object.fromEntries(keys.map(key => [key, this.#changes.handOut(key)]))
  }

  #topLevelKeys (keys: SessionKeys): readonly string[] {
    const names = listOf(keys)
    const path = names.find(name => name.includes('.') && !Object.hasOwn(this.#changes.state.data, name))
    if (path === undefined) return names
    throw new SessionValueError(path, `is a path, where top-level keys are taken: name ${quote(rootOf(this.#changes.state.data, path))}, or read the path with get()`)
  }

  #rememberOne (key: string, value: unknown): unknown {
    if (value === undefined) return undefined
    this.#changes.record({ op: 'remember', path: key, value: encode(value, key) }, value)
    return this.get(key)
  }

  #forgetOne (key: string): void {
    this.#changes.record({ op: 'forget', path: checked(key) })
  }

  static {
    guard(Session.prototype, value => typeof value === 'object' && value !== null && #changes in value)
  }
}

/** @returns the default, made if it is a function */
function defaultOf (fallback: unknown): unknown {
  return typeof fallback === 'function' ? (fallback as () => unknown)() : fallback
}

/** A copy: the record's dates are shared by all requests. */
function copyOf (date: Date | undefined): Date | undefined {
  return date && new Date(date)
}

function putOf (key: string, value: unknown): Mutation {
  return value === undefined ? { op: 'forget', path: checked(key) } : { op: 'put', path: checked(key), value: encode(value, key) }
}

function flashOf (key: string, value: unknown): Mutation {
  return value === undefined ? { op: 'forget', path: checked(key) } : { op: 'flash', path: checked(key), value: encode(value, key), stamp: newStamp() }
}

function checked (key: unknown): string {
  if (typeof key === 'string' && key !== '') return key
  throw new SessionValueError(nameOf(key), `is no key: a key is a text that is not empty, not ${kindOf(key)}`)
}

function stepOf (by: unknown, key: string): number {
  if (typeof by === 'number' && Number.isFinite(by)) return by
  throw new SessionValueError(checked(key), `can be changed by a finite number only, not by ${kindOf(by)}`)
}

/** @throws SessionValueError when there is none, or one is no key */
function listOf (keys: SessionKeys): readonly string[] {
  if (keys.length === 0) throw new SessionValueError('(no key)', 'is no key: name one or several, or give a list of them')
  const [key] = keys
  return keys.length === 1 && typeof key === 'string' ? [checked(key)] : keys.flat().map(checked)
}

/** @throws SessionValueError when a method was given keys that it would not look at */
function refuseMore (method: string, keys: readonly unknown[], does: string, instead: string): void {
  if (keys.length > 0) throw new SessionValueError(nameOf(keys[0]), `would be ignored by ${method}(), which ${does}: write ${instead}(…)`)
}

function valuesOf (values: unknown): Tree {
  if (typeof values !== 'object' || values === null || !isPlainPrototype(Object.getPrototypeOf(values))) {
    throw new SessionValueError('(values)', `has to be a key, or a plain object of keys and values, not ${kindOf(values)}`)
  }
  if (Object.getOwnPropertySymbols(values).length > 0) throw new SessionValueError('(values)', 'has a symbol among its keys, which cannot be stored')
  return values as Tree
}

/** @returns what a text field of a form would have held; undefined for what it could not */
function textOf (value: unknown): string | undefined {
  return ['string', 'number', 'bigint', 'boolean'].includes(typeof value) ? String(value) : undefined
}

/** @returns what a message calls something that is no key, without showing what is in it */
function nameOf (key: unknown): string {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'symbol' ? String(key) : '(key)'
}
