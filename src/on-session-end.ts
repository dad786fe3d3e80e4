/** `onSessionEnd()`: calls back when a session has ended, so that a socket or a stream can be closed with it. */
import { AsyncResource } from 'node:async_hooks'
import type { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { SessionConfigError, SessionUsageError } from './errors.ts'
import { isResponseClosed, onResponseClosed } from './http/closing.ts'
import { CURRENT } from './symbols.ts'

export interface SessionEndOptions {
  /** Seconds after which the store is asked again whether another process has ended the session. Default: 5. */
  readonly every?: number
}

const EVERY = 5
const LONGEST = 86_400

/**
 * Calls a function when the session of a request has ended: signed out, revoked or expired. To close a WebSocket or a stream
 * that outlives its request.
 *
 * What this process does is noticed at once: a sign-out, `app.sessions.destroy()` and `destroyFor()`. What another process does,
 * and that the session expires, is noticed when the store is asked the next time. A session that this process gives a new id
 * is followed; of one that another process has given a new id, the function is called at the second look.
 *
 * It stops by itself when the connection closes, or the response where the connection was not upgraded.
 *
 * @param fn called at most once, in the flow of the request; what it throws or rejects with is reported
 * @returns how to stop
 * @throws SessionContextError on a route that has no session, SessionUsageError when `every` makes no sense
 * @example
 * ```ts
 * app.get('/chat', { websocket: true }, (socket, req) => {
 *   onSessionEnd(req, () => socket.close(4401, 'signed out'))
 * })
 * ```
 */
export function onSessionEnd (request: FastifyRequest, fn: () => unknown, { every = EVERY }: SessionEndOptions = {}): () => void {
  const current = request[CURRENT]
  if (current == null) throw new SessionConfigError(['the request has no session: its app has not registered ambient-session'], 'onSessionEnd(request, fn)')
  if (!(typeof every === 'number' && every > 0 && every <= LONGEST)) {
    throw new SessionUsageError(`onSessionEnd(request, fn, { every }) takes a number of seconds, greater than 0 and at most ${LONGEST}`)
  }
  const socket = upgradedSocketOf(request)
  if (current.isClosed || (socket?.destroyed ?? isResponseClosed(current.reply))) return () => {}
  const { ends, settings: { report } } = current.context
  const call = async (): Promise<void> => { await fn() }
  const onEnd = AsyncResource.bind(() => {
    call().catch((cause: unknown) => { report({ code: 'AMBIENT_SESSION_END', message: 'a function that was given to onSessionEnd() has failed', cause }) })
  })
  const stopWatching = ends.watch(current.session, every * 1000, onEnd)
  const stop = (): void => {
    forget()
    stopWatching()
  }
  const forget = socket === undefined ? onResponseClosed(current.reply, stop) : onSocketClosed(socket, stop)
  return stop
}

/** The socket where the connection was upgraded, to a WebSocket for example. The requests of @fastify/websocket's injectWS() have none. */
function upgradedSocketOf ({ raw }: FastifyRequest): Socket | undefined {
  const { upgrade, socket } = raw as { upgrade?: boolean, socket?: Socket }
  return upgrade === true ? socket : undefined
}

function onSocketClosed (socket: Socket, fn: () => void): () => void {
  socket.once('close', fn)
  return () => { socket.off('close', fn) }
}
