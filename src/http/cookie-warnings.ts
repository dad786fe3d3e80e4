/**
 * Warnings of a cookie that the browser will not keep, or that is weaker than it could be. Each is given once.
 *
 * Chrome (since 89) and Firefox (since 75) take a Secure cookie from http://localhost and from loopback addresses; Safari
 * does not. Names that begin with __Host- or __Secure- need Secure everywhere (RFC 6265bis, section 4.1.3).
 */
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { show } from '../config/describe.ts'
import type { SessionConfig } from '../config/options.ts'
import type { Report } from '../report.ts'
import { isHttps } from './set-cookie.ts'

/** @returns what to warn of, if there is anything */
type Check = (request: FastifyRequest) => string | undefined

const DAY = 24 * 60
/** Minutes for which a browser keeps a cookie at the most: 400 days (RFC 6265bis, section 5.5). */
const LONGEST_KEPT = 400 * DAY
const BELIEVE = "Fastify({ trustProxy: '127.0.0.1' }), with the address of the proxy"

export class CookieWarnings {
  readonly #report: Report
  /** Those that have not found anything yet. */
  #checks: readonly Check[]

  constructor (config: SessionConfig, report: Report) {
    this.#report = report
    this.#checks = checksFor(config)
  }

  /** To be called when a response gets the cookie. */
  check (request: FastifyRequest): void {
    this.#checks = this.#checks.filter(check => {
      const message = check(request)
      if (message !== undefined) this.#report({ code: 'AMBIENT_SESSION_COOKIE', message })
      return message === undefined
    })
  }
}

function checksFor ({ cookie, secure, sameSite, partitioned, domain, expireOnClose, lifetime, absoluteLifetime = lifetime }: SessionConfig): Check[] {
  const prefix = /^__(host|secure)-/i.exec(cookie)?.[0]
  const checks: Check[] = []
  if (secure === true) checks.push(secureOverHttp, secureOnLoopback)
  if (secure === 'auto') {
    const loss = lossOverHttp(prefix, sameSite, partitioned)
    checks.push(untrustedProxy(loss))
    if (loss !== undefined) checks.push(plainHttp(loss))
  }
  if (domain !== undefined) checks.push(otherHost(domain))
  const minutes = Math.min(lifetime, absoluteLifetime)
  if (!expireOnClose && minutes > LONGEST_KEPT) checks.push(() => tooLong(minutes))
  return checks
}

const secureOverHttp: Check = request => isPlain(request) && !isLoopback(request.hostname)
  ? "the session's cookie was sent over plain HTTP with Secure, and browsers do not keep such a cookie: the next request comes without " +
    "the session. Serve the site by HTTPS, or leave out secure: true; the default 'auto' follows the request"
  : undefined

const secureOnLoopback: Check = request => isPlain(request) && isLoopback(request.hostname)
  ? "the session's cookie was sent over plain HTTP with Secure. On localhost Chrome and Firefox keep such a cookie and Safari does not; " +
    "on other hosts no browser does. Leave out secure: true; the default 'auto' follows the request"
  : undefined

/** What goes wrong over plain HTTP with `secure: 'auto'`, where it is more than that Secure is missing. */
function lossOverHttp (prefix: string | undefined, sameSite: SessionConfig['sameSite'], partitioned: boolean): string | undefined {
  if (prefix !== undefined) return `browsers do not keep a cookie without Secure whose name begins with ${prefix}`
  const lost = [...sameSite === 'none' ? ['SameSite=None'] : [], ...partitioned ? ['Partitioned'] : []]
  return lost.length === 0 ? undefined : `browsers do not accept ${lost.join(' and ')} without Secure: requests from other sites come without the session`
}

function untrustedProxy (loss: string | undefined): Check {
  const also = loss === undefined ? '' : `, and ${loss}`
  return request => {
    if (isHttps(request) || !isForwardedHttps(request)) return undefined
    return lastOf(request.headers['x-forwarded-proto'])?.toLowerCase() === 'https'
      ? `the session's cookie was sent without Secure: X-Forwarded-Proto says https, and Fastify has not been told to believe the proxy${also}. Write ${BELIEVE}`
      : `the session's cookie was sent without Secure${also}: X-Forwarded-Proto has several protocols, https and another one behind it, and of those Fastify ` +
        'believes the last at most. Have the proxies hand on what the first one says'
  }
}

function plainHttp (loss: string): Check {
  return request => isPlain(request)
    ? `the session's cookie was sent over plain HTTP, and ${loss}. Serve the site by HTTPS; where a proxy does that, let it send ` +
      `X-Forwarded-Proto, and write ${BELIEVE}`
    : undefined
}

function otherHost (domain: string): Check {
  const suffix = domain.replace(/^\./, '').toLowerCase()
  const isWithin = (host: string): boolean => host === suffix || (host.endsWith(`.${suffix}`) && isIP(host) === 0)
  return request => hostsOf(request).some(isWithin)
    ? undefined
    : `the session's cookie was sent with the domain ${show(domain)} from the host ${show(request.hostname)}, which is not part of it: ` +
      'browsers do not keep such a cookie. Correct domain, or leave it out for a cookie of this host alone'
}

function tooLong (minutes: number): string {
  return `the session's cookie was sent for ${Math.round(minutes / DAY)} days, and browsers keep a cookie for ${LONGEST_KEPT / DAY} at the most. lifetime is in minutes: ` +
    `for ${minutes} milliseconds write lifetime: ${Number((minutes / 60_000).toPrecision(6))}`
}

function isPlain (request: FastifyRequest): boolean {
  return !isHttps(request) && !isForwardedHttps(request)
}

/** Whether a proxy says that the browser came by HTTPS: one of them, where there are several. */
function isForwardedHttps ({ headers }: FastifyRequest): boolean {
  return /(^|,)\s*https\s*(,|$)/i.test(headers['x-forwarded-proto']?.toString() ?? '')
}

/** The host as Fastify sees it, and as a proxy says that the browser has written it. */
function hostsOf ({ hostname, headers }: FastifyRequest): string[] {
  const forwarded = lastOf(headers['x-forwarded-host'])?.replace(/:\d+$/, '')
  return [hostname, forwarded].flatMap(host => host?.toLowerCase() ?? [])
}

function lastOf (header: string | string[] | undefined): string | undefined {
  return header?.toString().split(',').at(-1)?.trim()
}

function isLoopback (host: string): boolean {
  return /^(localhost|.+\.localhost|127(\.\d+){3}|\[::1\]|::1)$/i.test(host)
}
