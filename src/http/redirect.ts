/** Redirects back, with what the next page has to show: `reply.withErrors(errors).withInput().back('/form')`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { SessionUsageError, SessionValueError } from '../errors.ts'
import { type Report, reportTo } from '../report.ts'
import type { FlashedAt, SessionKey, SessionValues } from '../session/keys.ts'
import type { Tree } from '../session/paths.ts'
import type { Session } from '../session/session.ts'
import { CURRENT } from '../symbols.ts'
import { pathOf } from './cookie-path.ts'
import { markAsSent, unmark } from './flow.ts'
import { fieldErrorsOf, type FormErrorsInput } from './form-errors.ts'
import { isMultipart } from './multipart.ts'
import { ownPath } from './own-url.ts'
import { isNavigation, isPrefetch, LONGEST_URL } from './page.ts'
import type { RequestSession } from './request-session.ts'

/** Which fields of a form {@link FastifyReply.withInput} keeps, by their names. */
export interface InputSelection {
  readonly only?: string | readonly string[] | undefined
  readonly except?: string | readonly string[] | undefined
}

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Redirects to the page that the request came from: that of a `Referer` of the same origin, or where the browser sends none,
     * that of `session().previousUrl()`; otherwise to the fallback, by default `/`. It leads to paths of this origin only. The
     * status is 303 after a form, and 302 after a GET. The response leaves after the code that calls this, so that the chain may
     * go on behind it.
     *
     * @throws SessionUsageError when the fallback is no URL of this origin
     */
    back (fallback?: string): this
    /** Redirects to the page that {@link guest} has recorded and forgets it; otherwise to the fallback, by default `/`. */
    intended (fallback?: string): this
    /**
     * Records the page that the visitor wanted, for {@link intended}, and redirects to the page where guests sign in. Flash data is
     * kept for that page.
     */
    guest (signIn: string): this
    /** Flashes a value, or several, for the next page. */
    with<K extends SessionKey> (key: K, ...value: FlashedAt<K>): this
    with (values: SessionValues): this
    /**
     * Flashes messages by field under `errors`, or with a bag under `errors.<bag>`, and adds to those of calls before. What cannot be
     * stored is left out, with a warning.
     *
     * @param errors messages by field, or the issues of zod, valibot or Ajv, or an error that has them
     */
    withErrors (errors: FormErrorsInput, bag?: string): this
    /** Flashes the request's body, as `session().flashInput()` does. What cannot be stored is left out, with a warning. */
    withInput (selection?: InputSelection): this
    /** @internal */
    [REDIRECT]: Redirect | null
  }
}

const REDIRECT = Symbol('ambient-session.redirect')
/** The key of a session under which the page is that a guest wanted. */
const INTENDED = 'intendedUrl'

/** What can be chained and does not answer. */
const CHAINED: ReadonlyArray<string | symbol> = ['with', 'withErrors', 'withInput']
const NO_ANSWER = 'reply.with(), withErrors() and withInput() keep something for the next page and answer nothing: go on with .back() or ' +
  '.redirect(\'/path\'). To answer later, return the reply itself'

const READ_IN_HANDLER = 'is not in the body of a multipart form that the handler reads itself: call session().flashInput(fields) with ' +
  'the fields that it has read, in place of withInput(), or register @fastify/multipart with attachFieldsToBody'

export function addRedirects (app: FastifyInstance): void {
  const add = <Args extends unknown[]> (name: string, method: (redirect: Redirect, ...args: Args) => void): void => {
    app.decorateReply(name, function (this: FastifyReply, ...args: Args) {
      const redirect = (this[REDIRECT] ??= new Redirect(this, this.request[CURRENT]))
      method(redirect, ...args)
      return redirect.chain
    })
  }
  app.decorateReply(REDIRECT, null)
  add('back', (redirect, fallback?: string) => { redirect.back(fallback) })
  add('intended', (redirect, fallback?: string) => { redirect.intended(fallback) })
  add('guest', (redirect, signIn: string) => { redirect.guest(signIn) })
  add('with', (redirect, ...values: [key: string, value?: unknown]) => { redirect.session.flash(...values) })
  add('withErrors', (redirect, errors: unknown, bag?: string) => { redirect.flashErrors(errors, bag) })
  add('withInput', (redirect, selection?: InputSelection) => { redirect.flashInput(selection) })
}

