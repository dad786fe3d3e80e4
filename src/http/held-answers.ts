import { AsyncResource } from 'node:async_hooks'
import { ServerResponse } from 'node:http'
import { Socket } from 'node:net'

const HELD = Symbol('ambient-session.held')

/** A connection whose responses can be held back. */
interface Holdable extends Socket {
  /** Whether they are; undefined when they never were. */
  [HELD]?: boolean
}

/** An answer that is held back. What its leaving gives rise to happens in the flow of its own request. */
class HeldAnswer extends AsyncResource {
  readonly #socket: Holdable

  constructor (socket: Holdable) {
    super('ambient-session.held-answer')
    this.#socket = socket
    // The end of a response would let everything go.
    if (socket[HELD] === undefined) socket.uncork = uncorkUnlessHeld
    socket[HELD] = true
    socket.cork()
  }

  release (): void {
    this.#socket[HELD] = false
    this.runInAsyncScope(() => { this.#socket.uncork() })
  }
}

/** Milliseconds for which an answer waits in a turn of the event loop that goes on and on. */
const PATIENCE = 0.5
/** After so many turns with one answer each it seems that nothing is to be had from waiting for a second one … */
const TURNS_ALONE = 8
/** … and so many are not held back then, before it is tried again. */
const LET_PASS = 64

/**
 * Has the bytes of all responses of one turn of the event loop leave together at its end. To handle many requests and then
 * write to many connections costs a good deal less than to do both by turns, in which neither finds its code and data in the
 * processor's caches: a write runs through the system's network code, with a local client even through both ends of it.
 *
 * Everything but the system call happens at once, so that a response which is held back has been sent for all who ask.
 */
export class HeldAnswers {
  #held: HeldAnswer[] = []
  /** When the first of them came. */
  #since = 0
  #turnsAlone = 0
  #letPass = 0

  /** To be called right before a response is written: it leaves at the end of the turn, unless it comes alone as of late. */
  hold (response: ServerResponse): void {
    if (this.#letPass > 0) {
      this.#letPass--
      return
    }
    const socket: Holdable | null = response.socket
    // Not those of HTTP/2, which share one connection, and not those that a test injects.
    if (!(response instanceof ServerResponse && socket instanceof Socket) || socket[HELD] === true) return
    this.#add(new HeldAnswer(socket))
  }

  #add (answer: HeldAnswer): void {
    const now = performance.now()
    if (this.#held.push(answer) === 1) {
      this.#since = now
      setImmediate(() => { this.#turnEnds() })
    } else if (now - this.#since > PATIENCE) {
      // The turn may have a lot to do yet, and the next tick comes before that.
      process.nextTick(() => { this.#release() })
    }
  }

  #turnEnds (): void {
    this.#turnsAlone = this.#held.length === 1 ? this.#turnsAlone + 1 : 0
    if (this.#turnsAlone >= TURNS_ALONE) this.#letPass = LET_PASS
    this.#release()
  }

  #release (): void {
    const held = this.#held
    this.#held = []
    for (const answer of held) answer.release()
  }
}

/** Leaves the last cork of a connection that is held in place. */
function uncorkUnlessHeld (this: Holdable): void {
  if (this[HELD] !== true || this.writableCorked > 1) Socket.prototype.uncork.call(this)
}
