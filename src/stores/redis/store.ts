/**
 * Sessions in Redis or Valkey, shared by any number of machines.
 *
 * A session is one value that expires with it. What has to be atomic is done by scripts on the server, so that a session is
 * read in one round trip and written in one. All sessions are on lists by which they can be found, those of a user also on
 * the user's list. That one may be on another server of a cluster, and so is written first: a session is only ever given
 * an expiry up to which the list of its user is already sure to name it.
 */
import { randomBytes } from 'node:crypto'
import { SessionConfigError } from '../../errors.ts'
import { type Report, reportToProcess } from '../../report.ts'
import { bare, reasonOf, storeError } from '../faults.ts'
import { versionAfter } from '../record.ts'
import type {
  EndReason, ListFilter, LockOptions, NewRecord, Page, RecordPage, SessionStore, StoredRecord, StoreKey, Tombstone, Unlock, Version
} from '../store.ts'
import { TwoLevelLock } from '../two-level-lock.ts'
import { LONGEST_OPENING } from '../within.ts'
import { type Connection, connectionOf, type RedisClient } from './client.ts'
import { Keys, shardOf } from './keys.ts'
import { Link, textOf } from './link.ts'
import { listRecords } from './list.ts'
import { lockAttempt } from './lock.ts'
import { CLIENT_PACKAGES, type ClientPackage, connect, type OwnConnection, USER_REFUSED } from './open.ts'
import { prefixUse } from './prefix.ts'
import { activityOf, entryIn, FIRST, keyEnd, NEVER, restOf, STAMP_LENGTH, timeText, userLine, userOf, versionText } from './record.ts'
import { COMPARE_AND_SET, DESTROY, ENLIST_FOR_USER, TOUCH } from './scripts.ts'

export interface RedisStoreOptions {
  /**
   * `redis://` or `rediss://` (with TLS), which the store opens and closes; or a client of ioredis, iovalkey or node-redis, or
   * a cluster of one of these, which is used as it is and left open.
   */
  readonly connection: string | RedisClient
  /** What every key begins with. Default: `ambient_session:` */
  readonly prefix?: string | undefined
  /** Milliseconds after which an operation fails that Redis has not answered. Default: 2000 */
  readonly timeout?: number | undefined
  /** The package that opens the URL. Default: the first of ioredis, iovalkey and redis that is installed */
  readonly client?: ClientPackage | undefined
  /** Called once per outage of a connection that the store has opened, and at the start when other keys begin with the prefix. Default: a warning of the process */
  readonly report?: Report | undefined
}

const DEFAULT_PREFIX = 'ambient_session:'
const DEFAULT_TIMEOUT = 2_000
/** Milliseconds by which the clocks of two servers of a cluster may differ before a user's list could lose a session. */
const CLOCKS_DIFFER = 60_000
/** Characters of a stamp by which processes differ. What is left counts calls, and comes again after 1.7 million of them. */
const RANDOM_OF_STAMP = 6
/** How often a session may change its user while it is touched, before that is an error. */
const MOST_OWNERS = 5
/** What Redis says to a SELECT: there are fewer databases, the user has no right to it, or it is a cluster. */
const DATABASE_REFUSED = /DB index|'select' command|SELECT is not allowed/i

export class RedisStore implements SessionStore {
  readonly #url: string | undefined
  readonly #packages: readonly ClientPackage[]
  readonly #timeout: number
  readonly #report: Report
  readonly #prefix: string
  readonly #keys: Keys
  readonly #link: Link
  readonly #locks = new TwoLevelLock()
  readonly #stamps = stamps()
  #own: OwnConnection | undefined
  #isOut = false

  /** @throws SessionConfigError when the connection is neither a URL of Redis nor a client */
  constructor ({ connection, prefix = DEFAULT_PREFIX, timeout = DEFAULT_TIMEOUT, client, report = reportToProcess }: RedisStoreOptions) {
    this.#packages = client === undefined ? CLIENT_PACKAGES : [client]
    this.#timeout = timeout
    this.#report = report
    this.#prefix = prefix
    this.#keys = new Keys(prefix)
    this.#link = new Link(timeout)
    if (typeof connection === 'string') this.#url = checkedUrl(connection)
    else this.#link.connection = checkedClient(connection)
  }

