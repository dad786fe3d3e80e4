/** From one step of Fastify's to the next, in the flow of the request that both belong to. */
import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isInScope, runInScope, type Scope } from '../context.ts'
import type { Session } from '../session/session.ts'
import type { RequestSession } from './request-session.ts'

/** Has Fastify go on: with the next step, or with the answer to an error. */
export type Done = (error?: Error) => void

/** The same behind an onSend hook, with what is to be sent. */
export type SendDone = (error: Error | null, payload?: unknown) => void

/** How long onResponse hooks have their session at the most, in milliseconds. */
const LONGEST_HOOKS = 60_000

/** The scope of a request's onResponse hooks, which run after what else is in its flow may not use the session any more. */
export class HooksScope implements Scope {
  readonly #current: RequestSession
  readonly #startedAt = performance.now()
  #isOver = false

  constructor (current: RequestSession) {
    this.#current = current
  }

  get session (): Session {
    return this.#current.session
  }

  get hasSession (): boolean {
    return this.#current.hasSession
  }

  /** Nothing says when the hooks are over where a request was not found, or one of them has failed. */
  get isClosed (): boolean {
    return this.#isOver || performance.now() - this.#startedAt > LONGEST_HOOKS
  }

  /** To be called when all hooks have run. */
  close (): void {
    this.#isOver = true
  }

  get request (): FastifyRequest {
    return this.#current.request
  }
}

/** Goes on in the scope of a request: usually this is it. */
export function goOn (scope: Scope | null | undefined, next: () => void): void {
  if (scope == null || isInScope(scope)) next()
  else runInScope(scope, next)
}

/** Goes on when what the request needs first has been done, or has Fastify answer with the error. */
export function goOnAfter (preparation: Promise<unknown>, scope: Scope, done: Done): void {
  preparation.then(() => { runInScope(scope, () => { attempt(done) }) }, (error: Error) => { runInScope(scope, () => { done(error) }) })
}

/** Commits, and answers when the session is stored. */
export function commitAndSend (current: RequestSession, reply: FastifyReply, given: unknown, next: SendDone): void {
  const { payload, restore } = isWebResponse(given) ? takeHeaders(reply, given) : { payload: given, restore: undefined }
  const done: Done = error => {
    if (error !== undefined) discard(payload)
    next(error ?? null, payload)
  }
  const committed = commit(current, payload, restore)
  if (committed === undefined) return goOn(current, done)
  markAsSent(current, reply)
  // A stream that fails meanwhile would end the process. Who sends it is told once more.
  if (payload instanceof EventEmitter) payload.on('error', () => {})
  committed.then(() => {
    unmark(current, reply)
    goOn(current, () => { attempt(done) })
  }, (error: Error) => {
    unmark(current, reply)
    restore?.()
    goOn(current, () => { done(error) })
  })
}

function commit (current: RequestSession, payload: unknown, restore: (() => void) | undefined): Promise<void> | undefined {
  try {
    return current.commit()
  } catch (error) {
    restore?.()
    discard(payload)
    throw error
  }
}

/** Releases what a stream holds that is not going to be sent: a file, a connection. */
function discard (payload: unknown): void {
  if (payload instanceof ReadableStream) void payload.cancel().catch(() => {})
  else if (payload instanceof Readable) payload.on('error', () => {}).destroy()
}

/**
 * While a commit is waited for the reply counts as sent. Fastify would otherwise go on with a request that a hook has answered
 * without returning the reply, a guard for example, and answer a second time for a handler that has.
 */
export function markAsSent (current: RequestSession | null | undefined, reply: FastifyReply): void {
  if (current != null) current.headers.isWaiting = true
  Object.defineProperty(reply, 'sent', { value: true, configurable: true })
}

export function unmark (current: RequestSession | null | undefined, reply: FastifyReply): void {
  if (current != null) current.headers.isWaiting = false
  delete (reply as { sent?: boolean }).sent
}

interface TakenResponse {
  readonly payload: unknown
  readonly restore: (() => void) | undefined
}

/**
 * Fastify copies the headers of a web response over those of the reply when the onSend hooks are over, and so would undo what
 * the commit says to caches. They are copied before, as Fastify does it.
 *
 * @returns the body, or the response itself where Fastify refuses it because its body has been read; and how to take the headers
 *   and the status back, for the answer to an error
 */
function takeHeaders (reply: FastifyReply, response: Response): TakenResponse {
  if (response.bodyUsed) return { payload: response, restore: undefined }
  const { statusCode } = reply
  // Copies: Fastify adds to the list of cookies in place.
  const before = [...new Set(response.headers.keys())].map(name => [name, reply.hasHeader(name) ? [reply.getHeader(name)].flat() : []] as const)
  reply.code(response.status)
  for (const [name, value] of response.headers) reply.header(name, value)
  const restore = (): void => {
    reply.code(statusCode)
    for (const [name, values] of before) {
      reply.removeHeader(name)
      if (values.length > 0) reply.header(name, values.length === 1 ? values[0] : values)
    }
  }
  return { payload: response.body, restore }
}

/** As Fastify sees it: the class may be that of a package. */
function isWebResponse (payload: unknown): payload is Response {
  return Object.prototype.toString.call(payload) === '[object Response]'
}

/** What goes on may throw: a response that cannot be sent, for example. That is for Fastify to answer. */
function attempt (done: Done): void {
  try {
    done()
  } catch (error) {
    done(error as Error)
  }
}
