/**
 * The global helpers `session()` and `request()`. A request travels with its asynchronous flow, in an AsyncLocalStorage:
 * whatever is called below its hooks and handler, however deep, finds it until its response has closed.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyRequest } from 'fastify'
import { SessionContextError } from './errors.ts'
import type { DeclaredDefault, SessionKey, SessionValues, ValueAt, ValueOr } from './session/keys.ts'
import type { Default, Session } from './session/session.ts'

/** What travels: enough to make the session when it is asked for. */
export interface Scope {
  /** @throws SessionContextError on a route that has no session */
  readonly session: Session
  readonly hasSession: boolean
  /** The request, where there is one. */
  readonly request: FastifyRequest | undefined
  /** Whether the request is over: what still runs in its flow may belong to another visitor by now. */
  readonly isClosed: boolean
}

/** The forms in which a session can be asked for; `req.session` has the same. */
export interface SessionHelper {
  /** @returns the current session */
  (): Session
  /** Reads a value of the current session. */
  <K extends SessionKey> (key: K): ValueAt<K> | undefined
  <K extends SessionKey> (key: K, fallback: DeclaredDefault<K>): Exclude<ValueAt<K>, undefined>
  <K extends SessionKey, D> (key: K, fallback: Default<D>): ValueOr<K, D>
  /** Puts several values into the current session. */
  (values: SessionValues): void
}

const CONTEXT = Symbol.for('ambient-session.context')

/** One per process, however often and in however many versions the package is loaded. */
const context = ((globalThis as Record<symbol, unknown>)[CONTEXT] ??= new AsyncLocalStorage<Scope>()) as AsyncLocalStorage<Scope | undefined>

/**
 * The session of the request in whose flow this is called.
 *
 * - `session()` returns it,
 * - `session(key, default?)` reads from it,
 * - `session({ … })` puts into it.
 *
 * Experimental: what keeps a context and what does not is Node's to decide; see docs/global-helper.md.
 *
 * @throws SessionContextError outside a request, and in flow that has outlived its request
 * @example
 * ```ts
 * function greet () { return `hello ${session('user.name', 'stranger')}` }
 * ```
 */
export const session: SessionHelper = new Proxy((...args: unknown[]): unknown => useSession(currentScope('session()').session, args), {
  set (_target, name) {
    throw new TypeError(`session.${String(name)} = … would be shared by all visitors. Write session().put('${String(name)}', …), or req.session.${String(name)} = …`)
  },
  defineProperty (_target, name) {
    throw new TypeError(`session.${String(name)} would be shared by all visitors. Write session().put('${String(name)}', …)`)
  }
}) as SessionHelper

/**
 * The request in whose flow this is called. It finds one wherever {@link session} does, also on a route without a session, but
 * not in a job that {@link runWithSession} runs.
 *
 * Experimental, as {@link session} is.
 *
 * @throws SessionContextError outside a request, and in flow that has outlived its request
 * @example
 * ```ts
 * function locale () { return request().headers['accept-language'] ?? 'en' }
 * ```
 */
export function request (): FastifyRequest {
  const { request } = currentScope('request()')
  if (request !== undefined) return request
  throw new SessionContextError('request() was called in a job that runWithSession() runs, where there is a session and no request. Pass what you ' +
    'need from the request to the job')
}

/** @returns whether {@link session} would find a session here */
export function hasSession (): boolean {
  return openScope()?.hasSession ?? false
}

/** @returns the session that {@link session} would find here, if it would find one */
export function currentSessionIfAny (): Session | undefined {
  const scope = openScope()
  return scope?.hasSession === true ? scope.session : undefined
}

/** @returns the request that {@link request} would find here, if it would find one */
export function currentRequestIfAny (): FastifyRequest | undefined {
  return openScope()?.request
}

/** Whether {@link session} would find this scope's session here. */
export function isInScope (scope: Scope): boolean {
  return context.getStore() === scope
}

/** Runs a function in whose flow {@link session} finds this scope's session. */
export function runInScope<T> (scope: Scope, fn: () => T): T {
  return context.run(scope, fn)
}

/** Runs a function in whose flow there is no scope. */
export function runOutsideScopes<T> (fn: () => T): T {
  return context.run(undefined, fn)
}

/** What `session(…)` and `req.session(…)` do with their arguments. */
export function useSession (current: Session, args: unknown[]): unknown {
  const [keyOrValues, fallback] = args
  if (args.length === 0) return current
  if (typeof keyOrValues === 'string') return current.get(keyOrValues, fallback)
  return current.put(keyOrValues as SessionValues)
}

function openScope (): Scope | undefined {
  const scope = context.getStore()
  return scope?.isClosed === true ? undefined : scope
}

function currentScope (helper: string): Scope {
  const scope = context.getStore()
  if (scope === undefined) throw outsideRequest(helper)
  if (scope.isClosed) throw requestIsOver(helper)
  return scope
}

function outsideRequest (helper: string): SessionContextError {
  return new SessionContextError(`${helper} was called outside a request. Call it below a Fastify handler, or a hook that was added after ` +
    'ambient-session was registered, on the app itself or on a parent of the plugin that has the route. In a job, a test or a REPL wrap the call in ' +
    'runWithSession(), and in a message of a WebSocket in runWithSession(request, …). If this did run in a request, something on the way ' +
    'lost the context (a timer or an event of Fastify or of a pool): use req.session(), wrap the callback with AsyncResource.bind(), or ' +
    'pass what you need as an argument.')
}

function requestIsOver (helper: string): SessionContextError {
  return new SessionContextError(`${helper} was called in the flow of a request whose response has closed. A pool or a queue that was first used in ` +
    'one request may call back for another one in that flow, so the session of the first is not given out. Read what you need before and pass ' +
    'it as an argument, wrap the callback with AsyncResource.bind(), or open the session again with runWithSession(request, …). ' +
    'req.session() and a session held in a variable go on working.')
}
