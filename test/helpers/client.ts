/** Clients over real sockets: one that keeps cookies as a browser does, and one that writes bytes as it is told. */
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** A Set-Cookie header, taken apart. Attributes are named in lower case; one without a value is `true`. */
export interface SentCookie {
  readonly name: string
  readonly value: string
  readonly attributes: Readonly<Record<string, string | true>>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The text parsed as JSON; throws when it is none. */
  readonly json: unknown
  readonly setCookies: readonly SentCookie[]
}

type Extra = Record<string, string>

/** Who is visited: an application that listens, or the origin of a server that is another process. */
export type Host = FastifyInstance | string

/** A browser, as far as cookies are concerned: it keeps what it is sent and sends what it keeps. */
export class Visitor {
  readonly cookies = new Map<string, string>()
  readonly #host: Host

  constructor (host: Host) {
    this.#host = host
  }

  get (path: string, headers: Extra = {}): Promise<Answer> {
    return this.send(path, { headers })
  }

  /** @param body sent as JSON unless it is a text, a form or there is none */
  post (path: string, body?: unknown, headers: Extra = {}): Promise<Answer> {
    if (body === undefined) return this.send(path, { method: 'POST', headers })
    const isReady = typeof body === 'string' || body instanceof FormData || body instanceof URLSearchParams
    if (isReady) return this.send(path, { method: 'POST', headers, body })
    return this.send(path, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) })
  }

  async send (path: string, init: RequestInit): Promise<Answer> {
    const headers = new Headers(init.headers)
    if (this.cookies.size > 0 && !headers.has('cookie')) headers.set('cookie', this.cookieHeader)
    const response = await fetch(new URL(path, originOf(this.#host)), { redirect: 'manual', ...init, headers })
    const text = await response.text()
    const setCookies = response.headers.getSetCookie().map(parseSetCookie)
    for (const cookie of setCookies) this.#keep(cookie)
    return { status: response.status, headers: response.headers, text, get json () { return JSON.parse(text) as unknown }, setCookies }
  }

  /** What the visitor's next request says in its Cookie header. */
  get cookieHeader (): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  /** @returns another browser with the same cookies, by default of the same server */
  copy (host = this.#host): Visitor {
    const other = new Visitor(host)
    for (const [name, value] of this.cookies) other.cookies.set(name, value)
    return other
  }

  #keep ({ name, value, attributes }: SentCookie): void {
    if (attributes['max-age'] === '0') this.cookies.delete(name)
    else this.cookies.set(name, value)
  }
}

export function visitor (host: Host): Visitor {
  return new Visitor(host)
}

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** One connection, on which bytes are written as the test wants them and whole responses come back in order. */
export class Connection {
  readonly socket: Socket
  #received = ''

  private constructor (socket: Socket) {
    this.socket = socket.setEncoding('latin1')
  }

  static async open (host: Host): Promise<Connection> {
    const socket = connect(Number(new URL(originOf(host)).port), '127.0.0.1')
    await once(socket, 'connect')
    return new Connection(socket)
  }

  /** Writes the head of a request, with the lines given and a Host. */
  request (line: string, headers: Extra = {}, body = ''): void {
    const lines = Object.entries({ host: 'localhost', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`)
    this.socket.write(`${line} HTTP/1.1\r\n${lines.join('')}\r\n${body}`)
  }

  /** @returns the next response; it has to have a Content-Length */
  async answer (): Promise<RawAnswer> {
    for (;;) {
      const answer = this.#next()
      if (answer !== undefined) return answer
      const over = new AbortController()
      const { signal } = over
      const [piece] = await Promise.race([once(this.socket, 'data', { signal }), this.#closing(signal)]) as [string]
      over.abort()
      this.#received += piece
    }
  }

  /** Goes away without a word, as a browser does when its tab is closed. */
  hangUp (): void {
    this.socket.destroy()
  }

  #next (): RawAnswer | undefined {
    const [head, ...rest] = this.#received.split('\r\n\r\n')
    if (head === undefined || rest.length === 0) return undefined
    const start = head.length + 4
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
    if (this.#received.length < start + length) return undefined
    const body = this.#received.slice(start, start + length)
    this.#received = this.#received.slice(start + length)
    return { status: Number(head.split(' ', 2)[1]), head, body }
  }

  async #closing (signal: AbortSignal): Promise<never> {
    await once(this.socket, 'close', { signal })
    throw new Error(`the connection was closed; received so far: ${JSON.stringify(this.#received)}`)
  }
}

export function portOf (app: FastifyInstance): number {
  return (app.server.address() as AddressInfo).port
}

export function originOf (host: Host): string {
  return typeof host === 'string' ? host : `http://127.0.0.1:${portOf(host)}`
}

export function parseSetCookie (line: string): SentCookie {
  const [[name = '', value = ''] = [], ...attributes] = line.split('; ').map(pair => splitOnce(pair))
  return { name, value, attributes: Object.fromEntries(attributes.map(([key = '', text]) => [key.toLowerCase(), text ?? true])) }
}

function splitOnce (pair: string): string[] {
  const at = pair.indexOf('=')
  return at === -1 ? [pair] : [pair.slice(0, at), pair.slice(at + 1)]
}
