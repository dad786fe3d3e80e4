/** The cookies of one browser: it keeps what it is sent, and sends what it keeps. */
import { isWithinPath } from '../http/cookie-path.ts'

interface Cookie {
  readonly name: string
  readonly value: string
  readonly path: string
  /** In milliseconds; undefined for a cookie that ends with the browser. */
  readonly expiresAt: number | undefined
}

export class CookieJar {
  #cookies: readonly Cookie[] = []

  /** Takes in a Set-Cookie header of a response. */
  keep (line: string, url: string): void {
    const cookie = parse(line, url)
    this.#cookies = [...this.#cookies.filter(({ name, path }) => name !== cookie.name || path !== cookie.path), cookie]
  }

  /** What a Cookie header says, for a path with its query; for all paths when it is left out. */
  header (url?: string): string {
    const now = Date.now()
    return this.#cookies
      .filter(({ expiresAt = Infinity, path }) => expiresAt > now && (url === undefined || isWithinPath(url, path)))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }

  closeBrowser (): void {
    this.#cookies = this.#cookies.filter(({ expiresAt }) => expiresAt !== undefined)
  }
}

/** As RFC 6265 has it in section 5.2; the domain and `Secure` make no difference where there is one server only. */
function parse (line: string, url: string): Cookie {
  const [pair = '', ...rest] = line.split(';')
  const attributes = new Map(rest.map(text => splitOnce(text)).map(([name, value]) => [name.toLowerCase(), value]))
  const [name, value] = splitOnce(pair)
  const path = attributes.get('path')
  return { name, value, path: path?.startsWith('/') === true ? path : directoryOf(url), expiresAt: expiryOf(attributes) }
}

function expiryOf (attributes: ReadonlyMap<string, string>): number | undefined {
  const seconds = Number.parseInt(attributes.get('max-age') ?? '', 10)
  if (!Number.isNaN(seconds)) return Date.now() + seconds * 1000
  const date = Date.parse(attributes.get('expires') ?? '')
  return Number.isNaN(date) ? undefined : date
}

function splitOnce (text: string): [name: string, value: string] {
  const at = text.indexOf('=')
  return at === -1 ? [text.trim(), ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()]
}

function directoryOf (url: string): string {
  const [path = '/'] = url.split('?', 1)
  return path.slice(0, Math.max(1, path.lastIndexOf('/')))
}
