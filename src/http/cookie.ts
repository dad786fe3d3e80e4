import { Signer } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionConfig } from '../config/schema.ts'
import type { SessionId } from '../session/id.ts'
import { isSessionId } from '../session/id.ts'
import type { Known, KnownSessions } from '../session/known.ts'
import { findCookie } from './cookie-header.ts'
import { CLEARED, CookieLines } from './set-cookie.ts'

/** Longer values cannot be ours: an id has 43 characters, a signature 44. */
const MAX_LENGTH = 96

/** A cookie that was presented, after its form and signature have been found right. */
export class Presented {
  readonly id: SessionId
  /** Signed with a secret that is not the first any more: to be sent again. */
  readonly isOutdated: boolean
  /** What is remembered of the session. */
  readonly known: Known | undefined

  constructor (id: SessionId, isOutdated: boolean, known: Known | undefined) {
    // The remembered one is quicker to look for: this one is still a part of the header.
    this.id = known?.id ?? id
    this.isOutdated = isOutdated
    this.known = known
  }
}

/** A cookie as a request uses it. */
export interface RequestCookie {
  readonly name: string
  /** Whether the browser has to be sent the session although neither its id nor its expiry is another. */
  readonly isUnsent: boolean
  /** @returns what the browser presented; nothing when there is no cookie, or one that the server cannot have made */
  read (request: FastifyRequest): Presented | undefined
  /** @param expiresAt when the session ends if it is not used again */
  send (reply: FastifyReply, id: SessionId, expiresAt: Date): void
  clear (reply: FastifyReply): void
}

/** The session's cookie: reading it, sending it, clearing it. */
export class SessionCookie implements RequestCookie {
  readonly name: string
  readonly isUnsent = false
  readonly #signer: Signer | undefined
  readonly #lines: CookieLines
  readonly #isPersistent: boolean
  readonly #known: KnownSessions

  constructor (config: SessionConfig, known: KnownSessions) {
    this.#known = known
    const { cookie, expireOnClose, secret } = config
    this.name = cookie
    this.#signer = secret.length === 0 ? undefined : new Signer([...secret])
    this.#lines = new CookieLines(config)
    this.#isPersistent = !expireOnClose
  }

  /** @returns what the browser presented; nothing when there is no cookie, or one that the server cannot have made */
  read (request: FastifyRequest): Presented | undefined {
    const { cookie: header } = request.headers
    const value = header === undefined ? undefined : findCookie(header, this.name)
    if (value === undefined || value.length > MAX_LENGTH) return undefined
    if (this.#signer === undefined) return this.#presented(value, false)
    const { valid, renew, value: id } = this.#signer.unsign(value)
    return valid && id !== null ? this.#presented(id, renew) : undefined
  }

  /** @param expiresAt when the session ends if it is not used again */
  send (reply: FastifyReply, id: SessionId, expiresAt: Date): void {
    const value = this.#signer?.sign(id) ?? id
    const maxAge = Math.round((expiresAt.getTime() - Date.now()) / 1000)
    this.#lines.append(reply, this.name, this.#isPersistent ? `${value}; Max-Age=${maxAge}` : value)
  }

  clear (reply: FastifyReply): void {
    this.#lines.append(reply, this.name, CLEARED)
  }

  #presented (text: string, isOutdated: boolean): Presented | undefined {
    const known = this.#known.get(text)
    return known !== undefined || isSessionId(text) ? new Presented(text as SessionId, isOutdated, known) : undefined
  }
}
