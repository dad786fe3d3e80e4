import { Child } from './child.js'

/** Those of the task: enough to keep a server busy all the time. */
export const CONNECTIONS = 32
/** Milliseconds at the beginning of each visit that do not count. */
const LEAD_IN = 200

/**
 * @typedef {object} Visit
 * @property {number} rate requests answered per second
 * @property {number} p99 of the time to an answer, in milliseconds
 * @property {number} max of the same
 * @property {number} cpu the server's CPU time per request, in microseconds
 * @property {number} loadBusy share of a core that the load needed
 */

/** A server that is measured. */
export class Server {
  #child

  /**
   * @param {string} file below bench/servers/
   * @param {string[]} args
   * @param {number | undefined} core
   */
  static async start (file, args, core) {
    const child = await Child.start(`servers/${file}`, args, core)
    return new Server(child, await child.ask('port'))
  }

  constructor (child, port) {
    this.#child = child
    this.port = port
  }

  ask (question, details) {
    return this.#child.ask(question, details)
  }

  /**
   * @param {Child} load
   * @param {{ path: string, cookies: string[], duration: number }} work duration in milliseconds
   * @returns {Promise<Visit>}
   */
  async visit (load, work) {
    const before = await this.ask('cpu')
    const { answers, busy, ...times } = await load.ask('run', { port: this.port, connections: CONNECTIONS, leadIn: LEAD_IN, ...work })
    const after = await this.ask('cpu')
    return { ...times, cpu: (after - before) / answers, loadBusy: busy }
  }

  async end () {
    await this.#child.end()
  }
}

/**
 * Visits all in turn, again and again: what changes in the machine meanwhile changes for all of them.
 *
 * @template Subject
 * @param {readonly Subject[]} subjects
 * @param {number} rounds
 * @param {(subject: Subject) => Promise<Visit>} visit
 * @returns {Promise<Map<Subject, Visit[]>>} one visit per round
 */
export async function interleave (subjects, rounds, visit) {
  const visits = new Map(subjects.map(subject => [subject, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [subject, result] of await visitInTurn(subjects, round, visit)) visits.get(subject).push(result)
  }
  return visits
}

/**
 * Visits each once, and begins in each round with another one.
 *
 * @template Subject
 * @param {readonly Subject[]} subjects
 * @param {number} round
 * @param {(subject: Subject) => Promise<Visit>} visit
 * @returns {Promise<Map<Subject, Visit>>}
 */
export async function visitInTurn (subjects, round, visit) {
  const first = round % subjects.length
  const visits = new Map()
  for (const subject of [...subjects.slice(first), ...subjects.slice(0, first)]) visits.set(subject, await visit(subject))
  return visits
}
