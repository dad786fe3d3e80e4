/** A whole session in cookies of the browser, encrypted and bound to their name. */
import type { SessionConfig } from '../config/options.ts'
import { SessionTooLargeError } from '../errors.ts'
import { newSessionId, type SessionId } from '../session/id.ts'
import { Sealer } from '../session/payload.ts'
import type { NewRecord } from '../stores/store.ts'
import { type CookieRequest, MAX_CANDIDATES } from './cookie.ts'
import { capacityOf, chunkName, countChunks, type FindCookie, join, MAX_COOKIE_BYTES, MAX_COOKIES, split } from './cookie-chunks.ts'
import { findCookies } from './cookie-header.ts'
import { OpenedCookies } from './opened-cookies.ts'
import { CLEARED, CookieLines, maxAge } from './set-cookie.ts'

/** A session as its cookies say it. */
export interface Carried {
  readonly id: SessionId
  readonly record: NewRecord
}

/** Has as many characters as every other. */
const ANY_ID = newSessionId()
/** Seconds with as many digits as any lifetime has that the options allow. */
const LONGEST_AGE = '; Max-Age=9999999999'

export class SealedCookie {
  readonly name: string
  /** Whether a line of Set-Cookie is one of a session's: others may begin with the same name and a dot. */
  readonly isOwn: (line: string) => boolean
  readonly #lines: CookieLines
  readonly #sealer: Sealer
  readonly #opened: OpenedCookies
  /** What everything is sealed for, so that what else is sealed with the same secret does not open here. */
  readonly #purpose: string
  /** How many characters fit into the value of each cookie. */
  readonly #rooms: readonly number[]
  readonly #capacity: number

  constructor (config: SessionConfig) {
    this.name = config.cookie
    this.#lines = new CookieLines(config)
    this.#sealer = new Sealer(config.secret)
    this.#purpose = `session cookie ${config.cookie}`
    this.#opened = new OpenedCookies(sealed => this.#sealer.open(sealed, this.#purpose))
    const names = Array.from({ length: MAX_COOKIES }, (_, index) => chunkName(this.name, index))
    const beginnings = names.map(name => `${name}=`)
    this.isOwn = line => beginnings.some(beginning => line.startsWith(beginning))
    this.#rooms = names.map(name => MAX_COOKIE_BYTES - this.#lines.overhead(name, LONGEST_AGE))
    this.#capacity = capacityOf(this.#rooms)
  }

  /** @returns the sessions that the browser brings and that this server can have sealed, in the order of the header */
  read (chunks: Chunks): Carried[] {
    const carried: Carried[] = []
    for (let nth = 0, candidates = 0; nth < chunks.count && candidates < MAX_CANDIDATES; nth++) {
      const sealed = join(chunks.find(nth), this.name)
      if (sealed === undefined) continue
      candidates++
      const text = this.#opened.textIn(Buffer.from(sealed, 'base64url'))
      if (text !== undefined) carried.push(carriedIn(text))
    }
    return carried
  }

  /** How many cookies of a session the browser has, whatever is in them. */
  countIn (chunks: Chunks): number {
    return countChunks(chunks.find(0), this.name)
  }

  /** @throws SessionTooLargeError when the cookies could not hold it */
  assertFits (record: NewRecord): void {
    const length = Sealer.lengthOf(textOf({ id: ANY_ID, record }))
    if (length > this.#capacity) throw new SessionTooLargeError(length, this.#capacity, 'cookies')
  }

  /** @returns the lines that set the cookies of a session that fits, of which there are as few as possible */
  lines (request: CookieRequest, carried: Carried, isPersistent: boolean): string[] {
    const suffix = maxAge(isPersistent, carried.record.expiresAt)
    const text = textOf(carried)
    const sealed = this.#sealer.seal(text, this.#purpose)
    this.#opened.remember(sealed, text)
    return split(sealed.toString('base64url'), this.#rooms).map((chunk, index) => this.#lines.line(request, chunkName(this.name, index), chunk, suffix))
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
}

/** The cookies of one request that sessions may be in. A browser may have several of one name. */
export class Chunks {
  readonly #header: string
  readonly #name: string
  /** The header is searched once for each name, however often the name is in it. */
  readonly #found = new Map<string, readonly string[]>()

  constructor ({ headers: { cookie = '' } }: CookieRequest, name: string) {
    this.#header = cookie
    this.#name = name
  }

  /** How many there are of the first one. */
  get count (): number {
    return this.#values(this.#name).length
  }

  /** Finds of several cookies of one name that with this index; the only one, where there are no others. */
  find (nth: number): FindCookie {
    return name => {
      const values = this.#values(name)
      return values.length === 1 ? values[0] : values[nth]
    }
  }

  #values (name: string): readonly string[] {
    const found = this.#found.get(name) ?? findCookies(this.#header, name)
    this.#found.set(name, found)
    return found
  }
}

/** A line with the id and the times, in milliseconds since 1970, and the payload below it. */
function textOf ({ id, record: { createdAt, expiresAt, payload } }: Carried): string {
  return `${id} ${createdAt.getTime()} ${expiresAt.getTime()}\n${payload}`
}

function carriedIn (text: string): Carried {
  const end = text.indexOf('\n')
  const [id, createdAt, expiresAt] = text.slice(0, end).split(' ')
  return { id: id as SessionId, record: { createdAt: new Date(Number(createdAt)), expiresAt: new Date(Number(expiresAt)), payload: text.slice(end + 1) } }
}
