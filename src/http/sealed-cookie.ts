/** A whole session in cookies of the browser, encrypted and bound to their name. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { SessionConfig } from '../config/schema.ts'
import { SessionTooLargeError } from '../errors.ts'
import type { SessionId, StoreKey } from '../session/id.ts'
import { newSessionId } from '../session/id.ts'
import type { PayloadFormat } from '../session/payload.ts'
import { sealedPayload } from '../session/payload.ts'
import type { PlainRecord } from '../stores/plain-record.ts'
import { plainOf, recordOf } from '../stores/plain-record.ts'
import type { NewRecord, Version } from '../stores/store.ts'
import type { FindCookie } from './cookie-chunks.ts'
import { capacityOf, chunkName, countChunks, join, MAX_COOKIE_BYTES, MAX_COOKIES, split } from './cookie-chunks.ts'
import { findCookie } from './cookie-header.ts'
import { CLEARED, CookieLines } from './set-cookie.ts'

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
/** Nobody compares the versions of different cookies. */
const ONLY_VERSION = 1 as Version

export class SealedCookie {
  readonly name: string
  readonly #lines: CookieLines
  readonly #isPersistent: boolean
  readonly #format: PayloadFormat
  /** What everything is sealed for, so that what else is sealed with the same secret does not open here. */
  readonly #purpose: StoreKey

  constructor (config: SessionConfig) {
    this.name = config.cookie
    this.#lines = new CookieLines(config)
    this.#isPersistent = !config.expireOnClose
    this.#format = sealedPayload(config.secret)
    this.#purpose = `cookie ${config.cookie}` as StoreKey
  }

  /** @returns the session that the browser brings; nothing when there is none, or one that this server cannot have sealed */
  read (request: FastifyRequest): Carried | undefined {
    const sealed = join(finderIn(request), this.name)
    const text = sealed === undefined ? undefined : this.#format.open(fromCookie(sealed), this.#purpose)
    if (text === undefined) return undefined
    const end = text.indexOf('\n')
    const { id, ...facts } = JSON.parse(text.slice(0, end)) as Facts
    return { id, record: recordOf({ ...facts, payload: text.slice(end + 1) }) }
  }

  /** How many cookies of a session the browser has, whatever is in them. */
  countIn (request: FastifyRequest): number {
    return countChunks(finderIn(request), this.name)
  }

  /** @throws SessionTooLargeError when the cookies could not hold it */
  assertFits (reply: FastifyReply, record: NewRecord): void {
    const { length } = this.#seal({ id: ANY_ID, record })
    const capacity = capacityOf(this.#rooms(reply))
    if (length > capacity) throw new SessionTooLargeError(length, capacity, 'cookies')
  }

  /**
   * Sends a session that is known to fit.
   *
   * @param present how many cookies of the session the browser has; those that are not needed any more are cleared
   * @returns how many it has now
   */
  send (reply: FastifyReply, carried: Carried, present: number): number {
    const maxAge = Math.round((carried.record.expiresAt.getTime() - Date.now()) / 1000)
    const lifetime = this.#isPersistent ? `; Max-Age=${maxAge}` : ''
    const chunks = split(this.#seal(carried), this.#rooms(reply))
    for (const [index, chunk] of chunks.entries()) this.#lines.append(reply, chunkName(this.name, index), chunk + lifetime)
    this.clear(reply, present, chunks.length)
    return chunks.length
  }

  /**
   * Clears the cookies that the browser has of a session.
   *
   * @param from how many of them stay
   */
  clear (reply: FastifyReply, present: number, from = 0): void {
    for (let index = from; index < present; index++) this.#lines.append(reply, chunkName(this.name, index), CLEARED)
  }

  #seal ({ id, record }: Carried): string {
    const { payload, ...facts } = plainOf({ ...record, version: ONLY_VERSION })
    return toCookie(this.#format.seal(`${JSON.stringify({ id, ...facts } satisfies Facts)}\n${payload}`, this.#purpose))
  }

  /** How many characters fit into the value of each cookie. */
  #rooms (reply: FastifyReply): number[] {
    return Array.from({ length: MAX_COOKIES }, (_, index) => MAX_COOKIE_BYTES - this.#lines.line(reply, chunkName(this.name, index), LONGEST_AGE).length)
  }
}

function finderIn ({ headers: { cookie = '' } }: FastifyRequest): FindCookie {
  return name => findCookie(cookie, name)
}

/** Base64 as base64url, and the colon as a dot: nothing that a cookie would have to escape. */
function toCookie (sealed: string): string {
  return sealed.replace(':', '.').replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

/** Node.js reads base64url as base64. */
function fromCookie (text: string): string {
  return text.replace('.', ':')
}
