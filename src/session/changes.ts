/**
 * What one request does to one session: what was found, the working copy that the request sees, and the ordered list of
 * what it changed. Nothing here touches a store; a commit takes the pending changes and writes them.
 */
import { SessionReadonlyError } from '../errors.ts'
import { keyOf, newSessionId, type SessionId, type StoreKey } from './id.ts'
import type { LoadResult, Origin, StoredSession } from './load.ts'
import { apply, isAtOrBelow, type Mutation, replay, subjectOf } from './mutations.ts'
import { checkKey, rootOf, type Tree, valueAt } from './paths.ts'
import { newStamp, type Stamp } from './stamp.ts'
import { decodeState, emptyState, type Flashes, hasFlashes, NO_FLASHES, type SessionState } from './state.ts'
import { copyOf, decode, encode, type Encoded, MAX_DEPTH_OF_MEMBER } from './values.ts'

const NONE = Object.freeze({})

type Change = Extract<Mutation, { op: 'change' }>

/** How a request leaves the session it came with: for a new id with its data, or for good. */
export type IdChange = 'none' | 'regenerate' | 'invalidate'

/** What a commit is to write. */
export interface ChangeSet {
  /** The id under which to write. */
  readonly id: SessionId
  readonly mutations: readonly Mutation[]
  readonly idChange: IdChange
}

/** From where, and with what, a session is used. */
export interface ClientInfo {
  readonly ipAddress: string | undefined
  readonly userAgent: string | undefined
}

export interface ChangesOptions {
  /** Looks for the session; called once, at the first use. */
  readonly load: () => LoadResult
  /** Changes are refused. */
  readonly readonly?: boolean
  /** Whether flash data goes once it was seen. */
  readonly agesFlashData: boolean
  /** Whether using the session moves its expiry. */
  readonly extendsExpiry: boolean
  /** Asked only for sessions that have a user. */
  readonly clientInfo?: () => ClientInfo
  /** Called after each change. */
  readonly onChange?: () => void
}

export class SessionChanges {
  readonly #options: ChangesOptions
  #origin: Origin | undefined
  #working: SessionState | undefined
  /** What was stored when the session was loaded. */
  #foundText: string | undefined
  #id: SessionId | undefined
  #pending: Mutation[] = []
  #idChange: IdChange = 'none'
  /** Whether the data was used, and not only the session's id or user. */
  #isUsed = false
  /** Keys put with now(): seen by this request, never stored. */
  #transient = new Set<string>()
  /** The flashes found on loading: they go with the first commit. */
  #flashes: Flashes = NO_FLASHES
  #input: Stamp | undefined
  #hasAged = false
  /** Top-level keys whose values the application holds, and may have changed in place; with what they were, where that is at hand. */
  readonly #tracked = new Map<string, Encoded | undefined>()
  /** Top-level keys whose values are the application's own objects, or lists that have such elements: before a path changes one, it is copied. */
  readonly #lent = new Map<string, 'itself' | 'elements'>()
  /** The stamps of what this request has flashed. */
  readonly #flashed = new Set<Stamp>()
  /** What the state would be if nothing had been changed in place. The mutations in `#unfolded` are still to be applied to it. */
  #baseline: SessionState | undefined
  #unfolded: Mutation[] = []
  /** Whether the expiry is to be moved although that is not due yet. */
  isTouched = false
  /** The old input that the application holds. */
  #oldInput: { readonly stamp: Stamp, readonly value: Tree } | undefined

  constructor (options: ChangesOptions) {
    this.#options = options
  }

  /** Whether the session was loaded. */
  get isOpen (): boolean {
    return this.#origin !== undefined
  }

  get origin (): Origin {
    this.#ensureOpen()
    return this.#origin as Origin
  }

  get extendsExpiry (): boolean {
    return this.#options.extendsExpiry
  }

  get clientInfo (): ClientInfo | undefined {
    return this.#options.clientInfo?.()
  }

  get id (): SessionId {
    const { origin } = this
    this.#id ??= origin.kind === 'stored' ? origin.id : newSessionId()
    return this.#id
  }

  get key (): StoreKey {
    return this.stored?.key ?? keyOf(this.id)
  }

  /** The living session found or written, unless the request has left it. */
  get stored (): StoredSession | undefined {
    const { origin } = this
    return origin.kind === 'stored' && origin.id === this.id ? origin : undefined
  }

