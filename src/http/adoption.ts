/**
 * Sessions of another package whose cookies visitors still have (the option `adopt`). Each goes on as a session of this package:
 * it is stored here once, then loaded as every other, and ended where it was.
 */
import { hash } from 'node:crypto'
import { Signer } from '@fastify/cookie'
import type { AdoptConfig, SessionConfig } from '../config/options.ts'
import { SessionHeadersSentError, SessionStoreError, SessionTooLargeError, SessionValueError } from '../errors.ts'
import type { Report } from '../report.ts'
import { adopt } from '../session/adopt.ts'
import type { ClientInfo } from '../session/changes.ts'
import { keyOf, type SessionId } from '../session/id.ts'
import { isObject } from '../session/plain.ts'
import type { SessionSettings } from '../session/settings.ts'
import { userIdOf } from '../session/user-id.ts'
import { destroySession, findSession } from '../stores/connect.ts'
import { bare, concealed, reasonOf, storeError, withCauses } from '../stores/faults.ts'
import { within } from '../stores/within.ts'
import type { CookieRequest, PresentedCookie } from './cookie.ts'
import { findCookies } from './cookie-header.ts'
import type { SentCookies } from './response-headers.ts'
import { CLEARED, CookieLines } from './set-cookie.ts'

/** What express-session puts in front of a signed value. */
const SIGNED = 's:'

/** The most cookies of other packages that are looked at in a request; a browser that moves brings one. */
const MOST_CANDIDATES = 3

export class Adoption {
  readonly #sources: readonly OldSource[]

  constructor (config: SessionConfig, report: Report) {
    this.#sources = config.adopt.map(adopt => new OldSource(adopt, config, report))
  }

  /** @returns the request's cookies of other packages whose signatures are right, in the order of the options */
  find (request: CookieRequest): OldCookie[] {
    return this.#sources.flatMap(source => source.find(request)).slice(0, MOST_CANDIDATES)
  }

  /** Ends the sessions that were to be ended later. Never fails. */
  async close (): Promise<void> {
    await Promise.all(this.#sources.map(async source => { await source.close() }))
  }
}

/** A cookie of another package, in one request. */
export class OldCookie {
  /** What its session has here. Requests at the same time compute the same id, and so find one session. */
  readonly presented: PresentedCookie
  /** Whether it has been found to name no session any more. */
  isDead = false
  readonly #source: OldSource
  readonly #value: string
  #isEnded = false

  /**
   * @param text the cookie as the browser sends it: whoever knows the session's old id alone does not know the new one
   * @param value without the signature
   */
  constructor (source: OldSource, text: string, value: string) {
    this.#source = source
    this.#value = value
    const id = hash('sha256', `ambient-session adopts ${source.cookie}\n${text}`, 'base64url') as SessionId
    this.presented = { id, key: keyOf(id), isOutdated: true }
  }

  get name (): string {
    return this.#source.cookie
  }

