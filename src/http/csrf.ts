/**
 * The check against cross-site request forgery. What the browser says of a request's origin decides, as in Go's
 * `http.CrossOriginProtection`; where it says nothing, the request has to bring the session's token. So a form that was left open
 * until its session had expired can still be sent from a current browser.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { CsrfConfig } from '../config/options.ts'
import { SessionCsrfError } from '../errors.ts'
import { isField } from '../session/form-input.ts'
import type { Session } from '../session/session.ts'
import { CURRENT } from '../symbols.ts'
import { pathOf } from './cookie-path.ts'
import type { Done } from './flow.ts'
import { keepLast, withLast } from './last-hooks.ts'
import { isMultipart } from './multipart.ts'

/** RFC 9110, section 9.2.1. */
const SAFE_METHODS: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE']
/** What `Sec-Fetch-Site` says of the application's own pages, and of what the visitor does in the browser itself. */
const OWN: readonly unknown[] = ['same-origin', 'none']

const OTHERS = 'If that page is yours, name its origin in the option csrf.origins. If pages of any site may send this'
const EXCEPTIONS = 'write config: { session: { csrf: false } } on the route, or name its path in the option csrf.except'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** @internal */
    [CHECKS_LAST]?: true
  }
}

/** Says of a route that its last preValidation hook checks forms with uploads. */
const CHECKS_LAST = Symbol('ambient-session.checks-last')

/**
 * Has every request checked. What the browser says is known before the body is read, which may write files. The token is looked for before
 * the application's hooks for validation, and in a form with uploads behind them, because @fastify/multipart reads its fields in such a hook.
 */
export function checkForgery (app: FastifyInstance, config: CsrfConfig): void {
  const check = new CsrfCheck(config)
  const assertToken = (request: FastifyRequest, isDue: boolean, done: Done): void => {
    if (isDue) check.assertToken(request)
    done()
  }
  const checkLast = (request: FastifyRequest, _reply: FastifyReply, done: Done): void => { assertToken(request, isMultipart(request), done) }
  keepLast(app, CHECKS_LAST, route => { route.preValidation = withLast(route.preValidation, checkLast) })
  app.addHook('preParsing', (request, _reply, _payload, done) => {
    check.assertOrigin(request)
    done()
  })
  app.addHook('preValidation', (request, _reply, done) => {
    assertToken(request, !(isMultipart(request) && request.routeOptions.config[CHECKS_LAST] === true), done)
  })
}

class CsrfCheck {
  readonly #config: CsrfConfig
  /** The names of the headers as the server sees them; messages show them as they were given. */
  readonly #headers: readonly string[]

  constructor (config: CsrfConfig) {
    this.#config = config
    this.#headers = config.headers.map(name => name.toLowerCase())
  }

  /** @throws SessionCsrfError when the browser says that a page of another origin sends the request */
  assertOrigin (request: FastifyRequest): void {
    if (!this.#isSuspect(request)) return
    const { 'sec-fetch-site': site } = request.headers
    if (site !== undefined) throw crossOrigin(`Sec-Fetch-Site: ${SITES.includes(site) ? site : 'an unknown value'}`)
    if (isHandshake(request)) assertOwnOrigin(request)
  }

  /**
   * To be called behind {@link assertOrigin}. Of a request that is still suspect the browser has said nothing.
   *
   * @throws SessionCsrfError when the request has to bring the token and does not
   */
  assertToken (request: FastifyRequest): void {
    const current = request[CURRENT]
    if (current == null || isHandshake(request) || !this.#isSuspect(request)) return
    if (current.hasSession) this.#assertTokenOf(current.session, request)
    else throw new SessionCsrfError(`a CSRF token cannot be checked: ${current.rules.reason}. If the request is not sent by a browser, ${EXCEPTIONS}`)
  }

  /** Whether it can change something and is not known to come from a page that may send it. */
  #isSuspect (request: FastifyRequest): boolean {
    if (request[CURRENT]?.rules.csrf !== true) return false
    if ((SAFE_METHODS.includes(request.method) && !isHandshake(request)) || this.#isExcepted(request.url)) return false
    const { 'sec-fetch-site': site, origin } = request.headers
    return !OWN.includes(site) && (origin === undefined || !this.#config.origins.includes(origin))
  }

  #assertTokenOf (session: Session, request: FastifyRequest): void {
    const candidates = [fieldOf(request.body, this.#config.field), ...this.#headers.map(name => request.headers[name])].filter(isGiven)
    if (candidates.length === 0) throw this.#missing(request)
    if (candidates.some(candidate => session.hasToken(candidate))) return
    throw new SessionCsrfError('the CSRF token is not that of the session: the page is older than the session, which has expired, was signed out or ' +
      'has a new id. Load the page again, and send the form once more')
  }

  /** A path that ends with `*` stands for all that begin with what is before it. */
  #isExcepted (url: string): boolean {
    const { except } = this.#config
    if (except.length === 0) return false
    const path = pathOf(url)
    return except.some(pattern => pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : path === pattern)
  }

  #missing ({ headers, body }: FastifyRequest): SessionCsrfError {
    const { field, headers: [header] } = this.#config
    const asField = body === undefined && isMultipart({ headers })
      ? `The fields of a multipart form are not read before the handler: register @fastify/multipart with attachFieldsToBody, or write ${FOR_LATER}`
      : `Put csrfField() into the form, which is the field ${field}`
    const asHeader = header === undefined ? '' : `, or send csrfToken() in the header ${header}`
    return new SessionCsrfError(`the request brings no CSRF token. ${asField}${asHeader}. If it is not sent by a browser, ${EXCEPTIONS}`)
  }
}

const FOR_LATER = 'config: { session: { csrf: false } } on the route and check session().hasToken(…) in the handler'

/** A value of the request's is shown only where it is one of the standard's. */
const SITES: readonly unknown[] = ['same-site', 'cross-site']

/** Browsers send cookies along with the handshake of a WebSocket, whichever page opens it, and some only its `Origin`. */
function assertOwnOrigin ({ headers: { origin }, host }: FastifyRequest): void {
  // Without it the client is no browser.
  if (origin === undefined) return
  // The protocol is not compared: behind a proxy that ends TLS it is another one here.
  if (URL.canParse(origin) && new URL(origin).host === hostAs(new URL(origin).protocol, host)) return
  throw crossOrigin('its Origin is not the Host of the request; behind a proxy, pass the Host header on, or set trustProxy and X-Forwarded-Host')
}

/** @returns a host as it is in a URL of the protocol: without the port that is its default */
function hostAs (protocol: string, host: string): string | undefined {
  const url = `${protocol}//${host}`
  return URL.canParse(url) ? new URL(url).host : undefined
}

function crossOrigin (why: string): SessionCsrfError {
  return new SessionCsrfError(`the request comes from a page of another origin (${why}). ${OTHERS}, ${EXCEPTIONS}`)
}

function isHandshake ({ method, headers: { upgrade } }: FastifyRequest): boolean {
  return method === 'GET' && upgrade?.toLowerCase() === 'websocket'
}

/** @returns a field of a form, as JSON, @fastify/formbody and @fastify/multipart give it */
function fieldOf (body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, name)) return undefined
  const field: unknown = (body as Record<string, unknown>)[name]
  return typeof field === 'object' && field !== null && isField(field) ? field.value : field
}

function isGiven (candidate: unknown): boolean {
  return candidate !== undefined && candidate !== ''
}
