import { Signer } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionConfig } from '../config/schema.ts'
import type { SessionId } from '../session/id.ts'
import { isSessionId } from '../session/id.ts'
import { keepCookieOutOfCaches } from './caching.ts'
import { findCookie } from './cookie-header.ts'

/** Longer values cannot be ours: an id has 43 characters, a signature 44. */
const MAX_LENGTH = 96

/** A cookie that was presented, after its form and signature have been found right. */
export interface Presented {
  readonly id: SessionId
  /** Signed with a secret that is not the first any more: to be sent again. */
  readonly isOutdated: boolean
}

/** The session's cookie: reading it, sending it, clearing it. */
export class SessionCookie {
  readonly name: string
  readonly #signer: Signer | undefined
  readonly #secure: boolean | 'auto'
  /** What a cookie's line ends with, on a secure connection and on another. */
  readonly #attributes: Readonly<Record<'secure' | 'plain', string>>
  readonly #isPersistent: boolean

  constructor (config: SessionConfig) {
    const { cookie, secure, expireOnClose, secret } = config
    this.name = cookie
    this.#signer = secret.length === 0 ? undefined : new Signer([...secret])
    this.#secure = secure
    this.#attributes = { secure: attributesOf(config, true), plain: attributesOf(config, false) }
    this.#isPersistent = !expireOnClose
  }

  /** @returns what the browser presented; nothing when there is no cookie, or one that the server cannot have made */
  read (request: FastifyRequest): Presented | undefined {
    const { cookie: header } = request.headers
    const value = header === undefined ? undefined : findCookie(header, this.name)
    if (value === undefined || value.length > MAX_LENGTH) return undefined
    if (this.#signer === undefined) return isSessionId(value) ? { id: value, isOutdated: false } : undefined
    const { valid, renew, value: id } = this.#signer.unsign(value)
    return valid && id !== null && isSessionId(id) ? { id, isOutdated: renew } : undefined
  }

  /** @param expiresAt when the session ends if it is not used again */
  send (reply: FastifyReply, id: SessionId, expiresAt: Date): void {
    const value = this.#signer?.sign(id) ?? id
    const maxAge = Math.round((expiresAt.getTime() - Date.now()) / 1000)
    this.#set(reply, this.#isPersistent ? `${value}; Max-Age=${maxAge}` : value)
  }

  clear (reply: FastifyReply): void {
    this.#set(reply, '; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT')
  }

  /** @param value consists of octets that a cookie can hold as they are: base64, base64url and a dot */
  #set (reply: FastifyReply, value: string): void {
    const isSecure = this.#secure === 'auto' ? reply.request.protocol === 'https' : this.#secure
    const line = `${this.name}=${value}${isSecure ? this.#attributes.secure : this.#attributes.plain}`
    // On a hijacked reply the headers that Fastify collects are never written; the raw response's still can be.
    if (reply.sent) {
      reply.raw.appendHeader('set-cookie', line)
    } else {
      reply.header('set-cookie', line)
      keepCookieOutOfCaches(reply)
    }
  }
}

/** The attributes of RFC 6265, section 4.1, that are the same for every cookie; the options have been checked by then. */
function attributesOf ({ path, domain, httpOnly, sameSite, partitioned }: SessionConfig, isSecure: boolean): string {
  // Browsers refuse SameSite=None and Partitioned without Secure; over plain HTTP their own default is the next best.
  const sites = sameSite === 'none' && !isSecure ? 'lax' : sameSite
  return [
    domain === undefined ? '' : `; Domain=${domain}`,
    `; Path=${path}`,
    httpOnly ? '; HttpOnly' : '',
    isSecure ? '; Secure' : '',
    isSecure && partitioned ? '; Partitioned' : '',
    `; SameSite=${sites.charAt(0).toUpperCase()}${sites.slice(1)}`
  ].join('')
}
