/** All sessions of an application: those of a user, or all that there are. Outside of requests as well. */
import { resolveConfig } from './config/resolve.ts'
import type { SessionOptions } from './config/options.ts'
import { currentRequestIfAny, currentSessionIfAny } from './context.ts'
import { Ending, type FoundPage } from './ending.ts'
import { SessionConfigError, SessionListError, SessionUsageError } from './errors.ts'
import type { SessionEnds } from './http/session-ends.ts'
import { reportToProcess } from './report.ts'
import { isStoreKey } from './session/id.ts'
import type { Session } from './session/session.ts'
import { tombstoneUntil } from './session/settings.ts'
import { userIdOf } from './session/user-id.ts'
import { createStore, openStore } from './stores/create.ts'
import { can, type EndReason, type ListedRecord, type ListFilter, type SessionStore, type StoreKey, type StoreWith } from './stores/store.ts'

/** A session in a list: without its data. */
export interface ListedSession {
  /** SHA-256 of the session's id: names the session, and opens nothing. */
  readonly key: StoreKey
  readonly userId: string | undefined
  /** When it was first stored; a new id does not change that. */
  readonly createdAt: Date
  /** When it was last written or its end moved, to the minute or so; undefined for a session that has no user. */
  readonly lastActivity: Date | undefined
  /** When it ends if it is not used again. */
  readonly expiresAt: Date
  /** From where, and with what, it was last written; undefined where that is not known. */
  readonly ipAddress: string | undefined
  readonly userAgent: string | undefined
  /** Whether it is the session of the request in whose flow it was listed. */
  readonly isCurrent: boolean
}

export interface SessionPageOptions {
  /** The `next` of the page before; without it, the first page. */
  readonly page?: string | undefined
  /** The most sessions on a page. Default: 100. */
  readonly limit?: number
}

export interface SessionPage {
  readonly sessions: readonly ListedSession[]
  /** Where the next page begins; undefined on the last one. */
  readonly next: string | undefined
}

const LIMIT = 100
/** Records on a page where all records are read. */
const MANY = 1000
/**
 * The most rounds of listing a user's sessions and ending what was found. After two rounds that found none, and of which none can
 * have been missed, there are no more: what begins or gets a new id during one round is found by the next.
 */
const MOST_ROUNDS = 100

/** All methods but `close` reject with a SessionListError when the store cannot list. */
export interface Sessions {
  /** @returns a user's sessions, that of the newest activity first */
  for (userId: string | number): Promise<ListedSession[]>

  /**
   * Ends a session, for requests in flight as well: they store nothing any more.
   *
   * @returns whether there was a living one
   */
  destroy (key: StoreKey | string): Promise<boolean>

  /**
   * Ends all sessions of a user, including those that begin meanwhile.
   * Rejects with a SessionUsageError when `except` is no key of a session, or there are other options; with a SessionStoreError
   * when there are some that this process may not read or cannot end, after it has ended all others, and when others begin or get new ids
   * faster than they can be ended.
   *
   * @param options.except the key of a session to spare: `session().key`, to log out the user's other devices
   * @returns how many have been ended
   */
  destroyFor (userId: string | number, options?: { readonly except?: StoreKey | string | undefined }): Promise<number>

  /** @returns how many living sessions there are, or how many a user has */
  count (filter?: { readonly userId?: string | number | undefined }): Promise<number>

  /**
   * All living sessions, page by page, in the store's order. One that lives all the while under one id is on exactly one page.
   * Rejects with a SessionUsageError when `limit` is no whole number of at least 1, or `page` no text.
   *
   * @example
   * ```ts
   * let page: string | undefined
   * do {
   *   const { sessions, next } = await app.sessions.all({ page })
   *   console.log(sessions.length)
   *   page = next
   * } while (page !== undefined)
   * ```
   */
  all (options?: SessionPageOptions): Promise<SessionPage>
}

/** Sessions opened by {@link openSessions}, to be closed by its caller. */
export interface OpenSessions extends Sessions {
  /** Closes the store. */
  close (): Promise<void>
}

export class SessionsInStore implements Sessions {
  readonly #store: SessionStore
  readonly #grace: number
  readonly #ends: SessionEnds | undefined

  /**
   * @param grace milliseconds for which tombstones of ended sessions stand
   * @param ends told of each session that is ended
   */
  constructor (store: SessionStore, grace: number, ends?: SessionEnds) {
    this.#store = store
    this.#grace = grace
    this.#ends = ends
  }

