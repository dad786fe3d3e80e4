/**
 * What one request does to one session (Fowler's unit of work): what was found, what the request sees, and the ordered
 * list of what it changed. Nothing here touches a store; a commit takes the list and writes it.
 */
import { SessionReadonlyError } from '../errors.ts'
import { deepFreeze } from './freeze.ts'
import { HandedOut } from './handed-out.ts'
import type { SessionId, StoreKey } from './id.ts'
import { keyOf, newSessionId } from './id.ts'
import type { Mutation } from './mutations.ts'
import { replay, subjectOf } from './mutations.ts'
import { OwnState } from './own-state.ts'
import type { Tree } from './paths.ts'
import { checkKey, rootOf, valueAt } from './paths.ts'
import { splice } from './splice.ts'
import type { Stamp } from './stamp.ts'
import { newStamp } from './stamp.ts'
import type { Origin, Start, StoredOrigin } from './start.ts'
import { EMPTY, Opened } from './start.ts'
import type { Flashes, SessionState } from './state.ts'
import { decodeState, emptyState, encodePlainState, encodeState, hasFlashes, NO_FLASHES } from './state.ts'
import type { Encoded } from './values.ts'
import { copyOf, encode, isPlainText } from './values.ts'

const NONE = Object.freeze({})
/** Stands for a list in which nothing is: most requests change nothing. */
const NO_MUTATIONS: readonly Mutation[] = Object.freeze([])

/** How a request leaves the session it came with: to a new id with its data, or for good. */
export type Departure = 'none' | 'move' | 'end'

/** What a commit is to write, taken out of the unit of work in one piece. */
export interface Batch {
  /** The id under which to write. */
  readonly id: SessionId
  readonly mutations: readonly Mutation[]
  readonly departure: Departure
  /**
   * The outcome of the mutations on what was found, where it is what the request sees: then nothing has to be replayed as
   * long as nobody else has committed. Where the request sees something of its own (now(), flashes that have aged) it is
   * undefined.
   */
  readonly outcome: Change | undefined
}

/** What a batch makes of a state. */
export interface Change {
  readonly text: string
  /** Whether that is what it was before. */
  readonly isSame: boolean
  /** What the text says, unless the application holds a part of it and could change it. */
  readonly opened: Opened | undefined
  /** Whose session it is then. */
  readonly userId: string | undefined
}

/** From where a session is used. */
export interface Whereabouts {
  readonly ipAddress: string | undefined
  readonly userAgent: string | undefined
}

/**
 * What a unit of work asks of those for whom it works. An object with methods, and not functions put into members: V8 takes
 * what is written so for a method of many, and makes it in its old generation, where it holds on to the whole request.
 */
export interface Client {
  /** Looks for the presented session; called once, at the first use. */
  find (): Start
  /** Called after each change. */
  onChange? (): void
  /** Where the request came from, if there is one. Asked only for sessions that have a user. */
  readonly whereabouts?: Whereabouts
}

/** Paths of this length or more may lead so deep that the depth has to be looked at. */
const LONG_PATH = 100

export class UnitOfWork {
  /** Changes are refused, flash data does not age and the expiry does not move. */
  readonly readonly: boolean
  readonly #client: Client
  #origin: Origin | undefined
  /** The state as it was found. */
  #found: Opened | undefined
  #id: SessionId | undefined
  #state: OwnState | undefined
  /** Whether JSON alone can say the whole state, handed out objects apart. */
  #isPlain = false
  #mutations: readonly Mutation[] = NO_MUTATIONS
  #departure: Departure = 'none'
  /** Keys put with now(): seen by this request, never stored. */
  #transient: Set<string> | undefined
  /** The flashes found on loading: they go with the first commit. */
  #flashes: Flashes = NO_FLASHES
  #input: Stamp | undefined
  #aged = false
  /** Whether anything has been committed: what was found is not what is stored any more. */
  #hasSettled = false
  #handedOut: HandedOut | undefined
  /** The old input that the application holds. */
  #oldInput: { readonly stamp: Stamp, readonly value: Tree } | undefined
  /** What the state would be had nothing been changed in place; behind by the mutations in `#unfolded`. */
  #shadow: SessionState | undefined
  #unfolded: readonly Mutation[] = NO_MUTATIONS

  constructor (client: Client, readonly = false) {
    this.#client = client
    this.readonly = readonly
  }

  get whereabouts (): Whereabouts | undefined {
    return this.#client.whereabouts
  }

  /** Whether anybody has used the session. */
  get isOpen (): boolean {
    return this.#origin !== undefined
  }

  get origin (): Origin {
    this.#ensureOpen()
    return this.#origin as Origin
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
    return this.#ensureOpen().current
  }

  /** Whether there is nothing to commit. May be false when there is nothing after all, and is never wrongly true. */
  get isClean (): boolean {
    return this.#mutations.length === 0 && this.#departure === 'none' && this.#handedOut === undefined && !this.#hasFlashesToAge
  }

