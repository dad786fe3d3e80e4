/**
 * The global `session()` helper. The session of a request travels with its asynchronous flow, in an AsyncLocalStorage:
 * whatever is called below a request's hooks and handler, however deep and however late, finds it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { SessionContextError } from './errors.ts'
import type { DeclaredDefault, SessionKey, SessionValues, ValueAt, ValueOr } from './session/keys.ts'
import type { Default, Session } from './session/session.ts'

/** What travels: enough to make the session when somebody asks for it. */
export interface Scope {
  /** @throws SessionContextError on a route that has no session */
  readonly session: Session
  readonly hasSession: boolean
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
const context = ((globalThis as Record<symbol, unknown>)[CONTEXT] ??= new AsyncLocalStorage<Scope>()) as AsyncLocalStorage<Scope>

/**
 * The session of the request in whose flow this is called.
 *
 * - `session()` returns it,
 * - `session(key, default?)` reads from it,
 * - `session({ … })` puts into it.
 *
 * Experimental: what keeps a context and what does not is Node's to decide; see docs/global-helper.md.
 *
 * @throws SessionContextError outside a request
 * @example
 * ```ts
 * function greet () { return `hello ${session('user.name', 'stranger')}` }
 * ```
 */
export const session: SessionHelper = (...args: unknown[]): never => useSession(currentSession(), args) as never

/** @returns whether {@link session} would find a session here */
export function hasSession (): boolean {
  return context.getStore()?.hasSession ?? false
}

/** @returns the session that {@link session} would find here, if it would find one */
export function currentSessionIfAny (): Session | undefined {
  const scope = context.getStore()
  return scope?.hasSession === true ? scope.session : undefined
}

/** Whether {@link session} would find this scope's session here. */
export function isInScope (scope: Scope): boolean {
  return context.getStore() === scope
}

/** Runs a function in whose flow {@link session} finds this scope's session. */
export function runInScope<T> (scope: Scope, fn: () => T): T {
  return context.run(scope, fn)
}

/** What `session(…)` and `req.session(…)` do with their arguments. */
export function useSession (current: Session, args: unknown[]): unknown {
  const [keyOrValues, fallback] = args
  if (keyOrValues === undefined) return current
  if (typeof keyOrValues === 'string') return current.get(keyOrValues, fallback)
  return current.put(keyOrValues as SessionValues)
}

function currentSession (): Session {
  const scope = context.getStore()
  if (scope !== undefined) return scope.session
  throw new SessionContextError('session() was called outside a request. Call it below a Fastify hook or handler of an app ' +
    'that registered ambient-session; in a job, a test or a REPL wrap the call in runWithSession(). If this did run in a request, ' +
    'something on the way lost the context (a pool calling back, an event of another request): wrap that callback with ' +
    'AsyncResource.bind(), or pass what you need from the session as an argument.')
}
