/** The cookie that holds a session's id. For the driver `cookie`, which puts the whole session into cookies, see carrying-cookie.ts. */
import { Signer } from '@fastify/cookie'
import type { FastifyRequest } from 'fastify'
import type { SessionConfig } from '../config/options.ts'
import { isSessionId, keyOf, type SessionId, type StoreKey } from '../session/id.ts'
import type { StoredSession } from '../session/load.ts'
import { findCookies } from './cookie-header.ts'
import type { SentCookies } from './response-headers.ts'
import { CLEARED, CookieLines, maxAge } from './set-cookie.ts'

/** Longer values cannot be ours: an id has 43 characters, a signature 44. */
const MAX_LENGTH = 96
/** The most cookies of one name whose sessions are looked for. */
export const MAX_CANDIDATES = 4

/** What a cookie needs to know of a request. */
export type CookieRequest = Pick<FastifyRequest, 'protocol'> & { readonly headers: { readonly cookie?: string | undefined } }

/** A cookie that was presented, after its form and signature have been found right. */
export interface PresentedCookie {
  readonly id: SessionId
  readonly key: StoreKey
  /** Signed with a secret that is not the first any more: to be sent again. */
  readonly isOutdated: boolean
}

/** A session's cookie as a request uses it. */
export interface RequestCookie {
  /** Whether the browser has to be sent the session although neither its id nor its expiry is another. */
  readonly isUnsent: boolean
  /** @returns what the browser presented and the server can have made, in the order of the header */
  read (request: CookieRequest): readonly PresentedCookie[]
  /**
   * @param isPersistent whether the cookie outlives the browser
   * @param isEarly see {@link SentCookies}
   */
  send (request: CookieRequest, headers: SentCookies, session: StoredSession, isPersistent: boolean, isEarly: boolean): void
  clear (request: CookieRequest, headers: SentCookies, isEarly: boolean): void
}

export class SessionCookie implements RequestCookie {
  readonly name: string
  readonly isUnsent = false
  readonly #signer: Signer | undefined
  readonly #lines: CookieLines
  readonly #isOwn: (line: string) => boolean

  constructor (config: SessionConfig) {
    const { cookie, secret } = config
    this.name = cookie
    this.#signer = secret.length === 0 ? undefined : new Signer([...secret])
    this.#lines = new CookieLines(config)
    this.#isOwn = line => line.startsWith(`${cookie}=`)
  }

  read ({ headers: { cookie } }: CookieRequest): PresentedCookie[] {
    if (cookie === undefined) return []
    return findCookies(cookie, this.name).map(value => this.#verified(value)).filter(presented => presented !== undefined).slice(0, MAX_CANDIDATES)
  }

  send (request: CookieRequest, headers: SentCookies, { id, record }: StoredSession, isPersistent: boolean, isEarly: boolean): void {
    const line = this.#lines.line(request, this.name, this.#signer?.sign(id) ?? id, maxAge(isPersistent, record.expiresAt))
    headers.setCookies([line], this.#isOwn, isEarly)
  }

  clear (request: CookieRequest, headers: SentCookies, isEarly: boolean): void {
    headers.setCookies([this.#lines.line(request, this.name, CLEARED)], this.#isOwn, isEarly)
  }

  #verified (value: string): PresentedCookie | undefined {
    if (value.length > MAX_LENGTH) return undefined
    if (this.#signer === undefined) return isSessionId(value) ? { id: value, key: keyOf(value), isOutdated: false } : undefined
    const { valid, renew, value: id } = this.#signer.unsign(value)
    return valid && isSessionId(id) ? { id, key: keyOf(id), isOutdated: renew } : undefined
  }
}
