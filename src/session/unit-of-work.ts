/**
 * What one request does to one session (Fowler's unit of work): what was found, what the request sees, and the ordered
 * list of what it changed. Nothing here touches a store; a commit takes the list and writes it.
 */
import { SessionReadonlyError } from '../errors.ts'
import type { StoredRecord } from '../stores/store.ts'
import { deepFreeze } from './freeze.ts'
import type { SessionId, StoreKey } from './id.ts'
import { keyOf, newSessionId } from './id.ts'
import type { Mutation } from './mutations.ts'
import { apply, replay, subjectOf } from './mutations.ts'
import { checkKey, rootOf, valueAt } from './paths.ts'
import type { Stamp } from './stamp.ts'
import { newStamp } from './stamp.ts'
import type { SessionState } from './state.ts'
import { decodeState, emptyState, encodeState } from './state.ts'
import { encode, MAX_DEPTH_OF_WHOLE } from './values.ts'

/** What was found for the id that the browser presented. */
export type Origin =
  /** Nothing: no cookie, or one whose session is not there any more. A new session may begin. */
  | { readonly kind: 'none' }
  /** A living session. */
  | { readonly kind: 'stored', readonly id: SessionId, readonly key: StoreKey, readonly record: StoredRecord }
  /** A session that was ended a moment ago. The request works on an empty one that is never stored. */
  | { readonly kind: 'gone' }

export type StoredOrigin = Extract<Origin, { kind: 'stored' }>

/** What a unit of work begins with. */
export interface Start {
  readonly origin: Origin
  readonly state: SessionState
  /** The state as text, where there is a stored one. */
  readonly text: string | undefined
  /** Whether the state is others' as well, so that it must not be changed. */
  readonly isShared: boolean
}

/** How a request leaves the session it came with: to a new id with its data, or for good. */
export type Departure = 'none' | 'move' | 'end'

/** What a commit is to write, taken out of the unit of work in one piece. */
export interface Batch {
  /** The id under which to write. */
  readonly id: SessionId
  readonly mutations: readonly Mutation[]
  readonly departure: Departure
  /**
   * The outcome of the mutations on what was found, as text, where it is what the request sees: then nothing has to be
   * replayed as long as nobody else has committed. Where the request sees something of its own (now(), flashes that
   * have aged) it is undefined.
   */
  readonly outcome: { readonly before: string | undefined, readonly after: string } | undefined
}

export class UnitOfWork {
  /** Changes are refused, flash data does not age and the expiry does not move. */
  readonly readonly: boolean
  /** Called after each change. */
  onChange: (() => void) | undefined
  readonly #find: () => Start
  #origin: Origin | undefined
  /** The state as it was found, as text. */
  #found: string | undefined
  #id: SessionId | undefined
  #state = emptyState()
  /** Whether the state is this request's own copy, made as soon as it could be changed. */
  #isOwn = false
  #mutations: Mutation[] = []
  #departure: Departure = 'none'
  /** Keys put with now(): seen by this request, never stored. */
  readonly #transient = new Set<string>()
  /** The flashes found on loading: they go with the first commit. */
  #flashes: Record<string, Stamp> = {}
  #input: Stamp | undefined
  #aged = false
  /** Whether anything has been committed: what was found is not what is stored any more. */
  #hasSettled = false
  /** Top-level keys whose value is an object that the application holds and may change in place. */
  readonly #handedOut = new Set<string>()
  /** What the state would be had nothing been changed in place; behind by the mutations in `#unfolded`. */
  #shadow: SessionState | undefined
  #unfolded: Mutation[] = []

  /** @param find looks for the presented session; called once, at the first use */
  constructor (find: () => Start, readonly = false) {
    this.#find = find
    this.readonly = readonly
  }

  /** Whether anybody has used the session. */
  get isOpen (): boolean {
    return this.#origin !== undefined
  }

