/** The session of one request: found by its cookie, committed before the response leaves, and its cookie sent where that is due. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionConfig } from '../config/options.ts'
import { runOutsideScopes, type Scope } from '../context.ts'
import { SessionContextError, SessionEndedError, SessionHeadersSentError, SessionStoreError, SessionTooLargeError } from '../errors.ts'
import { type ClientInfo, SessionChanges } from '../session/changes.ts'
import type { CommitResult } from '../session/commit.ts'
import { reportTo } from '../report.ts'
import { CommitQueue, droppedWarning } from '../session/commit-queue.ts'
import type { LoadResult } from '../session/load.ts'
import { andThen, isPromise } from '../session/maybe-promise.ts'
import { Session, type SessionHost } from '../session/session.ts'
import { tombstoneUntil } from '../session/settings.ts'
import type { MaybePromise, StoreKey } from '../stores/store.ts'
import type { OldCookie } from './adoption.ts'
import { isResponseClosed } from './closing.ts'
import type { PresentedCookie } from './cookie.ts'
import type { HooksScope } from './flow.ts'
import { isPage, isPrefetch, LONGEST_URL, urlOf } from './page.ts'
import type { PluginContext } from './plugin-context.ts'
import { findFirst, findSession, type FoundSession, isLiving, NONE_FOUND } from './presented-session.ts'
import { ResponseCookies } from './response-cookies.ts'
import { ResponseHeaders } from './response-headers.ts'
import { RouteLock } from './route-lock.ts'
import type { RouteRules } from './route.ts'
import { unsavedWarning } from './unsaved.ts'

/** An IPv6 address that ends in an IPv4 address is no longer. */
const LONGEST_ADDRESS = 45
/** An address as proxies write it, perhaps with a port or a zone: nothing that a page could take for HTML. */
const ADDRESS = /^[\w.:%[\]-]+$/
/** What tells one browser from another comes well before. */
const LONGEST_AGENT = 500

/** How long a request goes on at the most when its client has left, in milliseconds. */
const LONGEST_UNANSWERED = 60_000

const NONE: readonly never[] = []

/** As long as the store has not answered. The error is made when it is needed: a request rarely asks so early. */
const NOT_YET = {
  get error (): SessionStoreError {
    return new SessionStoreError('the session has not been read yet: the store had not answered when the request was given up')
  }
}

/** One is made for each request, and most are never asked for their session: as little as possible is made before that. */
export class RequestSession implements Scope, SessionHost {
  readonly headers: ResponseHeaders
  /** Whether the commit is the last of the route's onSend hooks. */
  commitsLast = false
  /** The scope of the onResponse hooks, once they run. */
  hooksScope: HooksScope | undefined
  /** Drops something that the response can do without, when the session is too large to be stored; false when there is nothing. */
  dropExpendable: ((cause: SessionTooLargeError) => boolean) | undefined
  /** What the plugin shares, or with the driver `cookie` what is this request's. */
  readonly context: PluginContext
  readonly rules: RouteRules
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly #startedAt = Date.now()
  /** When the response has closed, by the clock of `performance.now()`. */
  #closedAt = Infinity
  #session: Session | undefined
  #changes: SessionChanges | undefined
  #queue: CommitQueue | undefined
  #cookies: ResponseCookies | undefined
  /** What was found before the handler ran, why nothing could be, or that it is not known yet; undefined where that was not asked. */
  #prepared: FoundSession | { readonly error: unknown } | undefined
  /** The sessions that were looked for, one after the other. */
  #candidates: readonly PresentedCookie[] = NONE
  /** From where the session is used. */
  #clientInfo: ClientInfo | undefined
  /** Whether the commit before the response has begun. */
  #commitHasBegun = false
  /** Whether that commit has failed, or was left out for the error of a save(): the response stores nothing more. */
  #isGivenUp = false
  /** Whether it has failed because the client had left. */
  #hasLeft = false
  /** What the last save() that failed has rejected with. */
  #saveError: unknown
  /** Whether something was changed after the commit, and before the headers left. */
  #changedBehindCommit = false
  /** Whether what is unsaved when the response has closed is going to be reported. */
  #willReportUnsaved = false
  /** That of a blocking route. */
  #lock: RouteLock | undefined

