/** Points at which requests wait until the test lets them pass, by name. */
import { EventEmitter, once } from 'node:events'

export class Gates {
  readonly #events = new EventEmitter().setMaxListeners(0)
  readonly #arrivals = new Map<string, number>()
  readonly #opened = new Set<string>()

  /** Counts a request that does not wait. */
  arrive (name: string): void {
    this.#arrivals.set(name, (this.#arrivals.get(name) ?? 0) + 1)
    this.#events.emit('arrival')
  }

  /** Resolves when the gate is opened. A gate that was opened stays open. */
  async pass (name: string): Promise<void> {
    const opened = this.#opened.has(name) ? undefined : once(this.#events, `open ${name}`)
    this.arrive(name)
    await opened
  }

  open (name: string): void {
    this.#opened.add(name)
    this.#events.emit(`open ${name}`)
  }

  /** Resolves when so many have come to the gate. */
  async reached (name: string, count: number): Promise<void> {
    while ((this.#arrivals.get(name) ?? 0) < count) await once(this.#events, 'arrival')
  }
}
