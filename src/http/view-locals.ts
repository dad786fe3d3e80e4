/**
 * What every template of @fastify/view gets: `session`, `old()`, `errors`, `csrfToken` and `csrfField`. @fastify/view copies
 * `reply.locals` into the data of a template, so they are there, for each request its own. They are made when `reply.locals` is
 * first touched, and use the session when a template uses them.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { CURRENT } from '../symbols.ts'
import { csrfField, maskedToken } from './csrf-token.ts'
import { errorBag, type ErrorBag } from './error-bag.ts'
import type { RequestFacade } from './request-facade.ts'

/** A text that is made when a template prints it; it may also be called. */
export interface LazyText {
  (): string
  toString (): string
  toJSON (): string
}

/** The data that each template has besides what its handler passes. */
export interface ViewLocals {
  /** As `req.session`; undefined before the session has begun. */
  session: RequestFacade | undefined
  /** As `session().old()`; the default on a route without a session. */
  old: (key?: string, fallback?: unknown) => unknown
  /** What `reply.withErrors()` has flashed. */
  errors: ErrorBag
  /** The session's CSRF token, to be sent back in the field that the option `csrf.field` names. */
  csrfToken: LazyText
  /** A hidden field with the token, as HTML that is not to be escaped. */
  csrfField: LazyText
}

const LOCALS = Symbol('ambient-session.locals')

interface WithLocals {
  locals?: object | null
  [LOCALS]?: object | null
}

export function addViewLocals (app: FastifyInstance): void {
  if (app.hasReplyDecorator('locals')) {
    // @fastify/view came first, and makes an object for each request itself.
    app.addHook('onRequest', (request, reply: FastifyReply & WithLocals, done) => {
      reply.locals = new Proxy(reply.locals ?? {}, new LateLocals(() => localsOf(request)))
      done()
    })
    return
  }
  app.decorateReply(LOCALS, null)
  app.decorateReply('locals', {
    getter (this: FastifyReply & WithLocals) {
      this[LOCALS] ??= localsOf(this.request)
      return this[LOCALS]
    },
    setter (this: FastifyReply & WithLocals, locals: unknown) {
      this[LOCALS] = locals == null ? null : Object.assign(localsOf(this.request), locals)
    }
  })
}

/** Adds locals to an object when it is first read: most requests render nothing. */
class LateLocals implements ProxyHandler<object> {
  readonly #make: () => object
  #isDone = false

  constructor (make: () => object) {
    this.#make = make
  }

  get (target: object, name: string | symbol): unknown {
    return Reflect.get(this.#complete(target), name)
  }

  has (target: object, name: string | symbol): boolean {
    return Reflect.has(this.#complete(target), name)
  }

  ownKeys (target: object): Array<string | symbol> {
    return Reflect.ownKeys(this.#complete(target))
  }

  getOwnPropertyDescriptor (target: object, name: string | symbol): PropertyDescriptor | undefined {
    return Reflect.getOwnPropertyDescriptor(this.#complete(target), name)
  }

  /** What the application has set comes first. */
  #complete (target: object): object {
    if (this.#isDone) return target
    this.#isDone = true
    return Object.defineProperties(target, { ...Object.getOwnPropertyDescriptors(this.#make()), ...Object.getOwnPropertyDescriptors(target) })
  }
}

function localsOf (request: FastifyRequest): ViewLocals {
  const hasSession = (): boolean => request[CURRENT]?.hasSession === true
  return {
    get session () {
      return request[CURRENT] == null ? undefined : request.session
    },
    set session (value) {
      Object.defineProperty(this, 'session', { value, writable: true, enumerable: true, configurable: true })
    },
    old: (key, fallback) => {
      if (hasSession()) return key === undefined ? request.session().old() : request.session().old(key, fallback)
      return key === undefined ? {} : fallback
    },
    errors: errorBag(() => hasSession() ? request.session().get('errors') : undefined),
    csrfToken: lazyText(() => maskedToken(request.session())),
    csrfField: lazyText(() => csrfField(request.session()))
  }
}

function lazyText (make: () => string): LazyText {
  return Object.assign(() => make(), { toString: make, toJSON: make })
}