/** The redirect that a reply becomes. */
class Redirect {
  readonly #reply: FastifyReply
  readonly #current: RequestSession | null | undefined
  /** All that this response flashes under `errors`, bags included. */
  #errors: Tree = {}
  #hasInput = false
  #target: string | undefined
  /** Whether the reply counts as sent because the redirect is about to leave. */
  #isHeld = false
  #chain: FastifyReply | undefined
  /** Whether the chain has gone on to something that may answer: `redirect()`, `send()`, `view()`. */
  #isHandedOn = false

  constructor (reply: FastifyReply, current: RequestSession | null | undefined) {
    this.#reply = reply
    this.#current = current
  }

  get session (): Session {
    return this.#reply.request.session()
  }

  /**
   * What the methods return: the reply itself, once a redirect was asked for. Before that a proxy of it, which fails when a route returns it:
   * with the reply itself the route would wait for ever.
   */
  get chain (): FastifyReply {
    if (this.#target !== undefined) return this.#reply
    this.#chain ??= new Proxy(this.#reply, { get: (_reply, name) => name === 'then' ? this.#then : this.#member(name) })
    return this.#chain
  }

  #member (name: string | symbol): unknown {
    const member: unknown = Reflect.get(this.#reply, name)
    if (typeof member !== 'function') return member
    this.#isHandedOn ||= !CHAINED.includes(name)
    return member.bind(this.#reply) as unknown
  }

  /** Fastify waits with the reply's own for a response that is sent later. Behind a chain that sends nothing it would wait for ever. */
  readonly #then: FastifyReply['then'] = (fulfilled, rejected) => {
    if (this.#target !== undefined || this.#isHandedOn || this.#reply.sent) this.#reply.then(fulfilled, rejected)
    else rejected(new SessionUsageError(NO_ANSWER))
  }

  back (fallback = '/'): void {
    const otherwise = this.#checked('back', fallback)
    this.#goTo(this.#pageBefore() ?? otherwise)
  }

  intended (fallback = '/'): void {
    const otherwise = this.#checked('intended', fallback)
    const url: unknown = this.session.pull(INTENDED)
    this.#goTo(this.#own(url) ?? otherwise)
  }

  guest (signIn: string): void {
    const target = this.#checked('guest', signIn)
    const { request } = this.#reply
    // A form that was sent cannot be sent again: the visitor goes on with the page that it was on.
    const wanted = isNavigation(request) ? request.originalUrl : this.#pageBefore()
    if (wanted !== undefined && this.#isWorthReturning(wanted, target)) this.session.put(INTENDED, wanted)
    // What was flashed for the page that the visitor does not get to see is for the one where it signs in.
    if (this.#current?.hasSession === true && !this.#current.rules.readonly) this.session.reflash()
    this.#goTo(target)
  }

  flashErrors (errors: unknown, bag: string | undefined): void {
    const { session } = this
    this.#attempt('errors', () => {
      const fields = fieldErrorsOf(errors)
      const flashed = { ...this.#errors, ...bag === undefined ? fields : { [bag]: { ...bagIn(this.#errors, bag), ...fields } } }
      session.flash('errors', flashed)
      this.#errors = flashed
    })
  }

  flashInput (selection: InputSelection | undefined): void {
    const { session } = this
    const { request } = this.#reply
    this.#attempt('old input', () => {
      if (request.body === undefined && isMultipart(request)) throw new SessionValueError('old input', READ_IN_HANDLER)
      session.flashInput(selected(request.body, selection))
      this.#hasInput = true
    })
  }

  /** What the browser fetches in advance nobody has asked for, and the page for signing in leads on to none. */
  #isWorthReturning (wanted: string, signIn: string): boolean {
    return this.#current?.rules.readonly !== true && wanted.length <= LONGEST_URL && !isPrefetch(this.#reply.request) && pathOf(wanted) !== pathOf(signIn)
  }

