/** The processes that are measured, and the one that measures them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onExit } from './exit.js'

const directory = join(import.meta.dirname, '..')

export class Child {
  #process
  #file
  #waiting = new Map()
  #asked = 0

  /**
   * Starts a program of the benchmark; resolves when it is ready for questions.
   *
   * @param {string} file below bench/
   * @param {string[]} args
   * @param {number | undefined} core on which it is to stay
   * @returns {Promise<Child>}
   */
  static async start (file, args, core) {
    const child = new Child(file, args, core)
    await child.#ready()
    return child
  }

  constructor (file, args, core) {
    const command = [process.execPath, join(directory, file), ...args]
    const [program, ...rest] = core === undefined ? command : ['taskset', '-c', String(core), ...command]
    this.#file = file
    this.#process = spawn(program, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env: { ...process.env, NODE_ENV: 'production' } })
    this.#process.on('message', message => { this.#receive(message) })
    this.#process.once('error', error => { this.#giveUp(error) })
    this.#process.once('exit', (code, signal) => { this.#giveUp(new Error(`${file} ended (${signal ?? code})`)) })
    onExit(() => { this.#process.kill('SIGKILL') })
  }

  /**
   * @param {string} question
   * @param {object} [details]
   * @returns {Promise<any>} what the program answers
   */
  ask (question, details) {
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#process.send({ id, question, details }, error => { if (error !== null) reject(error) })
    })
  }

  async end () {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
  }

  #ready () {
    return new Promise((resolve, reject) => { this.#waiting.set('ready', { resolve, reject }) })
  }

  #receive (message) {
    const { id, answer, error } = message === 'ready' ? { id: message } : message
    const { resolve, reject } = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (error === undefined) resolve(answer)
    else reject(new Error(`${this.#file}: ${error}`))
  }

  #giveUp (error) {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