  /** What was changed and not yet committed, as names for people. */
  get unsaved (): string[] {
    const subjects = this.#mutations.map(subjectOf)
    if (this.#departure !== 'none' && this.#origin?.kind === 'stored') subjects.push('(session id)')
    return [...new Set(subjects)]
  }

  /** @returns the value at a path, of which a change in place will be noticed (or, when read-only, refused) */
  handOut (path: string): unknown {
    const state = this.#ensureOpen()
    const value = valueAt(state.current.data, path)
    if (typeof value !== 'object' || value === null) return value
    const key = rootOf(state.current.data, path)
    state.own(key)
    const own = valueAt(state.current.data, path)
    if (this.readonly) return deepFreeze(own)
    this.#handedOut ??= new HandedOut()
    this.#handedOut.add(key)
    return own
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
    if (!('path' in mutation)) {
      if (mutation.op === 'flush' || mutation.op === 'replace') this.#forgetData()
    } else if (this.#transient?.has(rootOf(state.current.data, mutation.path)) === true) {
      if (!this.#replacesTransient(mutation)) return state.apply(mutation, value)
      this.#transient.delete(mutation.path)
      delete state.writable.data[mutation.path]
    }
    state.apply(mutation, value)
    if ('path' in mutation) this.#watch(rootOf(state.current.data, mutation.path), value, wholeTextIn(mutation))
    else if (mutation.op === 'replace') for (const [key, member] of Object.entries(state.current.data)) this.#watch(key, member)
    this.#isPlain &&= leavesPlain(state.current, mutation)
    this.#mutations = and(this.#mutations, mutation)
    this.#unfolded = and(this.#unfolded, mutation)
    this.#client.onChange?.()
  }

  /** Puts a value for this request only. The key is a whole one: its dots do not walk. */
  putTransient (key: string, value: unknown): void {
    this.#assertWritable()
    checkKey(key)
    this.#ensureOpen().apply({ op: 'change', key, value: encode(value, key) }, value)
    this.#transient = (this.#transient ?? new Set()).add(key)
  }

  /** Keeps flashes for another request: the named ones, or all there are, and the old input with them. */
  keep (paths?: readonly string[]): void {
    this.#assertWritable()
    this.#ensureOpen()
    for (const path of paths ?? [...Object.keys(this.#flashes), ...this.#transient ?? []]) {
      const isFlash = Object.hasOwn(this.#flashes, path)
      if (isFlash && !this.#aged) {
        const { [path]: _kept, ...others } = this.#flashes
        this.#flashes = others
      } else if (isFlash || this.#transient?.has(path) === true) {
        const value = this.handOut(path)
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
      this.#state = new OwnState(EMPTY)
      this.#isPlain = true
      this.#mutations = NO_MUTATIONS
      this.#shadow = emptyState()
      this.#unfolded = NO_MUTATIONS
      this.#input = undefined
      this.#forgetData()
    }
    this.#id = newSessionId()
    if (this.#departure !== 'end') this.#departure = how
    this.#client.onChange?.()
  }

  /** Takes what is to be committed, with what was changed in place and the ageing of the flashes found on loading. */
  take (): Batch {
    const isAsFound = this.#isAsFound
    const changes = isAsFound ? NO_MUTATIONS : this.#changesInPlace()
    const outcome = this.#canBeSaid ? this.#outcome(isAsFound) : undefined
    const mutations = joined(this.#mutations, changes, this.#ageing())
    const batch = { id: this.id, mutations, departure: this.#departure, outcome }
    this.#mutations = NO_MUTATIONS
    return batch
  }

  /** Gives back what could not be committed, so that another commit can try. */
  putBack ({ mutations }: Batch): void {
    this.#mutations = [...mutations, ...this.#mutations]
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
    this.#mutations = NO_MUTATIONS
    this.#unfolded = NO_MUTATIONS
    this.#shadow = undefined
    this.#departure = 'none'
    this.#id = undefined
    this.#aged = false
    this.#hasSettled = false
    this.#open(start)
  }

  #ensureOpen (): OwnState {
    return this.#state ?? this.#open(this.#client.find())
  }

  #open (start: Start): OwnState {
    const { state, isPlain } = start.opened
    this.#found = start.opened
    this.#origin = start.origin
    this.#isPlain = isPlain
    this.#flashes = state.flashes
    this.#input = state.input?.stamp
    this.#state = new OwnState(start.opened)
    return this.#state
  }

  /**
   * Notes what the application has put, as far as it can change it in place.
   *
   * @param text of all that is under the key now, if it is known
   */
  #watch (key: string, value: unknown, text?: Encoded): void {
    if (typeof value === 'object' && value !== null) this.#handedOut ??= new HandedOut()
    else if (this.#handedOut?.has(key) !== true) return
    this.#handedOut.note(key, text)
  }

  #assertWritable (): void {
    if (!this.readonly) return
    throw new SessionReadonlyError('this route reads its session only (config.session.readonly) and cannot change it; ' +
      'change it in another route, or take readonly off this one')
  }

  #replacesTransient (mutation: Extract<Mutation, { path: string }>): boolean {
    return this.#transient?.has(mutation.path) === true && (mutation.op === 'put' || mutation.op === 'flash' || mutation.op === 'forget')
  }

  #forgetData (): void {
    this.#transient = undefined
    this.#handedOut = undefined
    this.#flashes = NO_FLASHES
  }

  #keepInput (): void {
    const { input } = this.state
    if (this.#aged && this.#input !== undefined && input?.stamp === this.#input) {
      this.record({ op: 'flashInput', value: encode(input.value, 'old input'), stamp: newStamp() }, copyOf(input.value))
    }
    this.#input = undefined
  }

  /** Whether what the request sees is what it makes of the session that it has found. */
  get #canBeSaid (): boolean {
    return !this.#hasSettled && !this.#aged && !this.#hasFlashesToAge && (this.#transient?.size ?? 0) === 0
  }

  /** Whether nothing has been changed of what was found, in place neither. */
  get #isAsFound (): boolean {
    const { current } = this.#ensureOpen()
    const found = this.#found as Opened
    return this.#canBeSaid && found.text !== undefined && this.#departure !== 'end' && this.#mutations.length === 0 &&
      (this.#handedOut === undefined || this.#handedOut.isUnchanged(current.data, found.state.data))
  }

  #outcome (isAsFound: boolean): Change | undefined {
    const own = this.#ensureOpen()
    const found = this.#found as Opened
    const before = this.#departure === 'end' ? undefined : found.text
    const { current } = own
    const { userId } = current
    if (isAsFound && before !== undefined) return { text: before, isSame: true, opened: found, userId }
    if (this.#handedOut === undefined) {
      const changed = this.#spliced(found, before) ?? this.#encoded(own.writable)
      const isSame = changed.text === before
      if (isSame) found.takeBack(changed)
      const opened = isSame ? found : changed
      own.share(opened)
      return { text: opened.text as string, isSame, opened, userId }
    }
    try {
      const text = encodedAs(this.#isPlain && this.#handedOut.isPlain, own.current)
      return { text, isSame: text === before, opened: undefined, userId }
    } catch {
      // The whole is nested too deep, of which replaying tells.
      return undefined
    }
  }

  /** @returns undefined where the whole has to be encoded */
  #spliced (found: Opened, before: string | undefined): Opened | undefined {
    const own = this.#ensureOpen()
    const { changedKeys } = own
    if (changedKeys === undefined || !this.#isPlain || !found.isPlain || !found.isOurs || before === undefined) return undefined
    const spliced = splice(before, own, own.writable.data, changedKeys, found.spot)
    return spliced && new Opened(spliced.text, own.writable, true, true, spliced.spot)
  }

  #encoded (state: SessionState): Opened {
    const text = encodedAs(this.#isPlain, state)
    return new Opened(text, state, isPlainText(text), true)
  }

  #changesInPlace (): readonly Mutation[] {
    if (this.#handedOut === undefined) return NO_MUTATIONS
    const changes = this.#handedOut.changesIn(this.state, key => this.#transient?.has(key) === true, () => this.#upToDateShadow())
    if (changes.length > 0) replay(this.#upToDateShadow(), changes)
    return changes
  }

  #upToDateShadow (): SessionState {
    const text = this.#found?.text
    this.#shadow ??= text === undefined ? emptyState() : decodeState(text)
    replay(this.#shadow, this.#unfolded)
    this.#unfolded = NO_MUTATIONS
    return this.#shadow
  }

  get #hasFlashesToAge (): boolean {
    return !this.readonly && !this.#aged && (this.#input !== undefined || hasFlashes(this.#flashes))
  }

  #ageing (): readonly Mutation[] {
    if (!this.#hasFlashesToAge) return NO_MUTATIONS
    this.#aged = true
    return [{ op: 'age', flashes: Object.entries(this.#flashes), input: this.#input }]
  }
}

/** @param isPlain whether JSON alone can say all values; of the keys some may look like a tag */
function encodedAs (isPlain: boolean, state: SessionState): string {
  const text = isPlain ? encodePlainState(state) : encodeState(state)
  return isPlain && !isPlainText(text) ? encodeState(state) : text
}

/** Whether JSON alone can still say a state after a mutation that it could say before. */
function leavesPlain ({ data }: Readonly<SessionState>, mutation: Mutation): boolean {
  if ('path' in mutation && mutation.path.length >= LONG_PATH) return false
  if (mutation.op === 'increment') return Number.isFinite(valueAt(data, mutation.path))
  return !('value' in mutation) || isPlainText(mutation.value)
}

/** @returns the text of all that is under the mutation's key when it has been applied, where the mutation says all of it */
function wholeTextIn (mutation: Extract<Mutation, { path: string }>): Encoded | undefined {
  const isWhole = (mutation.op === 'put' || mutation.op === 'flash') && !mutation.path.includes('.')
  return isWhole ? mutation.value : undefined
}

function and (list: readonly Mutation[], mutation: Mutation): readonly Mutation[] {
  if (list === NO_MUTATIONS) return [mutation]
  ;(list as Mutation[]).push(mutation)
  return list
}

function joined (mutations: readonly Mutation[], changes: readonly Mutation[], ageing: readonly Mutation[]): readonly Mutation[] {
  return changes.length + ageing.length === 0 ? mutations : [...mutations, ...changes, ...ageing]
}
