/**
 * What one request does to one session: what was found, the working copy that the request sees, and the ordered list of
 * what it changed. Nothing here touches a store; a commit takes the pending changes and writes them.
 */
import { SessionReadonlyError } from '../errors.ts'
import { keyOf, newSessionId, type SessionId, type StoreKey } from './id.ts'
import type { LoadResult, Origin, StoredSession } from './load.ts'
import { apply, type Mutation, subjectOf } from './mutations.ts'
import { checkKey, type Tree, valueAt } from './paths.ts'
import { newStamp, type Stamp } from './stamp.ts'
import { type Flashes, hasFlashes, type SessionState } from './state.ts'
import { copyOf, encode } from './values.ts'
import { WorkingCopy } from './working-copy.ts'

/** How a request leaves the session it came with: for a new id with its data, or for good. */
export type IdChange = 'none' | 'regenerate' | 'invalidate'

/** What a commit is to write. */
export interface ChangeSet {
  /** The id under which to write. */
  readonly id: SessionId
  readonly mutations: readonly Mutation[]
  readonly idChange: IdChange
  /** Whether the expiry is to be moved although that is not due yet. */
  readonly isTouched: boolean
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
  readonly clientInfo?: () => ClientInfo | undefined
  /** Called after each change. */
  readonly onChange?: () => void
}

export class SessionChanges {
  readonly #options: ChangesOptions
  #origin: Origin | undefined
  #working: WorkingCopy | undefined
  #id: SessionId | undefined
  #pending: Mutation[] = []
  #idChange: IdChange = 'none'
  /** Whether the data was used, and not only the session's id or user. */
  #isUsed = false
  /** The flash data found on loading, as far as it was not kept: it goes with the first commit of a request that uses the session. */
  #foundFlashes: Flashes = {}
  #foundInput: Stamp | undefined
  /** Whether that commit has been made. */
  #hasAged = false
  /** The stamps of what this request has flashed. */
  readonly #ownStamps = new Set<Stamp>()
  #isTouched = false
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

  /** Whether the request has ended the session it came with, or the next commit is going to. */
  get endsSession (): boolean {
    const { origin } = this
    return this.#idChange === 'invalidate' || (origin.kind === 'none' && origin.wasEnded)
  }

  /** What the request sees: to look at, not to change, and not to hand out. */
  get state (): Readonly<SessionState> {
    this.#isUsed = true
    return this.#ensureOpen().state
  }

  /** The same, for facts such as the user: reading them is no use of the data, and ages no flash data. */
  get facts (): Readonly<SessionState> {
    return this.#ensureOpen().state
  }

