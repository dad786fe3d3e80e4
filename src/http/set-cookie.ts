/** What every cookie of a session has in common: its attributes. */
import type { SessionConfig } from '../config/options.ts'
import type { CookieRequest } from './cookie.ts'

/** In the place of a value: makes the browser forget the cookie. */
export const CLEARED = '; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT'

/** Makes the lines of Set-Cookie headers, as far as they are the same for every cookie of an application. */
export class CookieLines {
  readonly #secure: SessionConfig['secure']
  /** What a line ends with, on a secure connection and on another. */
  readonly #attributes: Readonly<Record<'secure' | 'plain', string>>

  constructor (config: SessionConfig) {
    this.#secure = config.secure
    this.#attributes = { secure: attributesOf(config, true), plain: attributesOf(config, false) }
  }

  /** @param value consists of octets that a cookie can hold as they are: base64, base64url and a dot */
  line (request: CookieRequest, name: string, value: string, suffix = ''): string {
    const isSecure = this.#secure === 'auto' ? isHttps(request) : this.#secure
    return `${name}=${value}${suffix}${this.#attributes[isSecure ? 'secure' : 'plain']}`
  }

  /** @returns how many characters a line has beside its value, on a secure connection */
  overhead (name: string, suffix: string): number {
    return name.length + 1 + suffix.length + this.#attributes.secure.length
  }
}

/** Behind trusted proxies the protocol is what they say, in any case, and of a WebSocket its own. */
export function isHttps ({ protocol }: Pick<CookieRequest, 'protocol'>): boolean {
  return /^(https|wss)$/i.test(protocol)
}

/** @returns the attribute of a cookie that outlives the browser until its session ends; nothing for one that does not */
export function maxAge (isPersistent: boolean, expiresAt: Date): string {
  return isPersistent ? `; Max-Age=${Math.round((expiresAt.getTime() - Date.now()) / 1000)}` : ''
}

/** The attributes of RFC 6265, section 4.1, but for Max-Age; the options have been checked by then. */
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
