/**
 * What `req.session` is: the helper of one request. It is called like the global `session()`, and any property is a key of the
 * session. The names in {@link Vocabulary} mean what they mean in @fastify/session, @fastify/secure-session and express-session.
 */
import { type SessionHelper, useSession } from '../context.ts'
import { SessionUsageError, SessionValueError } from '../errors.ts'
import type { SessionId } from '../session/id.ts'
import type { SessionData, SessionKey, SessionValues } from '../session/keys.ts'
import { Session } from '../session/session.ts'
import type { RequestSession } from './request-session.ts'

type Callback = (error?: Error) => void

/** The session's cookie, as those packages show it. Its attributes are set by the options of the plugin. */
export interface FacadeCookie {
  /** Milliseconds until the session ends, if it is not used. To set it gives this session a lifetime of its own. */
  maxAge: number | null | undefined
  readonly originalMaxAge: number | null
  /** When the session ends. To set it gives this session a lifetime of its own; null or false makes the cookie end with the browser. */
  expires: Date | null | false | undefined
}

/** The names that do not name a key of the session. */
export interface Vocabulary {
  readonly id: SessionId
  readonly sessionId: SessionId
  readonly cookie: FacadeCookie
  get: Session['get']
  set: Session['put']
  /** Forgets one key; without a key it ends the session. */
  delete (key?: SessionKey): void
  data (): SessionValues
  /** Moves the session's end, and sends its cookie again. */
  touch (): void
  save (callback?: Callback): Promise<void>
  reload (callback?: Callback): Promise<void>
  /** Ends the session. */
  destroy (callback?: Callback): Promise<void>
  /** Begins a session with a new id, in which nothing is but the keys named. */
  regenerate (keys: readonly SessionKey[], callback?: Callback): Promise<void>
  regenerate (callback?: Callback): Promise<void>
  /** @param options.maxAge in seconds; gives this session a lifetime of its own */
  options (options: { readonly maxAge?: number }): void
}

/** The methods of a Session, as far as no key of that name was put. */
type Methods = Omit<{ [Name in keyof Session as Session[Name] extends (...args: never[]) => unknown ? Name : never]: Session[Name] }, keyof Vocabulary>

/** What TypeScript takes for a function's own, and forbids to assign. Here they are keys as others are. */
interface FunctionNames {
  name?: unknown
  length?: unknown
}

/** What is declared; a key of a method's name has the method as long as nothing was put there. */
type Declared = { [Key in keyof SessionData]?: SessionData[Key] | (Key extends keyof Methods ? Methods[Key] : never) }

export type RequestFacade = SessionHelper & FunctionNames & Vocabulary & Omit<Methods, keyof SessionData> & Declared & Record<string, unknown>

const SECOND = 1000
const MINUTE = 60_000

const VOCABULARY: Record<keyof Vocabulary, (current: RequestSession) => unknown> = {
  id: ({ session }) => session.id,
  sessionId: ({ session }) => session.id,
  cookie: ({ session }) => new Cookie(session),
  get: ({ session }) => session.get.bind(session),
  set: ({ session }) => session.put.bind(session),
  delete: ({ session }) => (key?: SessionKey) => { key === undefined ? session.invalidate() : session.forget(key) },
  data: ({ session }) => () => session.all(),
  touch: current => () => { current.touch() },
  save: ({ session }) => (callback?: Callback) => withCallback(session.save(), callback),
  reload: ({ session }) => (callback?: Callback) => withCallback(session.reload(), callback),
  destroy: ({ session }) => (callback?: Callback) => {
    session.invalidate()
    return withCallback(session.save(), callback)
  },
  regenerate: ({ session }) => (keys?: readonly SessionKey[] | Callback, callback?: Callback) => {
    session.invalidateAllBut(typeof keys === 'function' ? [] : [keys ?? []].flat())
    return withCallback(Promise.resolve(), typeof keys === 'function' ? keys : callback)
  },
  options: ({ session }) => ({ maxAge, ...others }: { readonly maxAge?: number }) => {
    const [name] = Object.keys(others)
    if (name !== undefined) throw new SessionUsageError(`req.session.options({ ${name} }) cannot be set for one session: set the option ${name} of ambient-session`)
    if (maxAge !== undefined) setLifetime(session, maxAge * SECOND)
  }
}

/** @returns what `req.session` is for the whole of a request */
export function createFacade (current: RequestSession): RequestFacade {
  return new Proxy(target, new Handler(current)) as unknown as RequestFacade
}

/** The target of all facades: it makes them callable, and logs show its name. No session's data is ever on it. */
const target = Object.defineProperty(useSession.bind(undefined), 'name', { value: 'session' })