  /** What was changed and not yet committed, as names for people. */
  get unsaved (): string[] {
    const subjects = this.#pending.map(subjectOf)
    if (this.#idChange !== 'none' && this.#origin?.kind === 'stored') subjects.push('(session id)')
    return [...new Set(subjects)]
  }

  /** @returns the value at a path, of which a change in place will be noticed (or, in the objects and lists of a read-only session, refused) */
  handOut (path: string): unknown {
    this.#isUsed = true
    const working = this.#ensureOpen()
    return this.#options.readonly === true ? deepFreeze(valueAt(working.state.data, path)) : working.handOut(path)
  }

  /** @returns the old input, which is the application's from then on: what it changes in it is not stored */
  handOutInput (): Readonly<Tree> {
    const { input } = this.state
    if (input === undefined) return {}
    if (this.#oldInput?.stamp !== input.stamp) this.#oldInput = { stamp: input.stamp, value: copyOf(input.value) as Tree }
    return this.#oldInput.value
  }

  /** Makes a change and records it. `value` is the application's own, where the mutation carries its encoding. */
  record (mutation: Mutation, value?: unknown): void {
    this.#assertWritable()
    const working = this.#ensureOpen()
    // The plugin records the page itself, whether or not the page uses the session.
    this.#isUsed ||= mutation.op !== 'previousUrl'
    if (mutation.op === 'user' && mutation.userId !== undefined) this.#beginAnew()
    if (mutation.op === 'flush' || mutation.op === 'replace') this.#foundFlashes = {}
    if (!working.change(mutation, value)) return
    if ('stamp' in mutation) this.#ownStamps.add(mutation.stamp)
    this.#pending.push(mutation)
    this.#options.onChange?.()
  }

  /** @throws SessionValueError when one of several mutations does not fit what is there; nothing is changed either way */
  assertFit (mutations: readonly Mutation[]): void {
    const { state } = this.#ensureOpen()
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
    this.#ensureOpen().putTransient(key, value)
  }

  /** Whether a key was put for this request only. */
  isTransient (key: string): boolean {
    return this.#ensureOpen().transient.has(key)
  }

  /** Keeps flashes for another request: the named ones, or all there are, and the old input with them. */
  keep (paths?: readonly string[]): void {
    this.#assertWritable()
    const working = this.#ensureOpen()
    this.#isUsed = true
    for (const path of paths ?? [...Object.keys(this.#foundFlashes), ...working.transient]) {
      const isFlash = Object.hasOwn(this.#foundFlashes, path)
      if (isFlash && !this.#hasAged) {
        const { [path]: _kept, ...others } = this.#foundFlashes
        this.#foundFlashes = others
      } else if (isFlash ? working.state.flashes[path] === this.#foundFlashes[path] : working.transient.has(path)) {
        const value = this.handOut(path)
        this.record({ op: 'flash', path, value: encode(value, path), stamp: newStamp() }, value)
      }
    }
    if (paths === undefined) this.#keepInput()
  }

  /** Has the next commit move the expiry, whether or not that is due. */
  touch (): void {
    this.#assertWritable()
    this.moveExpiry()
  }

  /** As {@link touch}, for a cookie that has to be sent again: on a read-only route as well. */
  moveExpiry (): void {
    this.#ensureOpen()
    this.#isTouched = true
  }

  /** Gives the session a new id. With `'invalidate'` its data stays behind and ends with the old one. */
  changeId (how: Exclude<IdChange, 'none'>): void {
    this.#assertWritable()
    this.#ensureOpen()
    this.#isUsed = true
    this.#beginAnew()
    if (how === 'invalidate') this.#leaveData()
    this.#id = newSessionId()
    if (this.#idChange !== 'invalidate') this.#idChange = how
    this.#options.onChange?.()
  }

  /** Records that the request has ended the stored session by its key. What follows is as after `changeId('invalidate')`. */
  markEnded (key: StoreKey): void {
    const { origin } = this
    if (origin.kind !== 'stored' || origin.key !== key) return
    if (this.#idChange !== 'invalidate') {
      this.#leaveData()
      this.#id = newSessionId()
    }
    this.#idChange = 'none'
    this.#origin = { kind: 'none', wasEnded: true }
  }

  /**
   * Takes what is to be committed, with what was changed in place and the ageing of the flashes found on loading.
   *
   * @throws SessionValueError when something was changed in place that cannot be stored; nothing is taken then
   */
  takePending (): ChangeSet {
    const set: ChangeSet = {
      id: this.id,
      mutations: [...this.#pending, ...this.#ensureOpen().takeChangesInPlace(), ...this.#ageing()],
      idChange: this.#idChange,
      isTouched: this.#isTouched
    }
    this.#pending = []
    this.#idChange = 'none'
    this.#isTouched = false
    return set
  }

  /** Gives back what could not be committed, so that another commit can try; unless the session was invalidated meanwhile. */
  restorePending ({ mutations, idChange, isTouched }: ChangeSet): void {
    if (this.#idChange === 'invalidate') return
    this.#isTouched ||= isTouched
    this.#pending = [...mutations, ...this.#pending]
    if (idChange !== 'none') this.#idChange = idChange
  }

  /** Records what the session is now that a change set has been committed. */
  markCommitted (origin: Origin): void {
    this.#origin = origin
  }

  /** Starts over from what is stored now; what was changed and not committed is given up. */
  restart (found: LoadResult): void {
    this.#pending = []
    this.#idChange = 'none'
    this.#isTouched = false
    this.#id = undefined
    this.#hasAged = false
    this.#open(found)
  }

  #ensureOpen (): WorkingCopy {
    return this.#working ?? this.#open(this.#options.load())
  }

  #open ({ origin, state }: LoadResult): WorkingCopy {
    this.#origin = origin
    this.#working = new WorkingCopy(state, origin.kind === 'stored' ? origin.text : undefined)
    // What this request itself has flashed is for the next one.
    const { flashes, input } = this.#working.state
    this.#foundFlashes = this.#ownStamps.size === 0 ? flashes : Object.fromEntries(Object.entries(flashes).filter(([, stamp]) => !this.#ownStamps.has(stamp)))
    this.#foundInput = input === undefined || this.#ownStamps.has(input.stamp) ? undefined : input.stamp
    return this.#working
  }

  #leaveData (): void {
    this.#working = new WorkingCopy()
    this.#pending = []
    this.#foundFlashes = {}
    this.#foundInput = undefined
  }

  /** A sign-in with the cookie of a regenerated session is one of its own. */
  #beginAnew (): void {
    if (this.#origin?.kind === 'over' && this.#origin.mayBegin) this.#origin = { kind: 'none', wasEnded: false }
  }

  #assertWritable (): void {
    if (this.#options.readonly !== true) return
    throw new SessionReadonlyError('this route reads its session only (config.session.readonly) and cannot change it; ' +
      'change it in another route, or take readonly off this one')
  }

  #keepInput (): void {
    const { input } = this.state
    if (this.#hasAged && this.#foundInput !== undefined && input?.stamp === this.#foundInput) {
      this.record({ op: 'flashInput', value: encode(input.value, 'old input', undefined, 'any'), stamp: newStamp() }, copyOf(input.value))
    }
    this.#foundInput = undefined
  }

  #ageing (): Mutation[] {
    const hasSeenFlashes = this.#isUsed && (this.#foundInput !== undefined || hasFlashes(this.#foundFlashes))
    if (!hasSeenFlashes || this.#hasAged || !this.#options.agesFlashData) return []
    this.#hasAged = true
    return [{ op: 'age', flashes: Object.entries(this.#foundFlashes), input: this.#foundInput }]
  }
}

/** Freezes plain objects and lists all the way down, so that a change in place throws where it is made. */
function deepFreeze<T> (value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const member of Object.values(value)) deepFreeze(member)
  return value
}
