/** From the commit to the response, in the flow of the request that both belong to. */
import { AsyncResource } from 'node:async_hooks'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import { isInScope, runInScope } from '../context.ts'
import type { Task } from './end-of-turn.ts'
import type { RequestSession } from './request-session.ts'

/** Has Fastify go on: with the response, or with the answer to an error. */
export type Done = (error?: Error) => void

/**
 * Goes on with a request after something asynchronous. What goes on may throw: a response that cannot be sent, for example.
 * That is for Fastify to answer, which is not there any more to see it.
 */
export function proceed (scope: RequestSession, reply: FastifyReply, done: Done): void {
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

/** @param committed resolves when the session is stored */
export function answerAfter (committed: Promise<void>, current: RequestSession, reply: FastifyReply, done: Done): void {
  const answer = (error?: Error): void => {
    if (error === undefined) current.tellBrowser()
    done(error)
  }
  committed.then(() => { proceed(current, reply, answer) }, (error: Error) => {
    current.noteFailure()
    done(error)
  })
}

/**
 * What a request still has to do once its response is known: to commit what it changed, if it did, and to answer. Both happen
 * in the flow in which this was made: an application may have other things than a session in there.
 */
export class Commitment extends AsyncResource implements Task {
  readonly #current: RequestSession
  readonly #reply: FastifyReply
  readonly #done: Done
  #committed: Promise<void> | undefined
  #error: Error | undefined

  constructor (current: RequestSession, reply: FastifyReply, done: Done) {
    super('ambient-session.commitment')
    this.#current = current
    this.#reply = reply
    this.#done = done
  }

  work (): void {
    this.runInAsyncScope(this.#commit, this)
  }

  answer (): void {
    this.runInAsyncScope(this.#answer, this)
  }

  #commit (): void {
    try {
      this.#committed = this.#current.commit()
    } catch (error) {
      this.#error = error as Error
    }
  }

  #answer (): void {
    if (this.#committed === undefined) attempt(this.#done, this.#error)
    else answerAfter(this.#committed, this.#current, this.#reply, this.#done)
  }
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