  constructor (context: PluginContext, rules: RouteRules, request: FastifyRequest, reply: FastifyReply) {
    this.headers = new ResponseHeaders(reply)
    this.context = context.forRequest(this.headers)
    this.rules = rules
    this.request = request
    this.reply = reply
    reply.raw.once('close', () => { this.#closedAt = performance.now() })
  }

  get config (): SessionConfig {
    return this.context.config
  }

  get hasSession (): boolean {
    return this.rules.enabled
  }

  /**
   * A request whose client has left goes on until it is answered, which Fastify leaves out where the handler returns undefined:
   * so it is over after a while in any case.
   */
  get isClosed (): boolean {
    return isResponseClosed(this.reply) && (this.#commitHasBegun || this.reply.sent || performance.now() - this.#closedAt > LONGEST_UNANSWERED)
  }

  get session (): Session {
    this.#session ??= this.#begin()
    return this.#session
  }

  /** Has the next commit move the expiry, whether or not that is due. */
  touch (): void {
    void this.session
    this.#changes?.touch()
  }

  /**
   * What has to happen before the handler: a blocking route takes its lock, an asynchronous store is read.
   *
   * @returns undefined when there is nothing to wait for
   * @throws SessionLockTimeoutError, and what the store throws when it cannot be reached
   */
  beforeHandler (): Promise<unknown> | undefined {
    const { enabled, block } = this.rules
    const { settings, cookie, adoption } = this.context
    const isLazy = settings.store.readsSynchronously === true && block === false
    if (!enabled || (isLazy && adoption === undefined)) return undefined
    const candidates = cookie.read(this.request)
    const old = adoption?.find(this.request) ?? NONE
    if (old.length === 0 && (isLazy || candidates.length === 0)) return undefined
    this.#prepared = NOT_YET
    if (block !== false) this.#lock = new RouteLock(this.context, block, this.reply, this.headers)
    if (old.length === 0) return this.#prepare(candidates)
    this.#responseCookies.old = old
    return this.#prepareOrAdopt(candidates, old)
  }

  /**
   * Commits what the request did, if it did anything. The response is known, and its headers have not left yet.
   *
   * @returns undefined when that is done
   */
  commit (): Promise<void> | undefined {
    this.#commitHasBegun = true
    return this.#lock === undefined ? this.#commitAnswered() : this.#lock.around(() => this.#commitAnswered())
  }

  #commitAnswered (): Promise<void> | undefined {
    this.headers.keepCookiePrivate()
    // Fastify sends the answer to an error of this very step through the same hook.
    if (this.#isGivenUp) return this.#clearIfEnded()
    this.#recordPage()
    if (this.#queue === undefined || this.#changes?.isOpen !== true) return undefined
    this.headers.varyByCookie()
    // What the browser is told again has to be true: a request that was slow asks the store once more.
    const { csrfCookie } = this.context
    const isTokenOutdated = !this.rules.readonly && csrfCookie?.isOutdated(this.request, this.#changes.facts.token) === true
    if (this.#responseCookies.isOutdated || isTokenOutdated) this.#changes.moveExpiry()
    return this.#commit(this.#queue)
  }

  /**
   * Commits what was changed by an onSend hook that ran after the commit, as hooks can in an answer of 404. Does nothing where
   * the commit has failed, since the client got its error. What cannot be stored, as where the browser would need a new cookie, is reported.
   */
  commitLate (): void {
    if (!this.#changedBehindCommit || this.#isGivenUp) return
    this.#changedBehindCommit = false
    const { key, unsaved } = this.#changes as SessionChanges
    this.save().catch((error: unknown) => {
      if (error instanceof SessionEndedError) this.#reportDropped(key, unsaved)
      else if (!this.#willReportUnsaved) this.#reportUnsaved()
    })
  }

  async save (): Promise<void> {
    if (this.#changes?.isOpen !== true || this.#queue === undefined) return
    const { outcome, state, left } = await this.#commitForSave(this.#queue)
    this.context.ends.leave(left)
    if (outcome === 'dropped') {
      throw new SessionEndedError('nothing was saved, because the session has ended: it was signed out, revoked, regenerated or has expired meanwhile. ' +
        'Ask session().isEnded where that may happen')
    }
    if (this.headers.canLeave) {
      this.headers.varyByCookie(true)
      this.#responseCookies.write(this.#changes, outcome, true, state)
    } else if (outcome === 'issued') throw headersSent()
  }

  async reload (): Promise<void> {
    await this.#queue?.reload()
  }

  async inTurn<T> (step: () => Promise<T>): Promise<T> {
    return this.#queue === undefined ? await step() : await this.#queue.run(step)
  }

  /**
   * To be called when the request is answered with an error. If that is the error of a failed save(), the commit before the
   * response stores nothing of what that save() was to store.
   */
  markFailed (answeredError: Error): void {
    if (this.#saveError !== undefined && answeredError === this.#saveError) this.#isGivenUp = true
  }

  async #commitForSave (queue: CommitQueue): Promise<CommitResult> {
    try {
      return await this.#commitOutsideScope(queue, () => { if (!this.headers.canLeave) throw headersSent() })
    } catch (error) {
      this.#saveError = error
      throw error
    }
  }

  /** A session here comes first, and so does one that has ended here. */
  async #prepareOrAdopt (candidates: readonly PresentedCookie[], old: readonly OldCookie[]): Promise<void> {
    if (candidates.length > 0 && await this.#prepare(candidates) !== NONE_FOUND) return
    this.#prepared = NOT_YET
    for (const cookie of old) {
      if (!await this.#takeOver(cookie)) continue
      await this.#prepare([cookie.presented])
      // The response tells the browser of it, whether or not the handler uses it.
      void this.session.key
      return
    }
    this.#prepared = NONE_FOUND
    if (!this.headers.canLeave) return
    for (const cookie of old) if (cookie.isDead) cookie.clear(this.request, this.headers, true)
  }

  async #takeOver (cookie: OldCookie): Promise<boolean> {
    try {
      return await cookie.takeOver(this.context.settings, this.#client)
    } catch (error) {
      this.#prepared = { error }
      throw error
    }
  }

  async #prepare (candidates: readonly PresentedCookie[]): Promise<FoundSession> {
    try {
      const found = await this.#find(candidates)
      this.#prepared = found
      return found
    } catch (error) {
      this.#prepared = { error }
      throw error
    }
  }

  /** @returns what the candidates name, by a promise only where the store answers by one or a lock is waited for */
  #find (candidates: readonly PresentedCookie[]): MaybePromise<FoundSession> {
    this.#candidates = candidates
    return findFirst(candidates, presented => {
      const find = (): MaybePromise<LoadResult> => findSession(this.context.settings, presented, this.#startedAt)
      return this.#lock === undefined ? find() : this.#lock.during(presented.key, async () => await find(), isLiving)
    })
  }

  #begin (): Session {
    if (!this.rules.enabled) throw new SessionContextError(this.rules.reason)
    this.#changes = new SessionChanges({
      load: () => this.#load(),
      readonly: this.rules.readonly,
      agesFlashData: !this.rules.readonly && this.request.method !== 'HEAD' && !isPrefetch(this.request),
      extendsExpiry: !this.rules.readonly,
      clientInfo: () => this.#client,
      onChange: () => { this.#onChange() }
    })
    this.#queue = new CommitQueue(this.#changes, this.context.settings)
    return new Session(this.#changes, this)
  }

  #load (): LoadResult {
    if (this.#prepared !== undefined && 'error' in this.#prepared) throw this.#prepared.error
    // A store that does not answer synchronously has been asked before the handler, if the browser presented anything.
    const { result, presented } = this.#prepared ?? this.#find(this.context.cookie.read(this.request)) as FoundSession
    this.#responseCookies.presented = presented
    // Of a connection that the client has closed Fastify does not know any more where it came from, nor believe the proxy.
    if (result.state?.userId !== undefined) void this.#client
    return result
  }

  /** Behind trusted proxies the address is what they say, if it can be one. Undefined where it cannot be known any more. */
  get #client (): ClientInfo | undefined {
    if (this.#clientInfo !== undefined || isResponseClosed(this.reply)) return this.#clientInfo
    const { headers } = this.request
    // A Unix socket has no address, nor has a connection that has been closed: Fastify's type leaves that out.
    const ip: string | undefined = this.request.ip
    const ipAddress = ip !== undefined && ADDRESS.test(ip) ? ip.slice(0, LONGEST_ADDRESS) : undefined
    this.#clientInfo = { ipAddress, userAgent: headers['user-agent']?.slice(0, LONGEST_AGENT) }
    return this.#clientInfo
  }

  #recordPage (): void {
    if (!this.context.config.previousUrl || !this.rules.enabled || this.rules.readonly || !isPage(this.request, this.reply)) return
    // Nobody has seen the page of a client that has left, and its protocol and host are not known any more.
    if (isResponseClosed(this.reply)) return
    const page = urlOf(this.request)
    if (page !== undefined && page.length <= LONGEST_URL) this.session.setPreviousUrl(page)
  }

  #commit (queue: CommitQueue): Promise<void> | undefined {
    try {
      const result = this.#commitOutsideScope(queue)
      if (isPromise(result)) return result.then(result => { this.#finish(result) }, error => this.#commitAgainOrFail(queue, error))
      this.#finish(result)
      return undefined
    } catch (error) {
      return this.#commitAgainOrFail(queue, error)
    }
  }

  /**
   * Begins a commit, of an asynchronous store outside the request's scope. The promises of its client would hold the scope, and
   * so the whole request, until V8 collects its old generation: some are made there. With ioredis a write took 90 µs of CPU
   * instead of 62, a new session 85 instead of 63 (Node.js 20).
   */
  #commitOutsideScope (queue: CommitQueue, assertCanIssue?: () => void): MaybePromise<CommitResult> {
    const commit = (): MaybePromise<CommitResult> => andThen(this.#endOthers(), () => queue.commit(assertCanIssue))
    return this.context.settings.store.readsSynchronously === true ? commit() : runOutsideScopes(commit)
  }

  /**
   * Ends the sessions of the browser's other cookies with the one that is signed out: the browser would go on with the next of them.
   * They come first: where one cannot be ended, the visitor is told so, and the sign-out can be repeated.
   */
  #endOthers (): Promise<void> | undefined {
    if (this.#candidates.length < 2 || this.#changes?.endsSession !== true) return undefined
    const { presented } = this.#responseCookies
    return this.#endAll(this.#candidates.filter(candidate => candidate !== presented))
  }

  async #endAll (others: readonly PresentedCookie[]): Promise<void> {
    const { settings, ends } = this.context
    for (const { key } of others) {
      if (await settings.store.destroy(key, tombstoneUntil(settings)) === 'destroyed') ends.leave({ key, to: undefined })
    }
    this.#candidates = NONE
  }

  /** Commits once more without what is expendable, if there was too much. Fails otherwise, unless the client has left. */
  #commitAgainOrFail (queue: CommitQueue, error: unknown): Promise<void> | undefined {
    if (error instanceof SessionTooLargeError && this.dropExpendable?.(error) === true) return this.#commit(queue)
    this.#isGivenUp = true
    this.#onChange()
    // Of a session that only the browser keeps. There is nobody to be told of an error, and nothing wrong with the application.
    this.#hasLeft = error instanceof SessionHeadersSentError && isResponseClosed(this.reply)
    if (!this.#hasLeft) throw error
    return undefined
  }

  #finish ({ outcome, state, dropped = [], left }: CommitResult): void {
    const changes = this.#changes as SessionChanges
    this.context.ends.leave(left)
    this.#reportDropped(changes.key, dropped)
    this.#responseCookies.write(changes, outcome, false, state)
  }

  /** The browser gives up the cookie of a session that has ended, even if the next one could not be stored. */
  #clearIfEnded (): undefined {
    if (this.#changes?.isOpen === true && this.#changes.origin.kind === 'none') this.#responseCookies.write(this.#changes, 'ended', false)
  }

  get #responseCookies (): ResponseCookies {
    this.#cookies ??= new ResponseCookies(this.context, this.request, this.headers)
    return this.#cookies
  }

  /** What was changed has to be stored by the time the response has closed, or soon after. */
  #onChange (): void {
    this.#changedBehindCommit ||= this.#commitHasBegun && !this.reply.raw.headersSent
    if (this.#willReportUnsaved) return
    this.#willReportUnsaved = true
    // After the response there is time for a save() right behind the change.
    if (isResponseClosed(this.reply)) setImmediate(() => { this.#reportUnsaved() })
    else this.reply.raw.once('close', () => { this.#reportUnsaved() })
  }

  #reportDropped (key: StoreKey, dropped: readonly string[]): void {
    if (dropped.length > 0) reportTo(this.request.log)(droppedWarning('a request\'s changes to its session', key, dropped))
  }

  #reportUnsaved (): void {
    this.#willReportUnsaved = false
    const changes = this.#changes as SessionChanges
    const keys = changes.unsaved
    // A request whose client has left is committed when it is answered.
    if (keys.length === 0 || !(this.#commitHasBegun || this.reply.sent)) return
    const reason = this.#hasLeft ? 'left' : this.#isGivenUp ? 'failed' : this.#commitHasBegun ? 'late' : 'uncommitted'
    reportTo(this.request.log)(unsavedWarning(reason, changes.key, keys))
  }
}

function headersSent (): SessionHeadersSentError {
  return new SessionHeadersSentError('the response\'s headers have left, so the browser cannot be told of a new session or a new id; ' +
    'put something into the session, or regenerate it, before the response begins (before the upgrade, on a WebSocket)')
}