  /** Sends the redirect after the code that asked for it, which may have more to flash. */
  #goTo (path: string): void {
    const isAsked = this.#target !== undefined
    this.#target = path
    if (isAsked) return
    queueMicrotask(() => { this.#send() })
    this.#hold()
  }

  /**
   * Until the redirect leaves, the reply counts as sent: a hook with a callback does not wait for it, and Fastify would go on to
   * the handler. An error takes the redirect's place, and nothing else does, as when it had left.
   */
  #hold (): void {
    const reply = this.#reply
    if (reply.sent) return
    this.#isHeld = true
    markAsSent(this.#current, reply)
    const send = reply.send.bind(reply)
    const value = (payload: unknown): FastifyReply => {
      if (payload instanceof Error) {
        this.#target = undefined
        this.#letGo()
      }
      return send(payload)
    }
    Object.defineProperty(reply, 'send', { value, configurable: true })
  }

  #letGo (): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    unmark(this.#current, this.#reply)
    delete (this.#reply as { send?: unknown }).send
  }

  #send (): void {
    const reply = this.#reply
    this.#letGo()
    if (this.#target === undefined || reply.sent) return
    try {
      reply.redirect(this.#target, isSafe(reply.request) ? 302 : 303)
    } catch (error) {
      reply.log.error(error)
    }
  }

  #pageBefore (): string | undefined {
    const { request } = this.#reply
    const url = request.headers.referer ?? (this.#current?.hasSession === true ? this.session.previousUrl() : undefined)
    const path = this.#own(url)
    // A page that leads back to itself would never end.
    return isSafe(request) && path === request.originalUrl ? undefined : path
  }

  #own (url: unknown): string | undefined {
    return typeof url === 'string' ? ownPath(url, this.#reply.request) : undefined
  }

  #checked (method: string, url: unknown): string {
    const path = this.#own(url)
    if (path !== undefined) return path
    throw new SessionUsageError(`reply.${method}() leads to pages of this application only, and was given a URL that is none of them. ` +
      'Give it a path that begins with one slash; for another site use reply.redirect()')
  }

  #attempt (what: string, flash: () => void): void {
    try {
      flash()
      if (this.#current != null) this.#current.dropExpendable = error => this.#drop(error)
    } catch (error) {
      if (!(error instanceof SessionValueError)) throw error
      this.#report(unstored(what, error))
    }
  }

  /** Drops the input first: it is most of the size, and the errors are worth more. */
  #drop (cause: Error): boolean {
    const { session } = this
    if (this.#hasInput) {
      this.#hasInput = false
      session.flashInput({})
      this.#report(unstored('old input', cause))
      return true
    }
    if (Object.keys(this.#errors).length === 0) return false
    this.#errors = {}
    session.forget('errors')
    this.#report(unstored('errors', cause))
    return true
  }

  get #report (): Report {
    return reportTo(this.#reply.log)
  }
}

/** What has been flashed under the name of a bag, unless a field has that name. */
function bagIn (errors: Tree, bag: string): object | undefined {
  const found = Object.hasOwn(errors, bag) ? errors[bag] : undefined
  return typeof found === 'object' && found !== null && !Array.isArray(found) ? found : undefined
}

function unstored (what: string, { message }: Error): Parameters<Report>[0] {
  return { code: 'AMBIENT_SESSION_FORM', message: `the ${what} of a form could not be stored, and the next page goes without: ${message}`, keys: [what] }
}

function selected (body: unknown, { only, except = [] }: InputSelection = {}): unknown {
  if (typeof body !== 'object' || body === null || (only === undefined && except.length === 0)) return body
  const isKept = (name: string): boolean => (only === undefined || [only].flat().includes(name)) && ![except].flat().includes(name)
  return Object.fromEntries(Object.entries(body).filter(([name]) => isKept(name)))
}

/** Whether the request asks for a page and sends nothing (RFC 9110, section 9.2.1). */
function isSafe ({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD'
}
