import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Scope } from '../context.ts'
import { SessionContextError, SessionHeadersSentError, SessionLockTimeoutError } from '../errors.ts'
import { keyOf } from '../session/id.ts'
import type { Found } from '../session/keeper.ts'
import { startFrom } from '../session/keeper.ts'
import { CommitSequence } from '../session/sequence.ts'
import type { Lifecycle } from '../session/session.ts'
import { Session } from '../session/session.ts'
import type { Start } from '../session/start.ts'
import { NOTHING } from '../session/start.ts'
import type { Client, Whereabouts } from '../session/unit-of-work.ts'
import { UnitOfWork } from '../session/unit-of-work.ts'
import type { Postponer } from '../stores/postponing.ts'
import type { StoreKey, Unlock } from '../stores/store.ts'
import { varyByCookie } from './caching.ts'
import type { Presented } from './cookie.ts'
import { giveUp } from './held-answers.ts'
import type { Host } from './host.ts'
import { isPage, urlOf } from './page.ts'
import type { RouteRules } from './route.ts'
import type { Unfinished } from './unfinished.ts'
import { unwatch, watch } from './unfinished.ts'

/** An IPv6 address that ends in an IPv4 address is no longer. */
const LONGEST_ADDRESS = 45
/** What tells one browser from another comes well before. */
const LONGEST_AGENT = 500

/** What a store said, or what it threw. */
type Answer = { readonly found: Found } | { readonly error: unknown }

/** The session of one request, from the cookie that comes to the cookie that goes. Made small: most are never used. */
export class RequestSession implements Scope, Lifecycle, Client, Whereabouts, Unfinished, Postponer<Promise<void> | undefined> {
  readonly #host: Host
  readonly #rules: RouteRules
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  #work: UnitOfWork | undefined
  #commits: CommitSequence | undefined
  #session: Session | undefined
  #presented: Presented | undefined
  /** What an asynchronous store answered before the handler ran. */
  #answer: Answer | undefined
  /** In the list of those that are watched. */
  previous: Unfinished | undefined
  next: Unfinished | undefined
  #hasFailed = false
  /** Whether the commit before the response has been begun. */
  #hasFinished = false
  /** Whether what is unsaved when the response has left is going to be reported … */
  #isWatched = false
  /** … by whoever looks at all those that are unfinished. */
  #isListed = false
  /** Whether the cookie has been sent, so that one signed with an older secret is not sent twice. */
  #isSent = false

  constructor (host: Host, rules: RouteRules, request: FastifyRequest, reply: FastifyReply) {
    this.#host = host
    this.#rules = rules
    this.#request = request
    this.#reply = reply
  }

  get name (): string {
    return this.#host.cookie.name
  }

  /** Whether the response has left, or never will. */
  get isOver (): boolean {
    const { raw } = this.#reply
    return raw.writableEnded || raw.destroyed
  }

  get hasSession (): boolean {
    return this.#rules.enabled
  }

