/** When a response has closed. One that waits behind another in a pipeline has no socket yet, and is not closed with the connection. */
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

/** What is called when a socket closes: one listener for all requests in its pipeline. */
const atClose = new WeakMap<Socket, Set<() => void>>()

/** Whether the response has left as a whole, or never will. */
export function isResponseClosed (reply: FastifyReply): boolean {
  const { raw } = reply
  // The response of HTTP/2 has no such member, and its stream has.
  const { stream } = raw as { stream?: { destroyed: boolean } }
  return stream?.destroyed ?? (raw.destroyed || socketOf(reply)?.destroyed === true)
}

/** Whether a response waits behind that of another request: it has no socket yet. */
export function waitsInPipeline ({ raw }: FastifyReply): boolean {
  return raw.socket === null
}

/**
 * Calls back when the response has left as a whole, or is known never to leave. That may be twice.
 *
 * @returns how to take that back
 */
export function onResponseClosed (reply: FastifyReply, fn: () => void): () => void {
  const { raw } = reply
  const socket = waitsInPipeline(reply) ? socketOf(reply) : undefined
  raw.once('close', fn)
  if (socket !== undefined) callAtClose(socket, fn)
  return () => {
    raw.off('close', fn)
    if (socket !== undefined) atClose.get(socket)?.delete(fn)
  }
}

/** The requests of @fastify/websocket's injectWS() have none. */
function socketOf ({ request }: FastifyReply): Socket | undefined {
  return (request.raw as { socket?: Socket }).socket
}

function callAtClose (socket: Socket, fn: () => void): void {
  const known = atClose.get(socket)
  const fns = known ?? new Set()
  fns.add(fn)
  if (known !== undefined) return
  atClose.set(socket, fns)
  socket.once('close', () => { for (const fn of fns) fn() })
}
