/**
 * Sessions in Redis or Valkey, shared by any number of machines.
 *
 * A session is a hash that expires with it. What has to be atomic is done by scripts on the server, so that a session is
 * read in one round trip and written in one. All sessions are on lists by which they can be found, those of a user also on
 * the user's list. That one may be on another server of a cluster, and so is written first: a session is only ever given
 * an expiry up to which the list of its user is already sure to name it.
 */
import { randomBytes } from 'node:crypto'
import { SessionConfigError, SessionLockTimeoutError } from '../../errors.ts'
import type { Report } from '../../report.ts'
import { reportToProcess } from '../../report.ts'
import { KeyedLock, RETRY_AFTER } from '../keyed-lock.ts'
import type {
  ListFilter, LockOptions, NewRecord, Page, RecordPage, SessionStore, StoredRecord, StoreKey, Unlock, Version
} from '../store.ts'
import type { Connection, RedisClient } from './client.ts'
import { connectionOf } from './client.ts'
import { messageOf, withoutCommand } from './faults.ts'
import { Keys, shardOf } from './keys.ts'
import { Link } from './link.ts'
import { listRecords, textsOf } from './list.ts'
import { takeLock } from './lock.ts'
import type { ClientPackage, OwnConnection } from './open.ts'
import { CLIENT_PACKAGES, connect } from './open.ts'
import { FACTS, factsOf, fieldsOf, milliseconds } from './record.ts'
import { COMPARE_AND_SET, DESTROY, ENLIST_FOR_USER, STAMP_LENGTH, TOUCH } from './scripts.ts'

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
  /** Told once per outage of a connection that the store has opened. Default: a warning of the process */
  readonly report?: Report | undefined
}

const DEFAULT_PREFIX = 'ambient_session:'
const DEFAULT_TIMEOUT = 2_000
/** Milliseconds by which the clocks of two servers of a cluster may differ before a user's list could lose a session. */
const CLOCKS_DIFFER = 60_000
const RANDOM_OF_STAMP = 10

export class RedisStore implements SessionStore {
  readonly #url: string | undefined
  readonly #packages: readonly ClientPackage[]
  readonly #timeout: number
  readonly #report: Report
  readonly #keys: Keys
  readonly #link: Link
  readonly #locks = new KeyedLock()
  readonly #stamps = stamps()
  #own: OwnConnection | undefined
  #isOut = false

  /** @throws SessionConfigError when the connection is neither a URL of Redis nor a client */
  constructor ({ connection, prefix = DEFAULT_PREFIX, timeout = DEFAULT_TIMEOUT, client, report = reportToProcess }: RedisStoreOptions) {
    this.#packages = client === undefined ? CLIENT_PACKAGES : [client]
    this.#timeout = timeout
    this.#report = report
    this.#keys = new Keys(prefix)
    this.#link = new Link(timeout)
    if (typeof connection === 'string') this.#url = checkedUrl(connection)
    else this.#link.use(checkedClient(connection))
  }

