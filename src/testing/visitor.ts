/** A visitor of an application that is tested: a browser as far as cookies, redirects and sessions are concerned. */
import type { FastifyInstance } from 'fastify'
import { SessionUsageError } from '../errors.ts'
import type { SessionValues } from '../session/keys.ts'
import type { Session } from '../session/session.ts'
import { CookieJar } from './cookie-jar.ts'
import { type Exchange, overSockets, type Received, throughInject } from './exchange.ts'
import { assertHas, assertHasErrors, assertMissing, type ExpectedErrors } from './session-assertions.ts'
import type { Presented, VisitorSession } from './visitor-session.ts'

export interface VisitorOptions {
  /** Goes over real sockets instead of `app.inject()`. The application begins to listen, on a free port, unless it does already. */
  readonly socket?: boolean
}

export interface VisitorRequest {
  /** Beside and before those that a browser sends; undefined leaves one of these out. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** Follows redirects within the application. */
  readonly follow?: boolean
}

/** What is sent as it is. Everything else is sent as JSON. */
export type ReadyBody = string | URLSearchParams | FormData | Blob | Uint8Array

export interface VisitorResponse {
  readonly status: number
  readonly headers: Headers
  /** Path and query of what has answered: another than was asked for where redirects were followed. */
  readonly url: string
  /** Where a redirect leads. */
  readonly location: string | undefined
  readonly text: string
  readonly bytes: Buffer
  /** @throws SyntaxError when the text is no JSON */
  readonly json: <T = unknown>() => T
}

/** Browsers give up after so many. */
const MOST_REDIRECTS = 20
const REDIRECTS = [301, 302, 303, 307, 308]

/**
 * Begins a visit.
 *
 * @param host the application; or the URL of a server, whose sessions cannot be read or begun from here
 * @example
 * ```ts
 * const ada = visitor(app).actingAs('ada')
 * const { status } = await ada.post('/cart', { item: 'pen' })
 * await ada.assertSessionHas('cart', ['pen'])
 * ```
 */
export function visitor (host: FastifyInstance | string, { socket = false }: VisitorOptions = {}): Visitor {
  if (typeof host === 'string') return new Visitor(overSockets(host), undefined)
  return new Visitor(socket ? overSockets(host) : throughInject(host), host)
}

export class Visitor {
  readonly #exchange: Exchange
  readonly #app: FastifyInstance | undefined
  readonly #jar = new CookieJar()
  /** What is to be put into the session before the next request. */
  #changes: Array<(session: Session) => void> = []
  #begun: Promise<void> = Promise.resolve()
  /** The URL of the last page. */
  #page: string | undefined

  /** @internal */
  constructor (exchange: Exchange, app: FastifyInstance | undefined) {
    this.#exchange = exchange
    this.#app = app
  }

  // The session -----------------------------------------------------------------------------------------------------

  /** Signs in: the session is the user's, as after `session().setUser(userId)`. It takes effect with what the visitor does next. */
  actingAs (userId: string | number): this {
    return this.withSession(session => { session.setUser(userId) })
  }

  /**
   * Puts data into the session, which begins if there is none. It takes effect with what the visitor does next.
   *
   * @param data or a function that changes the session: `session => session.flash('notice', 'Saved')`
   */
  withSession (data: SessionValues | ((session: Session) => void)): this {
    this.#changes.push(typeof data === 'function' ? data : session => { session.put(data) })
    return this
  }

