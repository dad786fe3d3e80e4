/** A process that is measured, and what it is asked; `wire.js` is its other side. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { onExit } from './exit.js'

const directory = join(import.meta.dirname, '..')

export class Child {
  #process
  #waiting = new Map()
  #asked = 0

  /**
   * @param {string} file below bench/
   * @param {string[]} args
   * @param {string | undefined} cores on which it stays
   * @returns {Promise<Child>} once it can be asked
   */
  static async start (file, args, cores) {
    const child = new Child(file, args, cores)
    await new Promise((resolve, reject) => { child.#waiting.set('ready', { resolve, reject }) })
    return child
  }

  constructor (file, args, cores) {
    const command = [process.execPath, join(directory, file), ...args]
    const [program, ...rest] = cores === undefined ? command : ['taskset', '-c', cores, ...command]
    // The log goes to the null device.
    this.#process = spawn(program, rest, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: { ...process.env, NODE_ENV: 'production' } })
    this.#process.on('message', ({ id, answer, error }) => {
      const { resolve, reject } = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error === undefined) resolve(answer)
      else reject(new Error(`${file}: ${error}`))
    })
    this.#process.once('error', error => { this.#giveUp(error) })
    this.#process.once('exit', (code, signal) => { this.#giveUp(new Error(`${file} ended (${signal ?? code})`)) })
    onExit(() => { this.#process.kill('SIGKILL') })
  }

  /** @returns {Promise<any>} what the program answers */
  ask (question, details) {
    const id = ++this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#process.send({ id, question, details }, error => { if (error !== null) reject(error) })
    })
  }

  signal (signal) {
    this.#process.kill(signal)
  }

  async end () {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exit = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exit
  }

  #giveUp (error) {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