  /**
   * Connects. A server that cannot be reached yet is reported, and does not keep the application from starting: its requests
   * are answered with 503 until the server is there.
   *
   * @throws SessionConfigError when no client is installed that could open the URL
   */
  async open (): Promise<void> {
    if (this.#url === undefined) return
    this.#own = await connect(this.#url, this.#packages, {
      timeout: this.#timeout,
      onFault: error => { this.#fault(error) },
      onLost: () => { if (!this.#isOut) this.#fault(new Error('it was closed')) },
      onReady: () => { this.#recover() }
    })
    this.#link.use(this.#own)
    await this.#link.ready().catch(() => { this.#fault(new Error(`no connection within ${this.#timeout} ms`)) })
  }

  async read (key: StoreKey): Promise<StoredRecord | 'gone' | undefined> {
    const name = this.#keys.session(key)
    const [gone, payload, ...values] = textsOf(await this.#link.send('HMGET', [name, 'gone', 'payload', ...FACTS], name))
    if (gone !== undefined) return 'gone'
    const facts = factsOf(values)
    return payload === undefined || facts === undefined ? undefined : { payload, ...facts }
  }

  async compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version | 'conflict' | 'gone'> {
    const deadline = this.#link.deadline()
    const { userId, expiresAt } = record
    const { set, remove } = fieldsOf(record)
    const stamp = this.#stamps()
    const write = async (listed: number): Promise<unknown> => await this.#link.run(COMPARE_AND_SET, this.#names(key), [
      key, String(expected ?? ''), milliseconds(expiresAt), stamp,
      userId === undefined ? '' : String(listed), userId ?? '',
      String(remove.length), ...remove, ...set
    ], deadline)
    const enlist = async (): Promise<number> => userId === undefined ? 0 : await this.#enlist(userId, key, expiresAt, deadline)

    // A session that exists is on its user's list already, as a rule.
    const answer = String(await write(expected === undefined ? await enlist() : 0))
    return versionOr(answer === 'unlisted' ? String(await write(await enlist())) : answer)
  }

  async touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): Promise<boolean> {
    const deadline = this.#link.deadline()
    const names = this.#names(key)
    const used = lastActivity === undefined ? '' : milliseconds(lastActivity)
    const touch = async (user: string, listed: number): Promise<boolean> => {
      const answer = await this.#link.run(TOUCH, names, [key, milliseconds(expiresAt), used, String(listed), user], deadline)
      if (!Array.isArray(answer)) return Number(answer) === 1
      const owner = String(answer[0])
      return await touch(owner, await this.#enlist(owner, key, expiresAt, deadline))
    }
    return await touch('', 0)
  }

  async destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version): Promise<'destroyed' | 'conflict' | 'gone'> {
    const until = tombstoneUntil === undefined ? '' : milliseconds(tombstoneUntil)
    const answer = await this.#link.run(DESTROY, this.#names(key), [key, String(expected ?? ''), until, this.#stamps()])
    return String(answer) as 'destroyed' | 'conflict' | 'gone'
  }

  async list (filter: ListFilter, page: Page): Promise<RecordPage> {
    return await listRecords(this.#link, this.#keys, filter, page)
  }

  /** Exclusive between processes; in the order they came within one. */
  async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    const until = Date.now() + options.wait
    const unlockHere = await this.#locks.acquire(key, options)
    try {
      const unlockEverywhere = await takeLock(this.#link, this.#keys.lock(key), options.lease, until)
      if (unlockEverywhere === undefined) throw new SessionLockTimeoutError(RETRY_AFTER)
      return async () => {
        try {
          await unlockEverywhere()
        } finally {
          await unlockHere()
        }
      }
    } catch (error) {
      await unlockHere()
      throw error
    }
  }

  async close (): Promise<void> {
    if (this.#own === undefined) return
    this.#link.use(undefined)
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
  async #enlist (userId: string, key: StoreKey, expiresAt: Date, deadline: number): Promise<number> {
    const until = expiresAt.getTime() + Math.max(0, expiresAt.getTime() - Date.now())
    await this.#link.run(ENLIST_FOR_USER, [this.#keys.user(userId)], [key, String(until), String(CLOCKS_DIFFER)], deadline)
    return until
  }

  #fault (error: unknown): void {
    this.#link.suffers(error)
    if (this.#isOut) return
    this.#isOut = true
    this.#report({
      code: 'AMBIENT_SESSION_STORE',
      message: `the connection of the session store to Redis has failed (${messageOf(error)}): requests that use a session are answered with 503 until it is back`,
      cause: withoutCommand(error)
    })
  }

  #recover (): void {
    this.#isOut = false
    this.#link.suffers(undefined)
  }
}

function checkedUrl (url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed !== undefined && /^rediss?:$/.test(parsed.protocol) && parsed.hostname !== '') return url
  // The URL itself is not told: it may contain a password.
  throw new SessionConfigError(['connection: expected a URL such as redis://127.0.0.1:6379, or rediss:// for TLS'])
}

function checkedClient (client: unknown): Connection {
  const connection = connectionOf(client)
  if (connection !== undefined) return connection
  throw new SessionConfigError(['connection: expected a URL, or a client of ioredis, iovalkey or redis'])
}

/** @returns a function that gives another text at each call, which no other process gives */
function stamps (): () => string {
  const random = randomBytes(RANDOM_OF_STAMP).toString('base64url').slice(0, RANDOM_OF_STAMP)
  let count = 0
  return () => random + (count++).toString(36).padStart(STAMP_LENGTH - RANDOM_OF_STAMP, '0').slice(RANDOM_OF_STAMP - STAMP_LENGTH)
}

function versionOr (answer: string): Version | 'conflict' | 'gone' {
  return answer === 'conflict' || answer === 'gone' ? answer : Number(answer) as Version
}