  /** @returns what is stored. Flash data does not age by that. */
  async session (): Promise<VisitorSession> {
    await this.#begin()
    const { readSession } = await stored()
    return await readSession(await this.#presented('session()'))
  }

  /**
   * @param expected the value, where one is expected; without it any but null will do
   * @throws AssertionError (rejects with)
   */
  async assertSessionHas (key: string, ...expected: [value?: unknown]): Promise<void> {
    assertHas(await this.session(), key, ...expected)
  }

  /** @throws AssertionError (rejects with) when there is a value, even null */
  async assertSessionMissing (key: string): Promise<void> {
    assertMissing(await this.session(), key)
  }

  /**
   * For what `reply.withErrors()` has flashed, before a page has shown it.
   *
   * @param expected a field, several, or one message for each
   * @param bag of one of several forms on a page
   * @throws AssertionError (rejects with)
   */
  async assertSessionHasErrors (expected: ExpectedErrors, bag?: string): Promise<void> {
    assertHasErrors(await this.session(), expected, bag)
  }

  // Requests --------------------------------------------------------------------------------------------------------

  get (path: string, options?: VisitorRequest): Promise<VisitorResponse> {
    return this.request('GET', path, undefined, options)
  }

  post (path: string, body?: unknown, options?: VisitorRequest): Promise<VisitorResponse> {
    return this.request('POST', path, body, options)
  }

  put (path: string, body?: unknown, options?: VisitorRequest): Promise<VisitorResponse> {
    return this.request('PUT', path, body, options)
  }

  patch (path: string, body?: unknown, options?: VisitorRequest): Promise<VisitorResponse> {
    return this.request('PATCH', path, body, options)
  }

  delete (path: string, body?: unknown, options?: VisitorRequest): Promise<VisitorResponse> {
    return this.request('DELETE', path, body, options)
  }

  /**
   * @param body {@link ReadyBody} as it is: URLSearchParams as a form, FormData as a form with files; everything else as JSON
   */
  async request (method: string, path: string, body?: unknown, { headers = {}, follow = false }: VisitorRequest = {}): Promise<VisitorResponse> {
    await this.#begin()
    const encoded = await encode(body)
    const origin = await this.#exchange.origin()
    const response = await this.#send(method, localPath(origin, path), encoded, headers)
    return follow ? await this.#follow(response, origin, { method, encoded, headers }) : response
  }

  // The browser -----------------------------------------------------------------------------------------------------

  /** What the next request says in its Cookie header: for a WebSocket, and for `runWithSession({ app, cookie })`. */
  async cookieHeader (path = '/'): Promise<string> {
    await this.#begin()
    return this.#jar.header(path)
  }

  /** Forgets the cookies that end with the browser. */
  closeBrowser (): void {
    this.#jar.closeBrowser()
    this.#page = undefined
  }

  /** Follows redirects as a browser does. */
  async #follow (first: VisitorResponse, origin: string, asked: Asked): Promise<VisitorResponse> {
    let response = first
    let { method, encoded } = asked
    for (let redirects = 0; response.location !== undefined; redirects++) {
      const target = urlOf(response.location, origin + response.url)
      if (target?.origin !== origin) return response
      if (redirects === MOST_REDIRECTS) throw new Error(`${asked.method} ${first.url} was redirected ${MOST_REDIRECTS} times, and now to ${response.location}`)
      if (becomesGet(response.status, method)) [method, encoded] = ['GET', NO_BODY]
      response = await this.#send(method, target.pathname + target.search, encoded, asked.headers)
    }
    return response
  }

  async #send (method: string, url: string, { bytes, type, accept }: Encoded, extra: ExtraHeaders): Promise<VisitorResponse> {
    // What a browser of the application's own pages says of its requests.
    const headers = new Headers({ accept, 'sec-fetch-site': 'same-origin' })
    const cookie = this.#jar.header(url)
    if (cookie !== '') headers.set('cookie', cookie)
    if (type !== undefined) headers.set('content-type', type)
    if (this.#page !== undefined) headers.set('referer', this.#page)
    for (const [name, value] of Object.entries(extra)) {
      if (value === undefined) headers.delete(name)
      else headers.set(name, value)
    }
    const received = await this.#exchange.send({ method, url, headers, body: bytes })
    for (const line of received.headers.getSetCookie()) this.#jar.keep(line, url)
    if (isPage(method, received)) this.#page = await this.#exchange.origin() + url
    return responseOf(received, url)
  }