class Handler implements ProxyHandler<typeof target> {
  readonly #current: RequestSession

  constructor (current: RequestSession) {
    this.#current = current
  }

  apply (_target: unknown, _this: unknown, args: unknown[]): unknown {
    return useSession(this.#current.session, args)
  }

  get (_target: unknown, name: string | symbol): unknown {
    if (typeof name === 'symbol') return undefined
    if (isVocabulary(name)) return VOCABULARY[name](this.#current)
    const { session } = this.#current
    const value = session.get(name)
    if (value !== undefined) return value
    if (name === 'toJSON') return () => session.all()
    const member: unknown = Object.hasOwn(Session.prototype, name) ? Reflect.get(session, name) : undefined
    return typeof member === 'function' && name !== 'constructor' ? (member as () => unknown).bind(session) : undefined
  }

  set (_target: unknown, name: string | symbol, value: unknown): boolean {
    this.#current.session.put(checked(name), value)
    return true
  }

  has (_target: unknown, name: string | symbol): boolean {
    return typeof name === 'string' && (isVocabulary(name) || this.#current.session.exists(name))
  }

  deleteProperty (_target: unknown, name: string | symbol): boolean {
    this.#current.session.forget(checked(name))
    return true
  }

  ownKeys (): string[] {
    // A stored key of such a name is read by session.get(): here it would give the id, which is a secret.
    return Object.keys(this.#current.session.all()).filter(name => !isVocabulary(name))
  }

  getOwnPropertyDescriptor (_target: unknown, name: string | symbol): PropertyDescriptor | undefined {
    const value = typeof name === 'symbol' ? undefined : this.#current.session.get(name)
    return value === undefined ? undefined : { value, writable: true, enumerable: true, configurable: true }
  }

  defineProperty (_target: unknown, name: string | symbol, descriptor: PropertyDescriptor): boolean {
    if ('get' in descriptor || 'set' in descriptor) throw new SessionValueError(String(name), 'is a getter or setter, which cannot be stored')
    this.#current.session.put(checked(name), descriptor.value)
    return true
  }

  preventExtensions (): boolean {
    return false
  }

  setPrototypeOf (): boolean {
    return false
  }
}

class Cookie implements FacadeCookie {
  readonly #session: Session

  constructor (session: Session) {
    this.#session = session
  }

  get maxAge (): number | null | undefined {
    const { expiresAt } = this.#session
    return expiresAt === undefined ? null : expiresAt.getTime() - Date.now()
  }

  set maxAge (milliseconds: number | null | undefined) {
    setLifetime(this.#session, milliseconds)
  }

  get originalMaxAge (): number | null {
    return this.maxAge ?? null
  }

  get expires (): Date | null {
    return this.#session.expiresAt ?? null
  }

  set expires (date: Date | null | false | undefined) {
    setLifetime(this.#session, date instanceof Date ? date.getTime() - Date.now() : undefined)
  }

  static {
    for (const name of ['secure', 'httpOnly', 'path', 'domain', 'sameSite', 'partitioned']) {
      Object.defineProperty(Cookie.prototype, name, {
        get: () => undefined,
        set: () => { throw new SessionUsageError(`req.session.cookie.${name} cannot be set for one session: set the option ${name} of ambient-session`) }
      })
    }
  }
}

/** @param milliseconds without them the lifetime is that of the options, and the cookie ends with the browser */
function setLifetime (session: Session, milliseconds: number | null | undefined): void {
  if (milliseconds == null) return session.setLifetime(null, { persistent: false })
  if (milliseconds <= 0) throw new SessionUsageError('a session is not ended by its cookie: to end it call req.session.destroy()')
  session.setLifetime(milliseconds / MINUTE, { persistent: true })
}

function isVocabulary (name: string): name is keyof Vocabulary {
  return Object.hasOwn(VOCABULARY, name)
}

function checked (name: string | symbol): string {
  if (typeof name === 'symbol') throw new SessionValueError(String(name), 'needs a key that is a text')
  if (isVocabulary(name)) throw new SessionValueError(name, `is a member of req.session and no key; store it under another key, or with session().put('${name}', …)`)
  return name
}

/** @returns the promise, whose failure is told to the callback where there is one */
function withCallback (promise: Promise<void>, callback: Callback | undefined): Promise<void> {
  if (callback !== undefined) return promise.then(() => { callback() }, (error: Error) => { callback(error) })
  // A caller that does not wait is told by the commit before the response, which tries once more.
  promise.catch(() => {})
  return promise
}
