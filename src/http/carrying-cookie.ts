/** The cookie of one request whose browser keeps the whole session: it brings the session, and takes it back. */
import { keyOf } from '../session/id.ts'
import type { StoredSession } from '../session/load.ts'
import { CarriedStore, type LeavingHeaders } from './carried-store.ts'
import type { CookieRequest, PresentedCookie, RequestCookie } from './cookie.ts'
import type { SentCookies } from './response-headers.ts'
import { Chunks, type SealedCookie } from './sealed-cookie.ts'

export class CarryingCookie implements RequestCookie {
  readonly store: CarriedStore
  readonly #cookie: SealedCookie
  #chunks: Chunks | undefined
  /** How many cookies of a session the browser has or is sent, once they have been counted. */
  #present: number | undefined

  constructor (cookie: SealedCookie, headers: LeavingHeaders) {
    this.#cookie = cookie
    this.store = new CarriedStore(cookie, headers)
  }

  get isUnsent (): boolean {
    return this.store.isUnsent
  }

  read (request: CookieRequest): PresentedCookie[] {
    return this.#cookie.read(this.#chunksOf(request)).map(({ id, record }) => {
      const key = keyOf(id)
      this.store.bring(key, record)
      return { id, key, isOutdated: false }
    })
  }

  send (request: CookieRequest, headers: SentCookies, { id, key }: StoredSession, isPersistent: boolean, isEarly: boolean): void {
    const record = this.store.read(key)
    // A session that has expired since the commit is not sent any more.
    if (record === undefined) return
    const lines = this.#cookie.lines(request, { id, record }, isPersistent)
    const present = this.#count(request)
    headers.setCookies([...lines, ...this.#cookie.clearing(request, present, lines.length)], this.#cookie.isOwn, isEarly)
    this.#present = Math.max(present, lines.length)
    this.store.isUnsent = false
  }

  clear (request: CookieRequest, headers: SentCookies, isEarly: boolean): void {
    headers.setCookies(this.#cookie.clearing(request, this.#count(request)), this.#cookie.isOwn, isEarly)
  }

  #count (request: CookieRequest): number {
    this.#present ??= this.#cookie.countIn(this.#chunksOf(request))
    return this.#present
  }

  #chunksOf (request: CookieRequest): Chunks {
    this.#chunks ??= new Chunks(request, this.#cookie.name)
    return this.#chunks
  }
}