  /**
   * Stores the session here, unless that has been done, and ends it in the old store.
   *
   * @returns whether there is something here now: a session, or what says that it has ended since
   * @throws SessionStoreError when one of the two stores cannot be reached
   */
  async takeOver (settings: SessionSettings, clientInfo: ClientInfo | undefined): Promise<boolean> {
    const { key } = this.presented
    if (await settings.store.read(key) !== undefined) return true
    const read = await this.#source.read(this.#value)
    if (read.data === undefined) {
      // Another request may have taken it over meanwhile, and have ended it there.
      if (await settings.store.read(key) !== undefined) return true
      this.isDead = read.isDead
      return false
    }
    try {
      const isFirst = await adopt(settings, key, read.data, read.userId, clientInfo)
      if (isFirst && !this.#source.isCopied) await this.#end()
      return true
    } catch (error) {
      // With the driver `cookie` a connection that was upgraded cannot take a session over.
      if (error instanceof SessionHeadersSentError) return false
      if (!(error instanceof SessionValueError || error instanceof SessionTooLargeError)) throw error
      this.#source.reportUnreadable(error)
      this.isDead = true
      return false
    }
  }

  /** Has the browser forget the cookie. */
  clear (request: CookieRequest, headers: SentCookies, isEarly: boolean): void {
    this.#source.clear(request, headers, isEarly)
  }

  /**
   * Has the browser forget the cookie, and the old store the session.
   *
   * @param isOver whether the visitor has signed out
   */
  leave (request: CookieRequest, headers: SentCookies, isEarly: boolean, isOver: boolean): void {
    this.clear(request, headers, isEarly)
    if (isOver || !this.#source.isCopied) void this.#end()
    else this.#source.later(() => this.#end())
  }

  async #end (): Promise<void> {
    if (this.#isEnded) return
    this.#isEnded = true
    await this.#source.end(this.#value)
  }
}

/** What an old store has said. */
interface Read {
  readonly data?: Record<string, unknown>
  readonly userId?: string | undefined
  readonly isDead: boolean
}

/** Where the sessions of another package are, and how their cookies are verified. */
class OldSource {
  readonly cookie: string
  /** With the driver `cookie` each answer takes a copy of the session along, so that requests at the same time still need the old one. */
  readonly isCopied: boolean
  readonly #grace: number
  readonly #adopt: AdoptConfig
  readonly #signer: Signer | undefined
  readonly #lines: CookieLines
  readonly #timeout: number
  readonly #report: Report
  /** What is to be done when requests that are under way now have been answered. */
  readonly #later = new Map<NodeJS.Timeout, () => Promise<void>>()

  constructor (adopt: AdoptConfig, config: SessionConfig, report: Report) {
    this.cookie = adopt.cookie
    this.isCopied = config.driver === 'cookie'
    this.#grace = config.grace * 1000
    this.#adopt = adopt
    this.#signer = adopt.secret.length === 0 ? undefined : new Signer([...adopt.secret])
    this.#lines = new CookieLines({ ...config, path: adopt.path, domain: adopt.domain, partitioned: adopt.partitioned })
    this.#timeout = config.timeout * 1000
    this.#report = report
  }

  find ({ headers: { cookie } }: CookieRequest): OldCookie[] {
    if (cookie === undefined) return []
    return findCookies(cookie, this.cookie).flatMap(text => {
      const value = this.#verified(text)
      return value === undefined || value === '' ? [] : new OldCookie(this, text, value)
    })
  }

  /**
   * Reads an old session, and once more where that took longer than `grace`: another request may have taken it over meanwhile and its
   * visitor have signed out, of which no tombstone tells any more.
   */
  async read (value: string): Promise<Read> {
    const startedAt = performance.now()
    const read = await this.#readWithUser(value)
    const isCertain = read.data === undefined || this.isCopied || performance.now() - startedAt < this.#grace
    return isCertain ? read : await this.#readWithUser(value)
  }

  async #readWithUser (value: string): Promise<Read> {
    const read = await this.#readData(value)
    return read.data === undefined ? read : { ...read, userId: await this.#userOf(read.data) }
  }

  async #readData (value: string): Promise<Read> {
    try {
      const found = await within(this.#timeout, async () => await this.#ask(value))
      // Without a signature the cookie may be that of something else.
      if (found == null) return { isDead: this.#signer !== undefined }
      if (isObject(found)) return { data: { ...found }, isDead: false }
      this.reportUnreadable(new Error('it is no object with a session\'s keys and values'))
    } catch (error) {
      if (!isSyntaxError(error)) throw concealed(error as Error, value)
      // Its text quotes what is stored.
      this.reportUnreadable(new Error('it is damaged: reading it was a SyntaxError'))
    }
    return { isDead: true }
  }

  async #userOf (data: Record<string, unknown>): Promise<string | undefined> {
    const { user } = this.#adopt
    if (user === undefined) return undefined
    try {
      const id = await within(this.#timeout, async () => await user(data))
      return id == null ? undefined : userIdOf(id)
    } catch (error) {
      if (error instanceof SessionStoreError) throw error
      const advice = error instanceof SessionValueError ? ': adopt.user gave no id; for a guest, have it give undefined' : ''
      throw storeError('failed', `the user of a session of the cookie '${this.cookie}' could not be found${advice}`, error)
    }
  }

  clear (request: CookieRequest, headers: SentCookies, isEarly: boolean): void {
    headers.setCookies([this.#lines.line(request, this.cookie, CLEARED)], line => line.startsWith(`${this.cookie}=`), isEarly)
  }

  /** Does something when requests that are under way now have been answered, or the application is closed. */
  later (work: () => Promise<void>): void {
    const timer = setTimeout(() => {
      this.#later.delete(timer)
      void work()
    }, this.#grace).unref()
    this.#later.set(timer, work)
  }

  async close (): Promise<void> {
    const works = [...this.#later.values()]
    for (const timer of this.#later.keys()) clearTimeout(timer)
    this.#later.clear()
    await Promise.all(works.map(work => work()))
  }

  /** Never fails: what could not be ended is reported. */
  async end (value: string): Promise<void> {
    const { store, end } = this.#adopt
    try {
      await within(this.#timeout, async () => store === undefined ? await end?.(value) : await destroySession(store, value))
    } catch (error) {
      const cause = concealed(error instanceof SessionStoreError ? error : bare(error), value)
      const message = `a session of the cookie '${this.cookie}' has been adopted, and could not be ended in its old store`
      this.#report({ code: 'AMBIENT_SESSION_ADOPT', message, cause })
    }
  }

  reportUnreadable (cause: unknown): void {
    this.#report({
      code: 'AMBIENT_SESSION_ADOPT',
      message: `a session of the cookie '${this.cookie}' cannot be read, and its visitor counts as a new one`,
      cause: bare(cause)
    })
  }

  async #ask (value: string): Promise<unknown> {
    const { read, store } = this.#adopt
    if (store !== undefined) {
      const found = await findSession(store, value)
      if (!isObject(found)) return found
      // What those packages say there of their own cookie means nothing here, but for its end: some stores leave that to them.
      const { cookie, ...data } = found
      return isObject(cookie) && hasPassed(cookie['expires']) ? undefined : data
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
    return valid ? id : undefined
  }
}

/** @param end a Date, or what JSON makes of it */
function hasPassed (end: unknown): boolean {
  return (end instanceof Date || typeof end === 'string') && new Date(end).getTime() <= Date.now()
}

/** Whether what is stored is damaged: asking again gives the same, and the visitor could never go on. */
function isSyntaxError (error: unknown): boolean {
  return [...withCauses(error)].some(({ name }) => name === 'SyntaxError')
}