  /** Behind proxies that are trusted this is what they say, and may be any text. */
  get ipAddress (): string | undefined {
    return cut(this.#request.ip, LONGEST_ADDRESS)
  }

  get userAgent (): string | undefined {
    return cut(this.#request.headers['user-agent'], LONGEST_AGENT)
  }

  get whereabouts (): Whereabouts {
    return this
  }

  get session (): Session {
    this.#session ??= this.#begin()
    return this.#session
  }

  /**
   * What has to happen before the handler: a blocking route takes its lock, an asynchronous store is read.
   *
   * @returns undefined when there is nothing to wait for
   * @throws SessionLockTimeoutError, and what the store throws when it cannot be reached
   */
  prepare (): Promise<void> | undefined {
    const { enabled, block } = this.#rules
    const isLazy = this.#host.keeper.store.readsSynchronously === true
    if (!enabled || (isLazy && block === false)) return undefined
    this.#presented = this.#host.cookie.read(this.#request)
    return this.#presented === undefined ? undefined : this.#lockAndLoad(this.#presented, isLazy)
  }

  /**
   * Commits what the request did, if it did anything. The response is known, and its headers have not left yet.
   *
   * @returns undefined when that is done; otherwise a promise, after which {@link tellBrowser} or {@link noteFailure} is to
   *   be called
   */
  commit (): Promise<void> | undefined {
    // Fastify sends the answer to an error of this very step through the same hook.
    if (this.#hasFailed) return undefined
    this.#notePage()
    if (this.#work?.isOpen !== true) return undefined
    varyByCookie(this.#reply)
    this.#unwatch()
    try {
      const committed = this.#commits?.isNeeded === true ? this.#commits.commit() : undefined
      if (committed !== undefined) return committed
    } catch (error) {
      this.noteFailure()
      throw error
    }
    this.tellBrowser()
    return undefined
  }

  #notePage (): void {
    if (!this.#host.config.previousUrl || !this.#rules.enabled || this.#rules.readonly || !isPage(this.#request, this.#reply)) return
    const page = urlOf(this.#request)
    if (page !== undefined) this.session.setPreviousUrl(page)
  }

  #release (unlock: Unlock): void {
    void Promise.resolve(unlock()).catch(cause => { this.#reportStore(cause) })
  }

  async save (): Promise<void> {
    const reply = this.#reply
    if (reply.raw.headersSent && this.#work !== undefined) this.#assertKnownToBrowser(this.#work)
    await this.#commits?.commit()
    if (reply.sent && !reply.raw.headersSent) this.tellBrowser()
  }

  async reload (): Promise<void> {
    await this.#commits?.reload()
  }

  async #lockAndLoad (presented: Presented, isLazy: boolean): Promise<void> {
    const { store } = this.#host.keeper
    const key = presented.known?.key ?? keyOf(presented.id)
    try {
      await this.#takeLock(key)
      if (isLazy) return
      this.#answer = { found: await store.read(key, presented.known?.place) }
    } catch (error) {
      this.#answer = { error }
      throw error
    }
  }

  async #takeLock (key: StoreKey): Promise<void> {
    const { block } = this.#rules
    const { lock } = this.#host
    if (block === false) return
    let unlock: Unlock
    try {
      unlock = await lock(key, { lease: block.lock * 1000, wait: block.wait * 1000 })
    } catch (error) {
      if (error instanceof SessionLockTimeoutError) this.#reply.header('retry-after', error.retryAfter)
      throw error
    }
    // The client may have left while the request waited for its turn.
    if (this.#reply.raw.destroyed) this.#release(unlock)
    else this.#reply.raw.once('close', () => { this.#release(unlock) })
  }

  #begin (): Session {
    if (!this.#rules.enabled) {
      throw new SessionContextError('this route has no session: it says `session: false` in its config. Take that off to use one here')
    }
    this.#work = new UnitOfWork(this, this.#rules.readonly)
    this.#commits = new CommitSequence(this.#work, this.#host.keeper)
    return new Session(this.#work, this)
  }

  find (): Start {
    const { keeper, cookie } = this.#host
    const presented = this.#presented ??= cookie.read(this.#request)
    if (presented === undefined) return NOTHING
    const { id, known } = presented
    const key = known?.key ?? keyOf(id)
    // A store that does not answer synchronously has been asked in prepare(), so this is never a promise.
    const found = this.#answer === undefined ? keeper.store.read(key, known?.place) as Found : foundIn(this.#answer)
    return startFrom(keeper, id, key, found, known)
  }

  /** What was changed has to be stored by the time the response has left, or soon after. */
  onChange (): void {
    if (this.#isWatched) return
    this.#isWatched = true
    if (this.isOver) {
      // Time for a save() right behind the change.
      setImmediate(() => { this.lookBack() })
    } else if (this.#hasFinished) {
      this.#reply.raw.on('close', () => { this.lookBack() })
    } else {
      this.#isListed = true
      watch(this)
    }
  }

  /** Reports what was changed and not stored. */
  lookBack (): void {
    this.#unlist()
    // Nothing is looked back on but what somebody has used.
    const work = this.#work as UnitOfWork
    const keys = work.unsaved
    if (keys.length === 0) return
    this.#host.keeper.report({
      code: 'AMBIENT_SESSION_UNSAVED',
      message: this.#hasFailed
        ? `a request's changes to its session are lost, because they could not be stored: ${keys.join(', ')}. The error of the request says why`
        : `a session was changed after its request's response, and the change was not saved: ${keys.join(', ')}. ` +
          'Change it before the response is sent, or call `await session().save()` after the change',
      key: work.key,
      keys
    })
  }

  #unwatch (): void {
    this.#unlist()
    this.#hasFinished = true
  }

  #unlist (): void {
    if (this.#isListed) unwatch(this)
    this.#isWatched = this.#isListed = false
  }

  /** The commit has failed; the request is going to be answered with its error. */
  noteFailure (): void {
    this.#hasFailed = true
    this.onChange()
  }

  /** What was committed could not be written with the others of its turn. The response is made, and held back still. */
  noteLoss (cause: unknown): void {
    giveUp(this.#reply.raw)
    const { report } = this.#host.keeper
    const { key } = this.#work as UnitOfWork
    const message = 'a request\'s changes to its session could not be stored after its response had been made: its connection was closed, and no response sent'
    // Others wait to be written now, and a log may do whatever it likes.
    process.nextTick(() => { report({ code: 'AMBIENT_SESSION_UNSAVED', message, key, cause }) })
  }

  /** Sends the cookie or clears it, if that is to be done. */
  tellBrowser (): void {
    const { cookie } = this.#host
    const outcome = this.#commits?.takeOutcome()
    const stored = this.#work?.stored
    const isOutdated = this.#presented?.isOutdated === true && !this.#isSent
    if (outcome === 'ended') {
      cookie.clear(this.#reply)
    } else if (stored !== undefined && (outcome === 'renewed' || isOutdated || cookie.isUnsent)) {
      cookie.send(this.#reply, stored.id, stored.record.expiresAt)
      this.#isSent = true
    }
  }

  /** Of a session that has nothing to store, or can store nothing any more, the browser need not be told. */
  #assertKnownToBrowser (work: UnitOfWork): void {
    if (work.stored !== undefined || work.origin.kind === 'gone' || work.isClean || work.isEnding) return
    throw new SessionHeadersSentError('the response\'s headers have left, so the browser cannot be told of a new session or a new id; ' +
      'put something into the session, or regenerate it, before the response begins')
  }

  #reportStore (cause: unknown): void {
    this.#host.keeper.report({ code: 'AMBIENT_SESSION_STORE', message: 'a session\'s lock could not be let go; it runs out by itself', cause })
  }
}

function foundIn (answer: Answer): Found {
  if ('error' in answer) throw answer.error
  return answer.found
}

function cut (text: string | undefined, length: number): string | undefined {
  return text?.slice(0, length)
}
