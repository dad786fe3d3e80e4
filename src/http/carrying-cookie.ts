/** The cookie of one request whose browser keeps the whole session: it brings the session, and takes it back. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionId } from '../session/id.ts'
import { keyOf } from '../session/id.ts'
import type { KnownSessions } from '../session/known.ts'
import type { StoredRecord } from '../stores/store.ts'
import { CarriedStore } from './carried-store.ts'
import type { RequestCookie } from './cookie.ts'
import { Presented } from './cookie.ts'
import type { SealedCookie } from './sealed-cookie.ts'

export class CarryingCookie implements RequestCookie {
  readonly store: CarriedStore
  readonly #sealed: SealedCookie
  readonly #known: KnownSessions
  /** How many cookies of a session the browser has, once they have been counted. */
  #present: number | undefined

  constructor (sealed: SealedCookie, reply: FastifyReply, known: KnownSessions) {
    this.#sealed = sealed
    this.#known = known
    this.store = new CarriedStore(sealed, reply)
  }

  get name (): string {
    return this.#sealed.name
  }

  get isUnsent (): boolean {
    return this.store.isUnsent
  }

  read (request: FastifyRequest): Presented | undefined {
    const carried = this.#sealed.read(request)
    if (carried === undefined) return undefined
    this.store.bring(keyOf(carried.id), carried.record)
    return new Presented(carried.id, false, this.#known.get(carried.id))
  }

  send (reply: FastifyReply, id: SessionId): void {
    // Only a living session is sent, and this is where it lives.
    const record = this.store.read(keyOf(id)) as StoredRecord
    this.#present = this.#sealed.send(reply, { id, record }, this.#count(reply))
    this.store.isUnsent = false
  }

  clear (reply: FastifyReply): void {
    this.#sealed.clear(reply, this.#count(reply))
    this.#present = 0
  }

  #count ({ request }: FastifyReply): number {
    return this.#present ?? this.#sealed.countIn(request)
  }
}