  /** Makes the changes of the session that are outstanding, once for all requests that wait for them. */
  #begin (): Promise<void> {
    if (this.#changes.length > 0) {
      const changes = this.#changes
      this.#changes = []
      const begun = this.#begun.then(() => this.#change(changes))
      this.#begun = begun.catch(() => {})
      return begun
    }
    return this.#begun
  }

  async #change (changes: ReadonlyArray<(session: Session) => void>): Promise<void> {
    const presented = await this.#presented('actingAs() and withSession()')
    const { changeSession } = await stored()
    const lines = await changeSession(presented, session => { for (const change of changes) change(session) })
    for (const line of lines) this.#jar.keep(line, '/')
  }

  async #presented (method: string): Promise<Presented> {
    if (this.#app === undefined) {
      throw new SessionUsageError(`${method} of a visitor needs the application, to reach what is stored: write visitor(app) or visitor(app, { socket: true }), not visitor(url)`)
    }
    const isSecure = (await this.#exchange.origin()).startsWith('https:')
    return { app: this.#app, cookie: this.#jar.header(), protocol: isSecure ? 'https' : 'http' }
  }
}

/** Loaded when it is needed: tests of stores, which this entry is for as well, do without. */
const stored = async () => await import('./visitor-session.ts')

type ExtraHeaders = NonNullable<VisitorRequest['headers']>

/** Whether a redirect is followed by GET (Fetch, "HTTP-redirect fetch"); others are followed by the same request once more. */
function becomesGet (status: number, method: string): boolean {
  return status === 303 ? method !== 'HEAD' : (status === 301 || status === 302) && method === 'POST'
}

interface Asked {
  readonly method: string
  readonly encoded: Encoded
  readonly headers: ExtraHeaders
}

interface Encoded {
  readonly bytes: Buffer | undefined
  readonly type: string | undefined
  /** Forms are sent for a page, and JSON is sent for JSON. */
  readonly accept: string
}

const PAGES = 'text/html,application/xhtml+xml,*/*;q=0.8'
const NO_BODY: Encoded = { bytes: undefined, type: undefined, accept: PAGES }

async function encode (body: unknown): Promise<Encoded> {
  if (body === undefined) return NO_BODY
  if (!isReady(body)) return { bytes: Buffer.from(JSON.stringify(body)), type: 'application/json', accept: 'application/json' }
  if (body instanceof Uint8Array) return { bytes: Buffer.from(body), type: 'application/octet-stream', accept: PAGES }
  // Writes the parts of forms, and knows the type of what it has written.
  const written = new Response(body)
  return { bytes: Buffer.from(await written.arrayBuffer()), type: written.headers.get('content-type') ?? undefined, accept: PAGES }
}

function isReady (body: unknown): body is ReadyBody {
  return typeof body === 'string' || body instanceof URLSearchParams || body instanceof FormData || body instanceof Blob || body instanceof Uint8Array
}

function responseOf ({ status, headers, bytes }: Received, url: string): VisitorResponse {
  const text = bytes.toString()
  const location = REDIRECTS.includes(status) ? headers.get('location') ?? undefined : undefined
  return { status, headers, url, location, bytes, text, json: () => JSON.parse(text) as never }
}

function isPage (method: string, { status, headers }: Received): boolean {
  return method === 'GET' && status >= 200 && status < 300 && headers.get('content-type')?.startsWith('text/html') === true
}

function urlOf (target: string, base: string): URL | undefined {
  return URL.canParse(target, base) ? new URL(target, base) : undefined
}

/** @throws SessionUsageError for a URL of another server */
function localPath (origin: string, path: string): string {
  const target = urlOf(path, origin)
  if (target?.origin === origin) return target.pathname + target.search
  throw new SessionUsageError(`a visitor of ${origin} asks for paths of it, such as '/cart', and not for ${path}`)
}
