/** Sets a session's headers on a reply: Set-Cookie, Cache-Control and Vary. */
import type { FastifyReply } from 'fastify'
import { keepPrivate, varyWithCookie } from './caching.ts'
import { isResponseClosed } from './closing.ts'

type Header = number | string | readonly string[] | undefined

/** Where the cookies of a session go. */
export type SentCookies = Pick<ResponseHeaders, 'setCookies'>

/**
 * The headers of one response, as far as they concern its session. They are written beside those of others, and on the way
 * that the response takes: Fastify collects headers apart from Node's, and those of a hijacked reply are only Node's.
 */
export class ResponseHeaders {
  /** While a commit is waited for the reply counts as sent, and is not hijacked for that. */
  isWaiting = false
  readonly #reply: FastifyReply
  #hasCookie = false

  constructor (reply: FastifyReply) {
    this.#reply = reply
  }

  /** Whether headers that are set now still leave. */
  get canLeave (): boolean {
    const { raw, request } = this.#reply
    // Of a connection that was upgraded, to a WebSocket for example, the response never leaves.
    return !raw.headersSent && !isResponseClosed(this.#reply) && (request.raw as { upgrade?: boolean }).upgrade !== true
  }

  get isHijacked (): boolean {
    return this.#reply.sent && !this.isWaiting
  }

  /** @param isEarly see {@link setCookies} */
  varyByCookie (isEarly = false): void {
    this.#set('vary', varyWithCookie, isEarly)
  }

  /**
   * Sets cookies, in the place of those that the session has set in this response before.
   *
   * @param lines the values of Set-Cookie headers
   * @param isOwn whether a line sets a cookie of the session
   * @param isEarly whether the application may still hijack the reply: then the headers have to be on both ways
   */
  setCookies (lines: readonly string[], isOwn: (line: string) => boolean, isEarly: boolean): void {
    const { raw } = this.#reply
    const others = [...listOf(raw.getHeader('set-cookie')), ...this.isHijacked ? [] : listOf(this.#reply.getHeader('set-cookie'))]
    const all = [...new Set(others.filter(line => !isOwn(line))), ...lines]
    if (!this.isHijacked) this.#reply.removeHeader('set-cookie').header('set-cookie', all)
    if (this.isHijacked || isEarly) raw.setHeader('set-cookie', all)
    this.#hasCookie = true
    this.#set('cache-control', keepPrivate, isEarly)
  }

  /** To be called before the headers leave: the application may have set Cache-Control after an early cookie. */
  keepCookiePrivate (): void {
    if (this.#hasCookie) this.#set('cache-control', keepPrivate, false)
  }

  #set (name: string, change: (value: string) => string, isEarly: boolean): void {
    const { raw } = this.#reply
    const value = this.isHijacked ? raw.getHeader(name) : this.#reply.getHeader(name)
    const changed = change(listOf(value).join(', '))
    if (!this.isHijacked) this.#reply.header(name, changed)
    if (this.isHijacked || isEarly) raw.setHeader(name, changed)
  }
}

function listOf (header: Header): readonly string[] {
  if (header === undefined) return []
  return typeof header === 'object' ? header : [String(header)]
}
