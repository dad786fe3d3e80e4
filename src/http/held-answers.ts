import { AsyncResource } from 'node:async_hooks'
import { channel } from 'node:diagnostics_channel'
import type { Server } from 'node:http'
import { ServerResponse } from 'node:http'
import { Socket } from 'node:net'

const HELD = Symbol('ambient-session.held')

/** A connection whose responses can be held back. */
interface Holdable extends Socket {
  /** By whom one is; null when none is, and undefined where that has never been prepared. */
  [HELD]?: HeldAnswers | null
}

/** Milliseconds for which an answer waits in a turn of the event loop that goes on and on. */
const PATIENCE = 0.5
/** After so many turns with one answer each it seems that nothing is to be had from waiting for a second one … */
const TURNS_ALONE = 8
/** … and so many are not held back then, before it is tried again. */
const LET_PASS = 64

/** As it is before a test puts another one in its place, with which a real answer would never leave. */
const { setImmediate } = globalThis

/** Those of all applications of the process who hold anything. */
const holding = new Set<HeldAnswers>()
let isExitWatched = false

/** Tools that watch an application subscribe to this. */
const finish = channel('http.server.response.finish')

/**
 * Has the bytes of all responses of one turn of the event loop leave together at its end. To handle many requests and then
 * write to many connections costs a good deal less than to do both by turns, in which neither finds its code and data in the
 * processor's caches: a write runs through the system's network code, with a local client even through both ends of it.
 *
 * Everything but the system call happens at once, so that a response which is held back has been sent for all who ask. What
 * its leaving gives rise to happens in no request's flow, so it is only held as long as nobody listens for that.
 */
export class HeldAnswers {
  /** The flow in which the application was set up, in which nobody has a session. */
  readonly #outside = new AsyncResource('ambient-session.held-answers')
  #held: Holdable[] = []
  /** When the first of them came. */
  #since = 0
  #turnsAlone = 0
  #letPass = 0
  readonly #prepareToLeave: () => void

  /**
   * @param server whose connections are prepared when they begin: later on it would make their objects differ in shape, which slows Node down
   * @param prepareToLeave called each time before something leaves
   */
  constructor (server: Server, prepareToLeave: () => void) {
    this.#prepareToLeave = prepareToLeave
    server.on('connection', prepare)
  }

  /**
   * To be called before a response is written: it leaves at the end of the turn, unless it comes alone as of late.
   *
   * @returns whether it is held back
   */
  hold (response: ServerResponse): boolean {
    if (this.#letPass > 0) {
      this.#letPass--
      return false
    }
    const socket: Holdable | null = response.socket
    // Not those of HTTP/2, which share one connection, and not those that a test injects.
    if (!(response instanceof ServerResponse && socket instanceof Socket)) return false
    if (socket[HELD] === undefined) prepare(socket)
    if (socket[HELD] != null) return socket[HELD] === this
    if (isListenedTo(response)) return false
    socket[HELD] = this
    socket.cork()
    response.on('newListener', leaveAtOnce)
    this.#add(socket)
    return true
  }

  /** To be called before anything of what is held leaves. */
  prepareToLeave (): void {
    this.#prepareToLeave()
  }

  #add (socket: Holdable): void {
    const now = performance.now()
    if (this.#held.push(socket) === 1) {
      this.#since = now
      holding.add(this)
      if (!isExitWatched) process.on('exit', releaseAll)
      isExitWatched = true
      setImmediate(() => { this.#turnEnds() })
    } else if (now - this.#since > PATIENCE) {
      // The turn may have a lot to do yet, and the next tick comes before that.
      process.nextTick(() => { this.release() })
    }
  }

  #turnEnds (): void {
    this.#turnsAlone = this.#held.length === 1 ? this.#turnsAlone + 1 : 0
    if (this.#turnsAlone >= TURNS_ALONE) this.#letPass = LET_PASS
    this.release()
  }

  /** Lets everything go that is held. */
  release (): void {
    const held = this.#held
    this.#held = []
    holding.delete(this)
    this.#outside.runInAsyncScope(letAllGo, undefined, held)
  }
}

function releaseAll (): void {
  for (const answers of holding) answers.release()
}

function prepare (socket: Holdable): void {
  socket[HELD] = null
  // The end of a response would let everything go.
  socket.uncork = uncorkUnlessHeld
  // And what has not gone by then would be lost.
  socket.destroy = letGoAndDestroy
}

/** Leaves the last cork of a connection that is held in place. */
function uncorkUnlessHeld (this: Holdable): void {
  if (this[HELD] == null || this.writableCorked > 1) Socket.prototype.uncork.call(this)
}

function letGoAndDestroy (this: Holdable, error?: Error): Holdable {
  letGo(this)
  return Socket.prototype.destroy.call(this, error)
}

function letAllGo (sockets: readonly Holdable[]): void {
  for (const socket of sockets) letGo(socket)
}

function letGo (socket: Holdable): void {
  socket[HELD]?.prepareToLeave()
  // It may have been given up.
  if (socket[HELD] == null) return
  socket[HELD] = null
  socket.uncork()
}

/** Closes the connection of a response that is held back, and that must not be sent any more. */
export function giveUp (response: ServerResponse): void {
  const socket = response.socket as Holdable
  socket[HELD] = null
  socket.destroy()
}

/** In the flow of whoever begins to listen. */
function leaveAtOnce (this: ServerResponse): void {
  if (this.socket !== null) letGo(this.socket)
}

/** Node itself listens once for the end. */
function isListenedTo (response: ServerResponse): boolean {
  return response.listenerCount('finish') > 1 || response.listenerCount('close') > 0 || response.req.listenerCount('close') > 0 ||
    response.req.listenerCount('end') > 0 || finish.hasSubscribers
}