  async for (userId: string | number): Promise<ListedSession[]> {
    const sessions: ListedSession[] = []
    for await (const page of this.#pages({ userId: userIdOf(userId) })) sessions.push(...page.sessions)
    return sessions.sort((a, b) => lastUse(b) - lastUse(a))
  }

  async destroy (key: StoreKey | string): Promise<boolean> {
    this.#assertListed()
    if (!isStoreKey(key)) return false
    // A session that the request begins after that is not to be taken away by late requests with the old cookie.
    const current = this.#currentUnder(key)
    return current === undefined ? await this.#end(key, 'ended') : await current.endIn(stored => this.#end(stored, 'replaced'))
  }

  async destroyFor (userId: string | number, options: { readonly except?: StoreKey | string | undefined } = {}): Promise<number> {
    const filter = { userId: userIdOf(userId) }
    const except = exceptIn(options)
    const current = currentSessionIfAny()
    // In a request that gives its session a new id, it is stored under the old one until it is committed.
    const spared = except !== undefined && current?.isKnownAs(except) === true ? current : undefined
    const isSpared = ({ key }: { readonly key: StoreKey }): boolean => key === except || spared?.isKnownAs(key) === true
    const ending = new Ending(key => this.destroy(key))
    // A session that gets a new id while it is listed can be missed under both of them, once. Hence the second look.
    for (let round = 0, empty = 0; empty < 2; round++) {
      if (round === MOST_ROUNDS) throw ending.error(`others begin, or get new ids, faster than they can be ended (${MOST_ROUNDS} rounds)`)
      ending.begin()
      for await (const page of this.#pages(filter)) await ending.add({ ...page, sessions: page.sessions.filter(listed => !isSpared(listed)) })
      empty = ending.foundSome ? 0 : empty + 1
    }
    return ending.result()
  }

  async count ({ userId }: { readonly userId?: string | number | undefined } = {}): Promise<number> {
    const filter = userId === undefined ? {} : { userId: userIdOf(userId) }
    const store = this.#assertListed()
    if (can(store, 'count')) return await store.count(filter)
    let count = 0
    for await (const { sessions } of this.#pages(filter)) count += sessions.length
    return count
  }

  async all ({ page, limit = LIMIT }: SessionPageOptions = {}): Promise<SessionPage> {
    assertPage(page, limit)
    const { records, next } = await this.#assertListed().list({}, { limit, after: page })
    return { sessions: records.map(withCurrent(currentSessionIfAny())), next }
  }

  async * #pages (filter: ListFilter): AsyncGenerator<FoundPage & { readonly sessions: readonly ListedSession[] }> {
    const current = currentSessionIfAny()
    let after: string | undefined
    do {
      const { records, next, unreadable = 0, moved = [] } = await this.#assertListed().list(filter, { limit: MANY, after })
      yield { sessions: records.map(withCurrent(current)), unreadable, moved }
      after = next
    } while (after !== undefined)
  }

  async #end (key: StoreKey, reason: EndReason): Promise<boolean> {
    if (await this.#store.destroy(key, tombstoneUntil({ grace: this.#grace }), undefined, reason) !== 'destroyed') return false
    this.#ends?.leave({ key, to: undefined })
    return true
  }

  /** @returns the current request's session, if it is the one under the key. One that cannot be read counts as another. */
  #currentUnder (key: StoreKey): Session | undefined {
    const current = currentSessionIfAny()
    if (current === undefined || currentRequestIfAny()?.server.sessions !== this) return undefined
    try {
      return current.isKnownAs(key) ? current : undefined
    } catch {
      return undefined
    }
  }

  #assertListed (): StoreWith<'list'> {
    if (can(this.#store, 'list')) return this.#store
    throw new SessionListError('the store of this application cannot list sessions, nor end one by its key: the drivers ' +
      "'cookie' and 'null' keep none, and stores for express-session cannot. Use 'file', 'memory', 'redis' or 'database'")
  }
}

const NOT_HERE = "driver: 'memory' keeps sessions in the process of the application, and no other process can reach them: use app.sessions " +
  'there, or another driver'

/**
 * Opens the sessions of an application without the application: in a job, a script, a REPL.
 *
 * @param options those of the application; without any, those of `config/session.ts`
 * @throws SessionConfigError for wrong options and for the driver `memory`, SessionStoreError when the store cannot work
 * @example
 * ```ts
 * const sessions = await openSessions()
 * await sessions.destroyFor(userId)
 * await sessions.close()
 * ```
 */
export async function openSessions (options?: SessionOptions): Promise<OpenSessions> {
  const config = await resolveConfig(options)
  if (config.driver === 'memory') throw new SessionConfigError([NOT_HERE], 'openSessions()')
  const store = createStore(config, reportToProcess)
  await openStore(store)
  return Object.assign(new SessionsInStore(store, config.grace * 1000), { close: async () => { await store.close?.() } })
}

/** What comes from a query string is unchecked: some stores take NaN or null for no limit, others fail. */
function assertPage (page: unknown, limit: unknown): void {
  if (!(Number.isSafeInteger(limit) && Number(limit) >= 1)) {
    throw new SessionUsageError(`all({ limit }) takes a whole number of sessions, at least 1; without it, there are ${LIMIT} on a page`)
  }
  if (page !== undefined && typeof page !== 'string') {
    throw new SessionUsageError('all({ page }) takes the `next` of the page before, a text; undefined is the first page')
  }
}

function lastUse ({ lastActivity, createdAt }: ListedSession): number {
  return (lastActivity ?? createdAt).getTime()
}

function withCurrent (current: Session | undefined): (record: ListedRecord) => ListedSession {
  return ({ key, userId, createdAt, lastActivity, expiresAt, ipAddress, userAgent }) => ({
    key,
    userId,
    // Copies: the caller must not change the store's own dates.
    createdAt: new Date(createdAt),
    lastActivity: lastActivity && new Date(lastActivity),
    expiresAt: new Date(expiresAt),
    ipAddress,
    userAgent,
    isCurrent: current?.isKnownAs(key) === true
  })
}

/** What is to be spared has to be understood: otherwise the session that asks would be ended with the others. */
function exceptIn (options: unknown): StoreKey | undefined {
  const { except, ...others } = typeof options === 'object' && options !== null ? options as Record<string, unknown> : { options }
  if (Object.keys(others).length === 0 && (except === undefined || isStoreKey(except))) return except
  throw new SessionUsageError('destroyFor(userId, { except }) spares one session, by its key: { except: session().key }. A key has 64 hexadecimal digits, and is not the session\'s id')
}