  get origin (): Origin {
    return this.#ensureOpen()
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
  get stored (): StoredOrigin | undefined {
    const { origin } = this
    return origin.kind === 'stored' && this.#departure === 'none' ? origin : undefined
  }

  /** Whether all that is to be committed is the end of the session. */
  get isEnding (): boolean {
    return this.#departure === 'end' && this.#mutations.length === 0
  }

  /** What the request sees: to look at, not to change, and not to hand out. */
  get state (): Readonly<SessionState> {
    this.#ensureOpen()
    return this.#state
  }

  /** What the request sees, as its own. */
  get own (): SessionState {
    this.#ensureOpen()
    if (!this.#isOwn && this.#found !== undefined) this.#state = decodeState(this.#found)
    this.#isOwn = true
    return this.#state
  }

  /** Whether there is nothing to commit. May be false when there is nothing after all, and is never wrongly true. */
  get isClean (): boolean {
    return this.#mutations.length === 0 && this.#departure === 'none' && this.#handedOut.size === 0 && !this.#hasFlashesToAge
  }

  /** What was changed and not yet committed, as names for people. */
  get unsaved (): string[] {
    const subjects = this.#mutations.map(subjectOf)
    if (this.#departure !== 'none' && this.#origin?.kind === 'stored') subjects.push('(session id)')
    return [...new Set(subjects)]
  }

  /** @returns the value at a path, of which a change in place will be noticed (or, when read-only, refused) */
  handOut (path: string): unknown {
    const value = valueAt(this.state.data, path)
    if (typeof value !== 'object' || value === null) return value
    const { data } = this.own
    if (!this.readonly) this.#handedOut.add(rootOf(data, path))
    return this.readonly ? deepFreeze(valueAt(data, path)) : valueAt(data, path)
  }

  /** Makes a change and records it. `value` is the application's own, where the mutation carries its encoding. */
  record (mutation: Mutation, value?: unknown): void {
    this.#assertWritable()
    const { data } = this.own
    if (!('path' in mutation)) {
      if (mutation.op === 'flush' || mutation.op === 'replace') this.#forgetData()
    } else if (this.#transient.has(rootOf(data, mutation.path))) {
      if (!this.#replacesTransient(mutation)) return apply(this.#state, mutation, value)
      this.#transient.delete(mutation.path)
      delete data[mutation.path]
    }
    apply(this.#state, mutation, value)
    if ('path' in mutation) this.#watch(rootOf(this.#state.data, mutation.path), value)
    else if (mutation.op === 'replace') for (const [key, member] of Object.entries(this.#state.data)) this.#watch(key, member)
    this.#mutations.push(mutation)
    this.#unfolded.push(mutation)
    this.onChange?.()
  }

  /** Puts a value for this request only. The key is a whole one: its dots do not walk. */
  putTransient (key: string, value: unknown): void {
    this.#assertWritable()
    checkKey(key)
    apply(this.own, { op: 'change', key, value: encode(value, key) }, value)
    this.#transient.add(key)
  }

  /** Keeps flashes for another request: the named ones, or all there are, and the old input with them. */
  keep (paths?: readonly string[]): void {
    this.#assertWritable()
    const { data } = this.own
    for (const path of paths ?? [...Object.keys(this.#flashes), ...this.#transient]) {
      const isFlash = Object.hasOwn(this.#flashes, path)
      if (isFlash && !this.#aged) {
        delete this.#flashes[path]
      } else if (isFlash || this.#transient.has(path)) {
        const value = valueAt(data, path)
        this.record({ op: 'flash', path, value: encode(value, path), stamp: newStamp() }, value)
      }
    }
    if (paths === undefined) this.#keepInput()
  }

  /** Gives the session a new id. With `'end'` its data stays behind and ends with the old one. */
  depart (how: 'move' | 'end'): void {
    this.#assertWritable()
    this.#ensureOpen()
    if (how === 'end') {
      this.#state = emptyState()
      this.#isOwn = true
      this.#mutations = []
      this.#shadow = emptyState()
      this.#unfolded = []
      this.#input = undefined
      this.#forgetData()
    }
    this.#id = newSessionId()
    if (this.#departure !== 'end') this.#departure = how
    this.onChange?.()
  }

  /** Takes what is to be committed, with what was changed in place and the ageing of the flashes found on loading. */
  take (): Batch {
    const outcome = this.#outcome()
    const changes = outcome !== undefined && outcome.before === outcome.after ? [] : this.#changesInPlace()
    const batch = { id: this.id, mutations: [...this.#mutations, ...changes, ...this.#ageing()], departure: this.#departure, outcome }
    this.#mutations = []
    return batch
  }

  /** Gives back what could not be committed, so that another commit can try. */
  putBack ({ mutations }: Batch): void {
    this.#mutations.unshift(...mutations)
  }

  /** Notes what stands behind the session now that a batch has been committed. */
  settle (origin: Origin, batch: Batch): void {
    this.#origin = origin
    this.#hasSettled = true
    // The application may have asked for another new id while the commit was under way: that one is still to come.
    if (this.#id === batch.id) this.#departure = 'none'
  }

  /** Starts over from what is stored now; what was changed and not committed is given up. */
  restart (start: Start): void {
    this.#forgetData()
    this.#mutations = []
    this.#unfolded = []
    this.#shadow = undefined
    this.#departure = 'none'
    this.#id = undefined
    this.#aged = false
    this.#hasSettled = false
    this.#open(start)
  }

  #ensureOpen (): Origin {
    return this.#origin ?? this.#open(this.#find())
  }

  #open ({ origin, state, text, isShared }: Start): Origin {
    this.#origin = origin
    this.#state = state
    this.#isOwn = !isShared
    this.#found = text
    this.#flashes = { ...state.flashes }
    this.#input = state.input?.stamp
    return origin
  }

  #watch (key: string, value: unknown): void {
    if (typeof value === 'object' && value !== null) this.#handedOut.add(key)
  }

  #assertWritable (): void {
    if (!this.readonly) return
    throw new SessionReadonlyError('this route reads its session only (config.session.readonly) and cannot change it; ' +
      'change it in another route, or take readonly off this one')
  }

  #replacesTransient (mutation: Extract<Mutation, { path: string }>): boolean {
    return this.#transient.has(mutation.path) && (mutation.op === 'put' || mutation.op === 'flash' || mutation.op === 'forget')
  }

  #forgetData (): void {
    this.#transient.clear()
    this.#handedOut.clear()
    this.#flashes = {}
  }

  #keepInput (): void {
    const { input } = this.#state
    if (this.#aged && this.#input !== undefined && input?.stamp === this.#input) {
      this.record({ op: 'flashInput', value: encode(input.value, 'old input'), stamp: newStamp() }, input.value)
    }
    this.#input = undefined
  }

  #outcome (): Batch['outcome'] {
    if (this.#hasSettled || this.#aged || this.#hasFlashesToAge || this.#transient.size > 0) return undefined
    try {
      return { before: this.#departure === 'end' ? undefined : this.#found, after: encodeState(this.state) }
    } catch {
      // Something was changed in place that cannot be stored. Looking for such changes says what, and where.
      return undefined
    }
  }

  #changesInPlace (): Mutation[] {
    if (this.#handedOut.size === 0) return []
    const shadow = this.#upToDateShadow()
    const changes: Mutation[] = []
    for (const key of this.#handedOut) {
      if (this.#transient.has(key) || !Object.hasOwn(this.#state.data, key)) continue
      const value = encode(this.#state.data[key], key, MAX_DEPTH_OF_WHOLE)
      if (Object.hasOwn(shadow.data, key) && encode(shadow.data[key], key, MAX_DEPTH_OF_WHOLE) === value) continue
      changes.push({ op: 'change', key, value })
    }
    // Only now: a value that cannot be stored ends the loop, and what was found before it has to be found again.
    replay(shadow, changes)
    return changes
  }

  #upToDateShadow (): SessionState {
    this.#shadow ??= this.#found === undefined ? emptyState() : decodeState(this.#found)
    replay(this.#shadow, this.#unfolded)
    this.#unfolded = []
    return this.#shadow
  }

  get #hasFlashesToAge (): boolean {
    return !this.readonly && !this.#aged && (this.#input !== undefined || Object.keys(this.#flashes).length > 0)
  }

  #ageing (): Mutation[] {
    if (!this.#hasFlashesToAge) return []
    this.#aged = true
    return [{ op: 'age', flashes: Object.entries(this.#flashes), input: this.#input }]
  }
}
