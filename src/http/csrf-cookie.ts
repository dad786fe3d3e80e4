/**
 * The cookie that axios and Angular read the CSRF token from, to send it in the header `X-XSRF-TOKEN`. Scripts of the page can
 * read it; otherwise it is like the session's cookie. What it brings back is never looked at as a token.
 */
import type { SessionConfig } from '../config/options.ts'
import { findCookies } from './cookie-header.ts'
import type { CookieRequest } from './cookie.ts'
import type { ResponseHeaders } from './response-headers.ts'
import { CLEARED, CookieLines, maxAge } from './set-cookie.ts'

/** The token of a session, if it has one, and how long the browser keeps it. */
export interface SentToken {
  readonly token: string | undefined
  readonly expiresAt: Date
  readonly isPersistent: boolean
}

export class CsrfCookie {
  readonly #name: string
  readonly #lines: CookieLines
  readonly #isOwn: (line: string) => boolean

  constructor (name: string, config: SessionConfig) {
    this.#name = name
    this.#lines = new CookieLines({ ...config, httpOnly: false })
    this.#isOwn = line => line.startsWith(`${name}=`)
  }

  /**
   * Sends the token where the browser has another one, and clears the cookie where there is none.
   *
   * @param isRenewed whether the session's cookie is sent: then this one is sent as well, so that both are kept as long
   * @param isEarly see {@link ResponseHeaders.setCookies}
   */
  write (request: CookieRequest, headers: ResponseHeaders, { token, expiresAt, isPersistent }: SentToken, isRenewed: boolean, isEarly: boolean): void {
    if (token === undefined) return this.clear(request, headers, isEarly)
    if (!isRenewed && !this.isOutdated(request, token)) return
    headers.setCookies([this.#lines.line(request, this.#name, token, maxAge(isPersistent, expiresAt))], this.#isOwn, isEarly)
  }

  /** Whether the browser has to be sent the token, or told to forget another one. What it has beside it, of a parent domain, stays there. */
  isOutdated (request: CookieRequest, token: string | undefined): boolean {
    const presented = this.#presented(request)
    return token === undefined ? presented.length > 0 : !presented.includes(token)
  }

  /** Has the browser forget the cookie, if it presented one. */
  clear (request: CookieRequest, headers: ResponseHeaders, isEarly: boolean): void {
    if (this.#presented(request).length === 0) return
    headers.setCookies([this.#lines.line(request, this.#name, CLEARED)], this.#isOwn, isEarly)
  }

  #presented ({ headers: { cookie } }: CookieRequest): string[] {
    return cookie === undefined ? [] : findCookies(cookie, this.#name)
  }
}
