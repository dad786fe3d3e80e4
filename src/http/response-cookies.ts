/** The cookies that one response sends or clears for its session: its own, that of the CSRF token, and those of other packages. */
import type { FastifyRequest } from 'fastify'
import type { SessionChanges } from '../session/changes.ts'
import type { CommitResult } from '../session/commit.ts'
import type { OldCookie } from './adoption.ts'
import type { PresentedCookie } from './cookie.ts'
import type { PluginContext } from './plugin-context.ts'
import type { ResponseHeaders } from './response-headers.ts'

export class ResponseCookies {
  /** The cookie whose session was found. */
  presented: PresentedCookie | undefined
  /** The cookies of other packages that the browser is to keep until there is a session here. */
  old: readonly OldCookie[] = []
  readonly #context: PluginContext
  readonly #request: FastifyRequest
  readonly #headers: ResponseHeaders
  #isSent = false

  constructor (context: PluginContext, request: FastifyRequest, headers: ResponseHeaders) {
    this.#context = context
    this.#request = request
    this.#headers = headers
  }

  /**
   * Whether the browser has to be sent its cookie again: it was signed with an older secret, or comes from another package. Only
   * a commit that has asked the store sends it, or a slow request would put the id of before a sign-in over the new one.
   */
  get isOutdated (): boolean {
    return this.presented?.isOutdated === true && !this.#isSent
  }

  /**
   * Sends the cookies or clears them, as far as that is to be done after a commit.
   *
   * @param isEarly see {@link ResponseHeaders.setCookies}
   * @param written what is stored now: another request may have given the session its token, or its lifetime
   */
  write ({ origin, stored, facts }: SessionChanges, outcome: CommitResult['outcome'], isEarly: boolean, written: CommitResult['state'] = facts): void {
    if (origin.kind === 'none' && origin.wasEnded) return this.#clear(isEarly)
    const { cookie, csrfCookie, config, cookieWarnings } = this.#context
    if (stored === undefined || (outcome === 'unchanged' && !cookie.isUnsent)) return
    const { token, isPersistent = !config.expireOnClose } = written
    const isDue = outcome === 'issued' || (outcome === 'extended' && isPersistent) || this.isOutdated || cookie.isUnsent
    csrfCookie?.write(this.#request, this.#headers, { token, expiresAt: stored.record.expiresAt, isPersistent }, isDue, isEarly)
    if (!isDue) return
    cookie.send(this.#request, this.#headers, stored, isPersistent, isEarly)
    this.#isSent = true
    // What the browser is not told it cannot take in the place of an old cookie, nor can warnings say what it makes of it.
    if (!this.#headers.canLeave) return
    this.#leave(outcome === 'issued' ? this.old : this.#adopted(), isEarly, false)
    cookieWarnings.check(this.#request)
  }

  #clear (isEarly: boolean): void {
    const { cookie, csrfCookie } = this.#context
    cookie.clear(this.#request, this.#headers, isEarly)
    csrfCookie?.clear(this.#request, this.#headers, isEarly)
    this.#leave(this.old, isEarly, true)
  }

  /** The cookies whose place is taken by the session that was found, and those that name none: not those of other packages' sessions. */
  #adopted (): OldCookie[] {
    const adopted = this.old.find(({ presented }) => presented === this.presented)
    return adopted === undefined ? [] : this.old.filter(({ name, isDead }) => isDead || name === adopted.name)
  }

  /**
   * @param which those that the browser is to give up, and the old stores to end
   * @param isOver whether the visitor has signed out
   */
  #leave (which: readonly OldCookie[], isEarly: boolean, isOver: boolean): void {
    for (const cookie of which) cookie.leave(this.#request, this.#headers, isEarly, isOver)
    this.old = this.old.filter(cookie => !which.includes(cookie))
  }
}
