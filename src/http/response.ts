/** From the commit to the response, in the flow of the request that both belong to. */
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { isInScope, runInScope } from '../context.ts'
import type { RequestSession } from './request-session.ts'

/** Has Fastify go on: with the response, or with the answer to an error. */
export type Done = (error?: Error) => void

/** Goes on with a request, or has Fastify answer with the error, when what it needs first has been done. */
export function proceedAfter (preparation: Promise<void>, scope: RequestSession, reply: FastifyReply, done: Done): void {
  preparation.then(() => { proceed(scope, reply, done) }, (error: Error) => { runInScope(scope, () => { done(error) }) })
}

/**
 * Goes on with a request after something asynchronous. What goes on may throw: a response that cannot be sent, for example.
 * That is for Fastify to answer, which is not there any more to see it.
 */
function proceed (scope: RequestSession, reply: FastifyReply, done: Done): void {
  keepInScope(scope, reply, () => { attempt(done) })
}

/**
 * Goes on in the request's flow, in which the hooks that follow find its session. Usually this is that flow. A reply that
 * was sent from a callback of another flow comes back to its own here; and a response that is held back behind another one
 * of its connection would end in the flow of that other request, so its events are brought back, too.
 */
export function keepInScope (scope: RequestSession, { raw }: FastifyReply, next: () => void): void {
  const isHere = isInScope(scope)
  if (!isHere || raw.socket === null) emitInScope(scope, raw)
  if (isHere) next()
  else runInScope(scope, next)
}

/**
 * Answers when the session is stored. Until then the reply counts as sent: Fastify would otherwise go on with a request that a
 * hook has answered without returning the reply, and answer a second time for a handler that has.
 *
 * @param committed resolves when the session is stored
 * @param payload what is going to be sent
 */
export function answerAfter (committed: Promise<void>, current: RequestSession, reply: FastifyReply, payload: unknown, done: Done): void {
  Object.defineProperty(reply, 'sent', { value: true, configurable: true })
  // Nobody else listens yet, and a stream that fails meanwhile would end the process. Who sends it is told once more.
  if (payload instanceof EventEmitter) payload.on('error', () => {})
  const goOn = (error?: Error): void => {
    delete (reply as { sent?: boolean }).sent
    done(error)
  }
  committed.then(() => {
    proceed(current, reply, error => {
      if (error === undefined) current.tellBrowser()
      goOn(error)
    })
  }, (error: Error) => {
    current.noteFailure()
    goOn(error)
  })
}

function attempt (done: Done, error?: Error): void {
  try {
    done(error)
  } catch (error) {
    done(error as Error)
  }
}

function emitInScope (scope: RequestSession, response: ServerResponse): void {
  const emit = response.emit.bind(response) as (...args: unknown[]) => boolean
  const emitHere = (...args: unknown[]): boolean => runInScope(scope, () => emit(...args))
  response.emit = emitHere
}