  /** Whether the session is over: nothing is stored for it any more. */
  get isEnded (): boolean {
    return this.origin.kind === 'over'
  }

  /** Whether a commit would change which session the browser has to know. */
  get needsCookie (): boolean {
    const { origin } = this
    const isPending = this.#pending.length > 0
    if (origin.kind !== 'stored') return origin.kind === 'none' && isPending
    return this.#idChange === 'regenerate' || (this.#idChange === 'invalidate' && isPending)
  }

  /** What the request sees: to look at, not to change, and not to hand out. */
  get state (): Readonly<SessionState> {
    this.#isUsed = true
    return this.#ensureOpen()
  }

  /** The same, for facts such as the user: reading them is no use of the data, and ages no flash data. */
  get facts (): Readonly<SessionState> {
    return this.#ensureOpen()
  }

  /** What was changed and not yet committed, as names for people. */
  get unsaved (): string[] {
    const subjects = this.#pending.map(subjectOf)
    if (this.#idChange !== 'none' && this.#origin?.kind === 'stored') subjects.push('(session id)')
    return [...new Set(subjects)]
  }

  /** @returns the value at a path, of which a change in place will be noticed (or, when read-only, refused) */
  handOut (path: string): unknown {
    const { data } = this.state
    const value = valueAt(data, path)
    if (typeof value !== 'object' || value === null) return value
    if (this.#options.readonly === true) return deepFreeze(value)
    const root = rootOf(data, path)
    if (!this.#tracked.has(root)) this.#tracked.set(root, undefined)
    return value
  }

  /** @returns the old input, which is the application's from then on: what it changes in it is not stored */
  handOutInput (): Readonly<Tree> {
    const { input } = this.state
    if (input === undefined) return NONE
    if (this.#oldInput?.stamp !== input.stamp) this.#oldInput = { stamp: input.stamp, value: copyOf(input.value) as Tree }
    return this.#oldInput.value
  }

  /** Makes a change and records it. `value` is the application's own, where the mutation carries its encoding. */
  record (mutation: Mutation, value?: unknown): void {
    this.#assertWritable()
    const state = this.#ensureOpen()
    // The plugin records the page itself, whether or not the page uses the session.
    this.#isUsed ||= mutation.op !== 'previousUrl'
    if (mutation.op === 'user' && mutation.userId !== undefined) this.#beginAnew()
    if (!('path' in mutation)) {
      if (mutation.op === 'flush' || mutation.op === 'replace') this.#forgetData()
    } else if (this.#transient.has(rootOf(state.data, mutation.path))) {
      if (!this.#replacesTransient(mutation)) return this.#apply(state, mutation, value)
      this.#transient.delete(mutation.path)
      delete state.data[mutation.path]
    }
    this.#apply(state, mutation, value)
    if ('path' in mutation) this.#track(rootOf(state.data, mutation.path), value, mutation)
    else if (mutation.op === 'replace') for (const [key, member] of Object.entries(state.data)) this.#track(key, member)
    if ('stamp' in mutation) this.#flashed.add(mutation.stamp)
    this.#pending.push(mutation)
    this.#unfolded.push(mutation)
    this.#options.onChange?.()
  }

  /** @throws SessionValueError when one of several mutations does not fit what is there; nothing is changed either way */
  assertFit (mutations: readonly Mutation[]): void {
    const state = this.#ensureOpen()
    const paths = mutations.flatMap(mutation => 'path' in mutation ? [mutation.path] : [])
    if (!paths.some(path => path.includes('.'))) return paths.forEach(checkKey)
    const trial = { ...state, data: copyOf(state.data) as Tree }
    for (const mutation of mutations) apply(trial, mutation)
  }

  /** Puts a value for this request only. The key is a whole one: its dots do not walk. */
  putTransient (key: string, value: unknown): void {
    this.#assertWritable()
    checkKey(key)
    this.#isUsed = true
    apply(this.#ensureOpen(), { op: 'change', key, value: encode(value, key) }, value)
    this.#transient.add(key)
    this.#lent.set(key, 'itself')
  }

  /** Whether a key was put for this request only. */
  isTransient (key: string): boolean {
    return this.#transient.has(key)
  }

  /** Keeps flashes for another request: the named ones, or all there are, and the old input with them. */
  keep (paths?: readonly string[]): void {
    this.#assertWritable()
    this.#ensureOpen()
    this.#isUsed = true
    for (const path of paths ?? [...Object.keys(this.#flashes), ...this.#transient]) {
      const isFlash = Object.hasOwn(this.#flashes, path)
      if (isFlash && !this.#hasAged) {
        const { [path]: _kept, ...others } = this.#flashes
        this.#flashes = others
      } else if (isFlash ? this.state.flashes[path] === this.#flashes[path] : this.#transient.has(path)) {
        const value = this.handOut(path)
        this.record({ op: 'flash', path, value: encode(value, path), stamp: newStamp() }, value)
      }
    }
    if (paths === undefined) this.#keepInput()
  }

  /** Has the next commit move the expiry, whether or not that is due. */
  touch (): void {
    this.#assertWritable()
    this.#ensureOpen()
    this.isTouched = true
  }

  /** Gives the session a new id. With `'invalidate'` its data stays behind and ends with the old one. */
  changeId (how: Exclude<IdChange, 'none'>): void {
    this.#assertWritable()
    this.#ensureOpen()
    this.#isUsed = true
    this.#beginAnew()
    if (how === 'invalidate') {
      this.#working = emptyState()
      this.#baseline = emptyState()
      this.#unfolded = []
      this.#pending = []
      this.#input = undefined
      this.#forgetData()
    }
    this.#id = newSessionId()
    if (this.#idChange !== 'invalidate') this.#idChange = how
    this.#options.onChange?.()
  }

  /**
   * Takes what is to be committed, with what was changed in place and the ageing of the flashes found on loading.
   *
   * @throws SessionValueError when something was changed in place that cannot be stored; nothing is taken then
   */
  takePending (): ChangeSet {
    const set: ChangeSet = {
      id: this.id,
      mutations: [...this.#pending, ...this.#changesInPlace(), ...this.#ageing()],
      idChange: this.#idChange
    }
    this.#pending = []
    this.#idChange = 'none'
    return set
  }

  /** Gives back what could not be committed, so that another commit can try; unless the session was invalidated meanwhile. */
  restorePending ({ mutations, idChange }: ChangeSet): void {
    if (this.#idChange === 'invalidate') return
    this.#pending = [...mutations, ...this.#pending]
    if (idChange !== 'none') this.#idChange = idChange
  }

  /** Records what the session is now that a change set has been committed. */
  markCommitted (origin: Origin): void {
    this.#origin = origin
    this.isTouched = false
  }

  /** Starts over from what is stored now; what was changed and not committed is given up. */
  restart (found: LoadResult): void {
    this.#forgetData()
    this.#pending = []
    this.#unfolded = []
    this.#baseline = undefined
    this.#idChange = 'none'
    this.#id = undefined
    this.#hasAged = false
    this.#open(found)
  }

  #ensureOpen (): SessionState {
    return this.#working ?? this.#open(this.#options.load())
  }

  #open ({ origin, state = emptyState() }: LoadResult): SessionState {
    this.#origin = origin
    this.#foundText = origin.kind === 'stored' ? origin.text : undefined
    this.#working = state
    this.#flashes = this.#flashed.size === 0 ? state.flashes : Object.fromEntries(Object.entries(state.flashes).filter(([, stamp]) => !this.#flashed.has(stamp)))
    this.#input = state.input === undefined || this.#flashed.has(state.input.stamp) ? undefined : state.input.stamp
    return state
  }

  /**
   * What the application puts under a whole key, or pushes to its list, stays its own object: what it changes in it is stored. A path
   * never leads into such an object, which may be one that other requests put as well: it is copied first, and what is put below a
   * key is a copy.
   */
  #apply (state: SessionState, mutation: Mutation, value: unknown): void {
    if (mutation.op === 'replace') {
      apply(state, mutation, value)
      for (const key of Object.keys(state.data)) this.#lent.set(key, 'itself')
    } else if (isWhole(mutation, state)) {
      apply(state, mutation, value)
      this.#lent.set(mutation.path, 'itself')
    } else if (mutation.op === 'push' && rootOf(state.data, mutation.path) === mutation.path) {
      if (this.#lent.get(mutation.path) === 'itself') this.#takeBack(state, mutation.path)
      apply(state, mutation, value)
      this.#lent.set(mutation.path, 'elements')
    } else {
      if ('path' in mutation) this.#takeBack(state, rootOf(state.data, mutation.path))
      apply(state, mutation)
    }
  }

  #takeBack ({ data }: SessionState, key: string): void {
    if (!this.#lent.delete(key) || !Object.hasOwn(data, key)) return
    data[key] = decode(encode(data[key], key, MAX_DEPTH_OF_MEMBER))
  }

  /** A sign-in with the cookie of a regenerated session is one of its own. */
  #beginAnew (): void {
    if (this.#origin?.kind === 'over' && this.#origin.mayBegin) this.#origin = { kind: 'none', wasEnded: false }
  }

  /** Remembers what the application has put, as far as it can change it in place. */
  #track (key: string, value: unknown, mutation?: Extract<Mutation, { path: string }>): void {
    const isObject = typeof value === 'object' && value !== null
    if (isObject || this.#tracked.has(key)) this.#tracked.set(key, mutation === undefined ? undefined : wholeValue(mutation, key))
  }

  #assertWritable (): void {
    if (this.#options.readonly !== true) return
    throw new SessionReadonlyError('this route reads its session only (config.session.readonly) and cannot change it; ' +
      'change it in another route, or take readonly off this one')
  }

  #replacesTransient (mutation: Extract<Mutation, { path: string }>): boolean {
    return this.#transient.has(mutation.path) && (mutation.op === 'put' || mutation.op === 'flash' || mutation.op === 'forget')
  }

  #forgetData (): void {
    this.#transient.clear()
    this.#tracked.clear()
    this.#lent.clear()
    this.#flashes = NO_FLASHES
  }

  #keepInput (): void {
    const { input } = this.state
    if (this.#hasAged && this.#input !== undefined && input?.stamp === this.#input) {
      this.record({ op: 'flashInput', value: encode(input.value, 'old input', undefined, 'any'), stamp: newStamp() }, copyOf(input.value))
    }
    this.#input = undefined
  }

  /** What was changed in place since it was handed out or put, found by comparison with what it would be otherwise. */
  #changesInPlace (): Change[] {
    const changes: Change[] = []
    if (this.#tracked.size === 0) return changes
    const { data } = this.#ensureOpen()
    for (const [key, known] of this.#tracked) {
      if (!Object.hasOwn(data, key) || this.#transient.has(key)) continue
      const value = encode(data[key], key, MAX_DEPTH_OF_MEMBER)
      if (value === (known ?? this.#baselineOf(key))) continue
      changes.push({ op: 'change', key, value, flashes: this.#flashesIn(key) })
    }
    for (const { key, value } of changes) this.#tracked.set(key, value)
    this.#unfolded.push(...changes)
    return changes
  }

  #flashesIn (key: string): Array<[path: string, stamp: Stamp]> {
    const { flashes } = this.#ensureOpen()
    return Object.entries(flashes).filter(([path]) => isAtOrBelow(path, key))
  }

  /** @returns what would stand under the key had nothing been changed in place */
  #baselineOf (key: string): Encoded | undefined {
    const { data } = this.#upToDateBaseline()
    return Object.hasOwn(data, key) ? encode(data[key], key, MAX_DEPTH_OF_MEMBER) : undefined
  }

  #upToDateBaseline (): SessionState {
    this.#baseline ??= this.#foundText === undefined ? emptyState() : decodeState(this.#foundText)
    replay(this.#baseline, this.#unfolded)
    this.#unfolded = []
    return this.#baseline
  }

  #ageing (): Mutation[] {
    const hasSeenFlashes = this.#isUsed && (this.#input !== undefined || hasFlashes(this.#flashes))
    if (!hasSeenFlashes || this.#hasAged || !this.#options.agesFlashData) return []
    this.#hasAged = true
    return [{ op: 'age', flashes: Object.entries(this.#flashes), input: this.#input }]
  }
}

/** Whether the mutation puts a value under a whole key. */
function isWhole (mutation: Mutation, { data }: SessionState): mutation is Extract<Mutation, { op: 'put' | 'flash' }> {
  return (mutation.op === 'put' || mutation.op === 'flash') && rootOf(data, mutation.path) === mutation.path
}

/** @returns what the mutation puts under the key, if that is all that is there then */
function wholeValue (mutation: Extract<Mutation, { path: string }>, key: string): Encoded | undefined {
  return (mutation.op === 'put' || mutation.op === 'flash') && mutation.path === key ? mutation.value : undefined
}

/** Freezes plain objects and lists all the way down, so that a change in place throws where it is made. */
function deepFreeze<T> (value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
  return value
}
