import { Signer } from '@fastify/cookie'
import type { CookieSerializeOptions } from '@fastify/cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionConfig } from '../config/schema.ts'
import type { SessionId } from '../session/id.ts'
import { isSessionId } from '../session/id.ts'

/** Longer values cannot be ours: an id has 43 characters, a signature 44. */
const MAX_LENGTH = 96

/** A cookie that was presented, after its form and signature have been found right. */
export interface Presented {
  readonly id: SessionId
  /** Signed with a secret that is not the first any more: to be sent again. */
  readonly isOutdated: boolean
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
  readonly #secure: boolean | 'auto'
  readonly #sameSite: SessionConfig['sameSite']
  readonly #partitioned: boolean
  readonly #attributes: CookieSerializeOptions
  readonly #isPersistent: boolean

  constructor ({ cookie, path, domain, secure, httpOnly, sameSite, partitioned, expireOnClose, secret }: SessionConfig) {
    this.name = cookie
    this.#signer = secret.length === 0 ? undefined : new Signer([...secret])
    this.#secure = secure
    this.#sameSite = sameSite
    this.#partitioned = partitioned
    this.#attributes = { path, httpOnly, ...domain !== undefined && { domain } }
    this.#isPersistent = !expireOnClose
  }

  /** @returns what the browser presented; nothing when there is no cookie, or one that the server cannot have made */
  read (request: FastifyRequest): Presented | undefined {
    const { cookie: header } = request.headers
    if (header === undefined || !header.includes(this.name)) return undefined
    // Not yet parsed where the application registered @fastify/cookie for a later hook.
    const cookies = (request.cookies as typeof request.cookies | null) ?? request.server.parseCookie(header)
    const value = cookies[this.name]
    if (value === undefined || value.length > MAX_LENGTH) return undefined
    if (this.#signer === undefined) return isSessionId(value) ? { id: value, isOutdated: false } : undefined
    const { valid, renew, value: id } = this.#signer.unsign(value)
    return valid && id !== null && isSessionId(id) ? { id, isOutdated: renew } : undefined
  }

  /** @param expiresAt when the session ends if it is not used again */
  send (reply: FastifyReply, id: SessionId, expiresAt: Date): void {
    const maxAge = Math.round((expiresAt.getTime() - Date.now()) / 1000)
    const value = this.#signer?.sign(id) ?? id
    this.#set(reply, value, this.#isPersistent ? { maxAge } : {})
  }

  clear (reply: FastifyReply): void {
    this.#set(reply, '', { maxAge: 0, expires: new Date(0) })
  }

  #set (reply: FastifyReply, value: string, lifetime: CookieSerializeOptions): void {
    const secure = this.#secure === 'auto' ? reply.request.protocol === 'https' : this.#secure
    // Browsers refuse SameSite=None and Partitioned without Secure; over plain HTTP their own default is the next best.
    const sameSite = this.#sameSite === 'none' && !secure ? 'lax' : this.#sameSite
    const options = { ...this.#attributes, ...lifetime, secure, sameSite, ...this.#partitioned && secure && { partitioned: true } }
    const line = reply.server.serializeCookie(this.name, value, options)
    // On a hijacked reply the headers that Fastify collects are never written; the raw response's still can be.
    if (reply.sent) reply.raw.appendHeader('set-cookie', line)
    // Not setCookie(): that one waits for a hook which does nothing when the application's own hook has not run.
    else reply.header('set-cookie', line)
  }
}
