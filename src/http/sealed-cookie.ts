/** A whole session in cookies of the browser, encrypted and bound to their name. */
import type { SessionConfig } from '../config/schema.ts'
import { SessionTooLargeError } from '../errors.ts'
import type { SessionId } from '../session/id.ts'
import { newSessionId } from '../session/id.ts'
import { Sealer } from '../session/payload.ts'
import type { PlainRecord } from '../stores/plain-record.ts'
import { plainOf, recordOf } from '../stores/plain-record.ts'
import type { NewRecord, Version } from '../stores/store.ts'
import type { CookieRequest } from './cookie.ts'
import { MAX_CANDIDATES } from './cookie.ts'
import type { FindCookie } from './cookie-chunks.ts'
import { capacityOf, chunkName, countChunks, join, MAX_COOKIE_BYTES, MAX_COOKIES, split } from './cookie-chunks.ts'
import { findCookies } from './cookie-header.ts'
import { CLEARED, CookieLines, maxAge } from './set-cookie.ts'

/** A session as its cookies say it. */
export interface Carried {
  readonly id: SessionId
  readonly record: NewRecord
}

type Facts = Omit<PlainRecord, 'payload'> & { readonly id: SessionId }

/** Has as many characters as every other. */
const ANY_ID = newSessionId()
/** Seconds with as many digits as any lifetime has that the options allow. */
const LONGEST_AGE = '; Max-Age=9999999999'
/** Versions of different cookies are never compared. */
const ONLY_VERSION = 1 as Version

export class SealedCookie {
  readonly name: string
  readonly #lines: CookieLines
  readonly #sealer: Sealer
  /** What everything is sealed for, so that what else is sealed with the same secret does not open here. */
  readonly #purpose: string

  constructor (config: SessionConfig) {
    this.name = config.cookie
    this.#lines = new CookieLines(config)
    this.#sealer = new Sealer(config.secret)
    this.#purpose = `cookie ${config.cookie}`
  }

  /** @returns the sessions that the browser brings and that this server can have sealed, in the order of the header */
  read ({ headers: { cookie } }: CookieRequest): Carried[] {
    if (cookie?.includes(this.name) !== true) return []
    const carried: Carried[] = []
    const chunks = chunksIn(cookie, this.name)
    for (let nth = 0, candidates = 0; nth < chunks.count && candidates < MAX_CANDIDATES; nth++) {
      const sealed = join(chunks.find(nth), this.name)
      if (sealed === undefined) continue
      candidates++
      const text = this.#sealer.open(Buffer.from(sealed, 'base64url'), this.#purpose)
      if (text !== undefined) carried.push(carriedIn(text))
    }
    return carried
  }

  /** How many cookies of a session the browser has, whatever is in them. */
  countIn ({ headers: { cookie } }: CookieRequest): number {
    if (cookie?.includes(this.name) !== true) return 0
    return countChunks(chunksIn(cookie, this.name).find(0), this.name)
  }

  /** @throws SessionTooLargeError when the cookies could not hold it */
  assertFits (request: CookieRequest, record: NewRecord): void {
    const length = Sealer.lengthOf(textOf({ id: ANY_ID, record }))
    const capacity = capacityOf(this.#rooms(request))
    if (length > capacity) throw new SessionTooLargeError(length, capacity, 'cookies')
  }

  /** @returns the lines that set the cookies of a session that fits, of which there are as few as possible */
  lines (request: CookieRequest, carried: Carried, isPersistent: boolean): string[] {
    const suffix = maxAge(isPersistent, carried.record.expiresAt)
    const sealed = this.#sealer.seal(textOf(carried), this.#purpose).toString('base64url')
    return split(sealed, this.#rooms(request)).map((chunk, index) => this.#lines.line(request, chunkName(this.name, index), chunk, suffix))
  }

  /**
   * @param from how many of the cookies stay
   * @returns the lines that clear the others
   */
  clearing (request: CookieRequest, present: number, from = 0): string[] {
    const lines: string[] = []
    for (let index = from; index < present; index++) lines.push(this.#lines.line(request, chunkName(this.name, index), CLEARED))
    return lines
  }

  /** How many characters fit into the value of each cookie. */
  #rooms (request: CookieRequest): number[] {
    return Array.from({ length: MAX_COOKIES }, (_, index) => MAX_COOKIE_BYTES - this.#lines.overhead(request, chunkName(this.name, index), LONGEST_AGE))
  }
}

/** The cookies that sessions may be in. A browser may have several of one name. */
interface Chunks {
  /** How many there are of the first one. */
  readonly count: number
  /** Finds of several cookies of one name that with this index; the only one, where there are no others. */
  readonly find: (nth: number) => FindCookie
}

/** Searches the header once for each name, however often the name is in it. */
function chunksIn (header: string, name: string): Chunks {
  const first = findCookies(header, name)
  const values = new Map([[name, first]])
  for (let index = 1; index < MAX_COOKIES; index++) values.set(chunkName(name, index), findCookies(header, chunkName(name, index)))
  return { count: first.length, find: nth => name => nthOf(values.get(name), nth) }
}

function nthOf (values: readonly string[] = [], nth: number): string | undefined {
  return values.length === 1 ? values[0] : values[nth]
}

function textOf ({ id, record }: Carried): string {
  const { payload, ...facts } = plainOf({ ...record, version: ONLY_VERSION })
  return `${JSON.stringify({ id, ...facts } satisfies Facts)}\n${payload}`
}

function carriedIn (text: string): Carried {
  const end = text.indexOf('\n')
  const { id, ...facts } = JSON.parse(text.slice(0, end)) as Facts
  return { id, record: recordOf({ ...facts, payload: text.slice(end + 1) }) }
}
