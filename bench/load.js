/**
 * The load: a fixed number of connections, each sending its next request when the last one has been answered. It speaks
 * just enough HTTP to be cheaper than any server, because a load that is the bottleneck makes all servers look alike. And it
 * never sleeps: waking another core costs the one that does it some microseconds, which a server would have to pay for each
 * answer, unless it is so fast that the load is always busy. It does sleep where the server works with another one, as of
 * Redis, which needs a core as well.
 */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { percentile } from './lib/statistics.js'
import { answer } from './lib/wire.js'

/** Milliseconds after which an answer is not waited for any longer. */
const PATIENCE = 10_000
const END_OF_HEAD = '\r\n\r\n'
const CONTENT_LENGTH = /\r\ncontent-length: (\d+)\r\n/i
const DIGIT_TWO = 0x32
/** Where the status stands in `HTTP/1.1 200 OK`. */
const STATUS_AT = 9

/** One connection, which works until it is stopped and the last answer has come. */
class Connection {
  /** Resolves when it is closed; rejects at the first answer that is not a success. */
  closed

  #socket
  #requests
  #onAnswer
  #next = 0
  #sentAt = 0
  #received
  #isStopped = false

  /**
   * @param {number} port
   * @param {readonly Buffer[]} requests sent in turn
   * @param {(milliseconds: number) => void} onAnswer
   */
  constructor (port, requests, onAnswer) {
    this.#requests = requests
    this.#onAnswer = onAnswer
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.setTimeout(PATIENCE, () => { this.#socket.destroy(new Error('no answer came in time')) })
    this.#socket.once('connect', () => { this.#send() })
    this.#socket.on('data', data => { this.#receive(data) })
    this.closed = new Promise((resolve, reject) => {
      this.#socket.once('error', reject)
      this.#socket.once('close', () => { this.#isStopped ? resolve() : reject(new Error('the server closed a connection')) })
    })
  }

  stop () {
    this.#isStopped = true
  }

  #send () {
    const request = this.#requests[this.#next]
    this.#next = (this.#next + 1) % this.#requests.length
    this.#sentAt = performance.now()
    this.#socket.write(request)
  }

  #receive (data) {
    this.#received = this.#received === undefined ? data : Buffer.concat([this.#received, data])
    if (!isWhole(this.#received)) return
    if (this.#received[STATUS_AT] !== DIGIT_TWO) {
      this.#socket.destroy(new Error(`an answer was not a success: ${this.#received.toString('latin1')}`))
      return
    }
    this.#received = undefined
    this.#onAnswer(performance.now() - this.#sentAt)
    if (this.#isStopped) this.#socket.destroy()
    else this.#send()
  }
}

function isWhole (data) {
  const end = data.indexOf(END_OF_HEAD)
  if (end === -1) return false
  const length = CONTENT_LENGTH.exec(data.latin1Slice(0, end + END_OF_HEAD.length))
  if (length === null) throw new Error('an answer does not say how long it is')
  return data.length >= end + END_OF_HEAD.length + Number(length[1])
}

/** Counts the time in which the event loop has nothing to do, by having it sleep. */
class Sleeper {
  #before = performance.eventLoopUtilization()

  /** Milliseconds. */
  get idle () {
    return performance.eventLoopUtilization(this.#before).idle
  }

  stop () {}
}

/** Keeps the event loop turning, and counts the time in which it has nothing to do. */
class Spinner {
  /** Milliseconds. */
  idle = 0
  #isStopped = false

  /** @param {() => number} workDone a number that changes whenever something has been done */
  constructor (workDone) {
    let before = performance.now()
    let done = workDone()
    const turn = () => {
      const now = performance.now()
      if (workDone() === done) this.idle += now - before
      before = now
      done = workDone()
      if (!this.#isStopped) setImmediate(turn)
    }
    setImmediate(turn)
  }

  stop () {
    this.#isStopped = true
  }
}

/** @param {string} [cookie] */
function requestOf (path, cookie) {
  const cookieLine = cookie === undefined ? '' : `Cookie: ${cookie}\r\n`
  return Buffer.from(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${cookieLine}\r\n`, 'latin1')
}

/**
 * @param {object} work
 * @param {number} work.port
 * @param {string} work.path
 * @param {string[]} work.cookies dealt out to the connections, so that no two of them share a session; none are sent if empty
 * @param {number} work.connections
 * @param {boolean} work.sleeps whether the load lets go of its core while it has nothing to do
 * @param {number} work.leadIn milliseconds that do not count
 * @param {number} work.duration milliseconds that count
 */
async function run ({ port, path, cookies, connections, sleeps, leadIn, duration }) {
  let answers = 0
  let latencies = []
  const count = milliseconds => {
    answers++
    latencies.push(milliseconds)
  }
  const requests = cookies.length === 0 ? [requestOf(path)] : cookies.map(cookie => requestOf(path, cookie))
  const open = Array.from({ length: connections }, (_, number) => {
    const own = cookies.length === 0 ? requests : requests.filter((_, index) => index % connections === number)
    return new Connection(port, own, count)
  })
  const spinner = sleeps ? new Sleeper() : new Spinner(() => answers)
  const allClosed = Promise.all(open.map(({ closed }) => closed))
  await Promise.race([delay(leadIn), allClosed])

  latencies = []
  const begin = performance.now()
  const idleBefore = spinner.idle
  await Promise.race([delay(duration), allClosed])
  const elapsed = performance.now() - begin
  const counted = latencies
  latencies = []
  const idle = spinner.idle - idleBefore

  for (const connection of open) connection.stop()
  await allClosed
  spinner.stop()
  return {
    answers,
    rate: counted.length / elapsed * 1000,
    p99: percentile(counted, 0.99),
    max: percentile(counted, 1),
    busy: 1 - idle / elapsed
  }
}

answer({ run })
