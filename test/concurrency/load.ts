/** A session under load, and what has to be in it afterwards whatever happened to the servers meanwhile. */
import { EventEmitter, once } from 'node:events'
import type { Visitor } from '../helpers/client.ts'
import { act, result, type Server, type Step } from './servers.ts'

/** Of one kind of write, how many were sent and which were acknowledged. */
interface Ledger {
  sent: number
  acknowledged: number[]
}

export interface Running {
  /** Resolves when all requests that were under way have been answered, or broken off. */
  stop (): Promise<void>
}

interface Stored {
  readonly begun?: boolean
  readonly list?: readonly number[]
  readonly count?: number
  readonly text?: string
}

export class Load {
  readonly visitor: Visitor
  /** Answers other than 200: the text of each. */
  readonly refusals: string[] = []
  readonly #events = new EventEmitter()
  readonly #increments: Ledger = { sent: 0, acknowledged: [] }
  readonly #pushes: Ledger = { sent: 0, acknowledged: [] }
  readonly #puts: Ledger = { sent: 0, acknowledged: [] }

  private constructor (visitor: Visitor) {
    this.visitor = visitor
  }

  /** A visitor who has just come. */
  static async begin (server: Server): Promise<Load> {
    const visitor = server.visitor()
    await result(visitor, ['put', 'begun', true])
    return new Load(visitor)
  }

  get acknowledged (): number {
    return [this.#increments, this.#pushes, this.#puts].reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
  }

  /** Resolves when so many more writes have been acknowledged than at the call. */
  async progresses (by: number): Promise<void> {
    const goal = this.acknowledged + by
    while (this.acknowledged < goal) await once(this.#events, 'acknowledged')
  }

  /** Sends requests of every kind to each of the servers, until it is stopped or, for each server, that one is gone. */
  run (servers: readonly Server[]): Running {
    const over = new AbortController()
    const loop = async (ledger: Ledger, visitor: Visitor, step: (n: number) => Step): Promise<void> => {
      while (!over.signal.aborted && await this.#send(ledger, visitor, step));
    }
    const loops = servers.flatMap(({ origin }) => [
      loop(this.#increments, this.visitor.copy(origin), () => ['increment', 'count']),
      loop(this.#pushes, this.visitor.copy(origin), n => ['push', 'list', n])
    ])
    // One writer, so that what it was told last is what has to be there.
    const [first] = servers
    if (first !== undefined) loops.push(loop(this.#puts, this.visitor.copy(first.origin), n => ['put', 'text', textOf(n)]))
    return {
      async stop () {
        over.abort()
        await Promise.all(loops)
      }
    }
  }

  /** @returns what is missing of what was acknowledged, and what is there that was not sent; nothing, if all is well */
  async faults (server: Server): Promise<string[]> {
    const { status, text } = await act(this.visitor.copy(server.origin), ['all'])
    if (status !== 200) return [`the session cannot be read: ${status}`]
    const [{ begun, list = [], count = 0, text: last = textOf(0) }] = JSON.parse(text) as [Stored]
    const n = Number.parseInt(last)
    const { sent, acknowledged } = this.#increments
    return [
      ...begun === true ? [] : ['the session has been lost'],
      ...count < acknowledged.length ? [`${acknowledged.length} increments were acknowledged and ${count} are there`] : [],
      ...count > sent ? [`${sent} increments were sent and ${count} are there`] : [],
      ...this.#pushes.acknowledged.filter(n => !list.includes(n)).map(n => `push ${n} was acknowledged and is not there`),
      ...list.filter(n => n > this.#pushes.sent).map(n => `push ${n} was never sent`),
      ...new Set(list).size === list.length ? [] : ['a push is there twice'],
      ...last === textOf(n) ? [] : ['a text is not whole'],
      ...n < Math.max(0, ...this.#puts.acknowledged) || n > this.#puts.sent
        ? [`text ${n} is there, ${this.#puts.acknowledged.at(-1)} was acknowledged last and ${this.#puts.sent} was sent last`]
        : []
    ]
  }

  /** @returns whether a server still answers */
  async #send (ledger: Ledger, visitor: Visitor, step: (n: number) => Step): Promise<boolean> {
    const n = ++ledger.sent
    const answer = await act(visitor, step(n)).catch(() => undefined)
    if (answer?.status === 200) {
      ledger.acknowledged.push(n)
      this.#events.emit('acknowledged')
    } else if (answer !== undefined) {
      this.refusals.push(answer.text)
    }
    return answer !== undefined
  }
}

/** A text that shows its number and whether it is whole; of changing length, so that its file has to grow now and then. */
function textOf (n: number): string {
  return `${n}:${'abcdefg'.charAt(n % 7).repeat((n * 37) % 900)}`
}
