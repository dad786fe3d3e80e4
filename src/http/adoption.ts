/**
 * Sessions of another package whose cookies visitors still have (the option `adopt`). Each goes on as a session of this package:
 * it is stored here once, then loaded as every other, and ended where it was.
 */
import { hash } from 'node:crypto'
import { Signer } from '@fastify/cookie'
import type { AdoptConfig, SessionConfig } from '../config/options.ts'
import { SessionTooLargeError, SessionValueError } from '../errors.ts'
import type { Report } from '../report.ts'
import { adopt } from '../session/adopt.ts'
import type { SessionId } from '../session/id.ts'
import { keyOf } from '../session/id.ts'
import type { SessionManager } from '../session/manager.ts'
import { isObject } from '../session/plain.ts'
import { destroySession, findSession } from '../stores/connect.ts'
import { bare, reasonOf, storeError } from '../stores/faults.ts'
import { within } from '../stores/within.ts'
import type { CookieRequest, PresentedCookie } from './cookie.ts'
import { findCookies } from './cookie-header.ts'
import type { SentCookies } from './response-headers.ts'
import { CLEARED, CookieLines } from './set-cookie.ts'

/** What express-session puts in front of a signed value. */
const SIGNED = 's:'

export class Adoption {
  readonly #origins: readonly Origin[]

  constructor (config: SessionConfig, report: Report) {
    this.#origins = config.adopt.map(adopt => new Origin(adopt, config, report))
  }

  /** @returns the session of another package that the request's cookies name, if the signature is right */
  find (request: CookieRequest): OldSession | undefined {
    for (const origin of this.#origins) {
      const value = origin.find(request)
      if (value !== undefined) return new OldSession(origin, value)
    }
    return undefined
  }
}

/** A session of another package, as one request presents it. */
export class OldSession {
  /** As this package knows it. Two requests at the same time make the same of it, and so find one session. */
  readonly presented: PresentedCookie
  readonly #origin: Origin
  readonly #value: string
  #isLeft = false

  constructor (origin: Origin, value: string) {
    this.#origin = origin
    this.#value = value
    const id = hash('sha256', `ambient-session adopts ${origin.cookie}\n${value}`, 'base64url') as SessionId
    this.presented = { id, key: keyOf(id), isOutdated: true }
  }

  /**
   * Stores the session here, unless that has been done, or it has ended since.
   *
   * @throws SessionStoreError when one of the two stores cannot be reached
   */
  async takeOver (manager: SessionManager): Promise<void> {
    const { key } = this.presented
    if (await manager.store.read(key) !== undefined) return
    const data = await this.#origin.read(this.#value)
    if (data === undefined) return
    try {
      await adopt(manager, key, data, this.#origin.userOf(data))
    } catch (error) {
      if (!(error instanceof SessionValueError || error instanceof SessionTooLargeError)) throw error
      this.#origin.reportUnreadable(error)
    }
  }

  /** Has the browser forget the old cookie, and the old store the session. To be called when the browser is told of the new one. */
  leave (request: CookieRequest, headers: SentCookies, isEarly: boolean): void {
    if (this.#isLeft) return
    this.#isLeft = true
    this.#origin.clear(request, headers, isEarly)
    void this.#origin.end(this.#value)
  }
}

/** Where the sessions of another package are, and how their cookies are verified. */
class Origin {
  readonly cookie: string
  readonly #adopt: AdoptConfig
  readonly #signer: Signer | undefined
  readonly #lines: CookieLines
  readonly #timeout: number
  readonly #report: Report

  constructor (adopt: AdoptConfig, config: SessionConfig, report: Report) {
    this.cookie = adopt.cookie
    this.#adopt = adopt
    this.#signer = adopt.secret.length === 0 ? undefined : new Signer([...adopt.secret])
    this.#lines = new CookieLines({ ...config, path: adopt.path, domain: adopt.domain, partitioned: false })
    this.#timeout = config.timeout * 1000
    this.#report = report
  }

  find ({ headers: { cookie } }: CookieRequest): string | undefined {
    if (cookie === undefined) return undefined
    return findCookies(cookie, this.cookie).map(value => this.#verified(value)).find(value => value !== undefined && value !== '')
  }

  /** @returns undefined where there is none, or it cannot be read any more */
  async read (value: string): Promise<Record<string, unknown> | undefined> {
    try {
      const found = await within(this.#timeout, async () => await this.#read(value))
      if (found == null) return undefined
      if (isObject(found) && !Array.isArray(found)) return { ...found }
      this.reportUnreadable(new Error('it is no object with a session\'s keys and values'))
    } catch (error) {
      if (!isSyntaxError(error)) throw error
      this.reportUnreadable(error)
    }
    return undefined
  }

  userOf (data: Record<string, unknown>): string | number | null | undefined {
    return this.#adopt.user?.(data)
  }

  clear (request: CookieRequest, headers: SentCookies, isEarly: boolean): void {
    headers.setCookies([this.#lines.line(request, this.cookie, CLEARED)], line => line.startsWith(`${this.cookie}=`), isEarly)
  }

  async end (value: string): Promise<void> {
    const { store, end } = this.#adopt
    try {
      if (store === undefined) await end?.(value)
      else await destroySession(store, value)
    } catch (cause) {
      const message = `a session of the cookie '${this.cookie}' has been adopted, and could not be ended in its old store`
      this.#report({ code: 'AMBIENT_SESSION_ADOPT', message, cause: bare(cause) })
    }
  }

  reportUnreadable (cause: unknown): void {
    this.#report({
      code: 'AMBIENT_SESSION_ADOPT',
      message: `a session of the cookie '${this.cookie}' cannot be read, and its visitor counts as a new one`,
      cause: bare(cause)
    })
  }

  async #read (value: string): Promise<unknown> {
    const { read, store } = this.#adopt
    if (store !== undefined) {
      const found = await findSession(store, value)
      if (found == null) return undefined
      // What express-session says there of its own cookie means nothing here.
      const { cookie: _cookie, ...data } = found as { cookie?: unknown }
      return data
    }
    try {
      return await read?.(value)
    } catch (error) {
      throw isSyntaxError(error) ? error : storeError('failed', `a session of the cookie '${this.cookie}' could not be read (${reasonOf(error)})`, error)
    }
  }

  #verified (value: string): string | undefined {
    if (this.#signer === undefined) return value
    const { valid, value: id } = this.#signer.unsign(value.startsWith(SIGNED) ? value.slice(SIGNED.length) : value)
    return valid ? id ?? undefined : undefined
  }
}

/** Whether what is stored is damaged: asking again gives the same, and the visitor could never go on. */
function isSyntaxError (error: unknown): boolean {
  for (let each = error; each instanceof Error; each = each.cause) if (each.name === 'SyntaxError') return true
  return false
}