  /**
   * Connects. A server that cannot be reached yet is reported, and does not keep the application from starting: its requests
   * are answered with 503 until the server is there.
   *
   * @throws SessionConfigError when no client is installed that could open the URL, the server refuses its database, user or
   *   password, or the prefix is that of something else
   */
  async open (): Promise<void> {
    if (this.#url !== undefined) {
      this.#own = await connect(this.#url, this.#packages, {
        timeout: this.#timeout,
        onFault: error => { this.#fault(error) },
        onLost: () => { if (!this.#isOut) this.#fault(new Error('it was closed')) },
        onReady: () => { this.#recover() }
      })
      this.#link.connection = this.#own
    }
    const patience = Math.min(this.#timeout, LONGEST_OPENING)
    const deadline = performance.now() + patience
    try {
      await this.#link.ready(deadline)
    } catch {
      // A client of the application reports to the application itself.
      if (this.#own === undefined) return
      await this.#assertAccepted()
      this.#fault(new Error(`no connection within ${patience} ms`))
      return
    }
    await this.#lookAtPrefix(deadline)
  }

  async read (key: StoreKey): Promise<StoredRecord | Tombstone | undefined> {
    const name = this.#keys.session(key)
    const found = await this.#link.send('GET', [name], name)
    return found === null ? undefined : entryIn(textOf(found))
  }

  async compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version | 'conflict' | 'gone'> {
    const deadline = this.#link.deadline()
    const { userId, expiresAt } = record
    const version = versionAfter(expected)
    const [stamp, user, rest] = [this.#stamps(), userLine(userId), restOf(record)]
    const write = async (listed: string): Promise<string> => await this.#link.run(COMPARE_AND_SET, this.#names(key), [
      expected === undefined ? FIRST : versionText(expected), versionText(version),
      timeText(expiresAt.getTime()), keyEnd(expiresAt), listed, stamp, user, rest
    ], deadline)

    // A session that exists is on its user's list already, as a rule.
    let answer = expected === undefined && userId !== undefined ? 'unlisted' : await write(userId === undefined ? '' : NEVER)
    if (answer === 'unlisted' && userId !== undefined) answer = await write(await this.#enlist(userId, key, expiresAt, deadline))
    if (answer === 'unlisted') throw storeError('failed', 'the user of a session was taken off its list while it was written')
    return answer === 'conflict' || answer === 'gone' ? answer : version
  }

  async touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): Promise<boolean> {
    const deadline = this.#link.deadline()
    let [listed, user] = [NEVER, '']
    for (let owners = 0; owners <= MOST_OWNERS; owners++) {
      const answer = await this.#link.run(
        TOUCH, this.#names(key), [timeText(expiresAt.getTime()), keyEnd(expiresAt), activityOf(lastActivity), listed, user], deadline
      )
      if (answer === '1' || answer === '0') return answer === '1'
      user = answer
      listed = await this.#enlist(userOf(user), key, expiresAt, deadline)
    }
    throw storeError('failed', 'the user of a session kept changing while it was touched')
  }

  async destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version, reason: EndReason = 'ended'): Promise<'destroyed' | 'conflict' | 'gone'> {
    const deadline = this.#link.deadline()
    const answer = await this.#link.run(DESTROY, this.#names(key), [
      expected === undefined ? '' : versionText(expected), tombstoneUntil === undefined ? '' : keyEnd(tombstoneUntil),
      this.#stamps(), `${reason} ${Date.now()}`
    ], deadline)
    if (answer === 'conflict' || answer === 'gone') return answer
    if (answer !== 'destroyed') await this.#unlist(userOf(answer), key, deadline)
    return 'destroyed'
  }

  async list (filter: ListFilter, page: Page): Promise<RecordPage> {
    return await listRecords(this.#link, this.#keys, filter, page)
  }

  /** Exclusive between processes; in the order they came within one. */
  async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    return await this.#locks.acquire(key, options, lockAttempt(this.#link, this.#keys.lock(key), options.lease))
  }

  async close (): Promise<void> {
    if (this.#own === undefined) return
    this.#link.connection = undefined
    await this.#own.close()
  }

  #names (key: StoreKey): [string, string] {
    return [this.#keys.session(key), this.#keys.shard(shardOf(key))]
  }

  /**
   * Puts a session on its user's list. It stays there for twice as long as asked, so that this is needed once in a lifetime
   * and not whenever the expiry moves.
   *
   * @returns until when it is sure to be there
   */
  async #enlist (userId: string, key: StoreKey, expiresAt: Date, deadline: number): Promise<string> {
    const until = timeText(expiresAt.getTime() + Math.max(0, expiresAt.getTime() - Date.now()))
    await this.#link.run(ENLIST_FOR_USER, [this.#keys.user(userId)], [key, until, String(CLOCKS_DIFFER)], deadline)
    return until
  }

  /** Takes a session that is over from its user's list, which would shed it later. So a failure is none. */
  async #unlist (userId: string, key: StoreKey, deadline: number): Promise<void> {
    const list = this.#keys.user(userId)
    await this.#link.send('ZREM', [list, key], list, deadline).catch(() => {})
  }

  /** @throws SessionConfigError when there is no connection because the server refuses the database, the user or the password of the URL */
  async #assertAccepted (): Promise<void> {
    const reason = reasonOf(this.#link.fault)
    const problem = DATABASE_REFUSED.test(reason)
      ? `Redis refuses the database of the URL: ${reason}; name one that the server has, and that this user may SELECT`
      : USER_REFUSED.test(reason) ? `Redis refuses the user and password of the URL: ${reason}` : undefined
    if (problem === undefined) return
    // The process need not be kept running by further attempts.
    await this.close()
    throw new SessionConfigError([`connection: ${problem}`])
  }

  /** Does not fail where the server cannot be asked, or does not let this user look. */
  async #lookAtPrefix (deadline: number): Promise<void> {
    const use = await prefixUse(this.#link, this.#prefix, deadline).catch(() => 'own')
    const problem = `the Redis keys that begin with ${JSON.stringify(this.#prefix)}`
    const advice = 'give the store a prefix of its own: new RedisStore({ connection, prefix: \'…\' })'
    if (use === 'taken') throw new SessionConfigError([`prefix: ${problem} hold something else than sessions; ${advice}`])
    if (use !== 'shared') return
    this.#report({ code: 'AMBIENT_SESSION_STORE', message: `${problem} are not the session store's alone; ${advice}` })
  }

  #fault (error: unknown): void {
    this.#link.fault = error
    if (this.#isOut) return
    this.#isOut = true
    this.#report({
      code: 'AMBIENT_SESSION_STORE',
      message: `the connection of the session store to Redis has failed (${reasonOf(error)}): requests that use a session are answered with 503 until it is back`,
      cause: bare(error)
    })
  }

  #recover (): void {
    this.#link.fault = undefined
    if (!this.#isOut || this.#link.connection === undefined) return
    this.#isOut = false
    this.#report({ code: 'AMBIENT_SESSION_STORE', message: 'the connection of the session store to Redis is back' })
  }
}

function checkedUrl (url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  // The message does not repeat the URL, which may contain a password.
  if (parsed === undefined || !/^rediss?:$/.test(parsed.protocol) || parsed.hostname === '') {
    throw new SessionConfigError(['connection: expected a URL such as redis://127.0.0.1:6379, or rediss:// for TLS'])
  }
  if (/^(?:\/\d*)?$/.test(parsed.pathname)) return url
  throw new SessionConfigError(['connection: expected the number of a database at the end of the URL, such as redis://127.0.0.1:6379/1'])
}

function checkedClient (client: unknown): Connection {
  const connection = connectionOf(client)
  if (connection !== undefined) return connection
  throw new SessionConfigError(['connection: expected a URL, or a client of ioredis, iovalkey or redis; of @fastify/redis app.redis, or app.redis.NAMESPACE'])
}

/** @returns a function that gives another text at each call, which no other process gives */
function stamps (): () => string {
  const random = randomBytes(RANDOM_OF_STAMP).toString('base64url').slice(0, RANDOM_OF_STAMP)
  let count = 0
  return () => random + (count++).toString(36).padStart(STAMP_LENGTH - RANDOM_OF_STAMP, '0').slice(RANDOM_OF_STAMP - STAMP_LENGTH)
}
