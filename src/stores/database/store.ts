/** The contract of a store, by statements of SQL. */
import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { SessionConfigError, SessionStoreError, SessionUsageError } from '../../errors.ts'
import { type Report, reportToProcess } from '../../report.ts'
import { bare, reasonOf, storeError } from '../faults.ts'
import { refusalToSet, versionAfter } from '../record.ts'
import {
  type EndReason, isRecord, type ListFilter, type LockOptions, type NewRecord, type Page, type RecordPage, type SessionStore, type StoredRecord,
  type StoreKey, type Tombstone, type Unlock, type Version
} from '../store.ts'
import { TwoLevelLock } from '../two-level-lock.ts'
import { LONGEST_OPENING, type TimeLimit, within } from '../within.ts'
import { problemsOf } from './columns.ts'
import { connect } from './connection.ts'
import type { Database, Result } from './database.ts'
import { isAlreadyMade, isDuplicate, isOfDatabase, isRefusal, refused } from './faults.ts'
import type { Connection } from './instances.ts'
import { retrying } from './retrying.ts'
import { listedIn, recordIn, rowOf } from './rows.ts'
import { type Dialect, migration, migrationCommand } from './schema.ts'
import type { Statement, Value } from './statement.ts'
import { type Statements, statementsFor } from './statements.ts'

export interface DatabaseStoreOptions {
  /**
   * The database: a URL (`postgres://…`, `mysql://…`, `sqlite:FILE`), a pool of `pg` or `mysql2`, a database of
   * `better-sqlite3` or `node:sqlite`, or an instance of Kysely. What is handed in is not closed with the store.
   */
  readonly connection: Connection
  /** The table, perhaps with its schema in front. Default: `sessions`. */
  readonly table?: string
  /** Makes the table when it is missing. Default: false. */
  readonly createTable?: boolean
  /** Milliseconds after which a call that the database has not answered fails. Default: 2000. */
  readonly timeout?: number
  readonly report?: Report
}

const TIMEOUT = 2000
/** Rows that are removed by one statement. */
const BATCH = 1000
/** Times that making the table is tried while other processes make it. */
const CREATE_ATTEMPTS = 5
/** Milliseconds before a lock that may yet be taken is released once more. */
const REVOKE_AGAIN = 50
/** Each lock has a random number, small enough for the integers of JavaScript and the databases. */
const MAX_TOKEN = 2 ** 48 - 1
/** Stands for any version where one may be expected; none is 0. */
const ANY_VERSION = 0
/** MariaDB compares keys with nothing else. */
const IS_ASCII = /^[ -~]*$/

type Values = Readonly<Record<string, Value>>

/** A database that is there, with the statements for its table. */
interface Access {
  readonly database: Database
  readonly statements: Statements
}

/** One call of the store, in which statements are run until its time is up. */
type Run = (name: StatementName, values: Values) => Promise<Result>

type StatementName = Exclude<keyof Statements, 'settings'>

/**
 * Keeps sessions in a table of PostgreSQL, MySQL, MariaDB or SQLite. Any number of processes and machines may share it.
 *
 * Every change is one statement that names the version it expects, so the database itself decides which of two commits
 * comes first. What has expired is judged by this process's clock.
 */
export class DatabaseStore implements SessionStore {
  readonly readsSynchronously = false
  readonly #connection: Connection
  readonly #table: string
  readonly #createTable: boolean
  readonly #timeout: number
  readonly #report: Report
  readonly #locks = new TwoLevelLock()
  #opened: Promise<Access> | undefined
  /** That the table has been seen with all its columns; undefined when it has to be looked at, or made, again. */
  #ensured: Promise<void> | undefined

  constructor ({ connection, table = 'sessions', createTable = false, timeout = TIMEOUT, report = reportToProcess }: DatabaseStoreOptions) {
    this.#connection = connection
    this.#table = table
    this.#createTable = createTable
    this.#timeout = timeout
    this.#report = report
  }

  /**
   * Connects, and looks whether the table is right. A server that cannot be reached is no error here: calls fail until it can be.
   *
   * @throws SessionConfigError when the options make no sense, a package is missing, or the table is missing or another one
   * @throws SessionStoreError when the database refuses for good
   */
  async open (): Promise<void> {
    const { database, statements } = await this.#connected()
    try {
      await within(LONGEST_OPENING, () => this.#ensureTable(database, statements))
    } catch (error) {
      if (error instanceof SessionConfigError) throw error
      if (isRefusal(error)) throw new SessionStoreError(`the database cannot keep sessions (${reasonOf(error)})`, { cause: bare(error) })
      const { cause } = asStoreError(error)
      this.#report({
        code: 'AMBIENT_SESSION_STORE',
        message: `sessions will be answered with 503 until the database is there: ${reasonOf(cause)}`,
        cause
      })
    }
  }

  async read (key: StoreKey): Promise<StoredRecord | Tombstone | undefined> {
    return await this.#call(run => read(run, key))
  }

  async compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined): Promise<Version | 'conflict' | 'gone'> {
    return await this.#call(async run => {
      const version = versionAfter(expected)
      const isWritten = expected === undefined
        ? await this.#create(run, { id: key, ...rowOf(record, version) })
        : await changes(run, 'replace', { id: key, expected, ...rowOf(record, version) })
      if (isWritten) return version
      // Whatever refused it was there, even if it has gone by now.
      return refusalToSet(await read(run, key), expected) ?? 'conflict'
    })
  }

  async touch (key: StoreKey, expiresAt: Date, lastActivity?: Date): Promise<boolean> {
    return await this.#call(async run => {
      const values = { id: key, expires_at: expiresAt.getTime(), last_activity: lastActivity?.getTime() ?? null }
      if (await changes(run, 'touch', values)) return true
      // A connection to MySQL may count only rows that have changed, and this one may have had these times already.
      return isRecord(await read(run, key))
    })
  }

  async destroy (key: StoreKey, tombstoneUntil?: Date, expected?: Version, reason: EndReason = 'ended'): Promise<'destroyed' | 'conflict' | 'gone'> {
    return await this.#call(async run => {
      const which = { id: key, expected: expected ?? ANY_VERSION }
      const isDone = tombstoneUntil === undefined
        ? await changes(run, 'remove', which)
        : await changes(run, 'bury', { ...which, reason, expires_at: tombstoneUntil.getTime() })
      if (isDone) return 'destroyed'
      return expected !== undefined && isRecord(await read(run, key)) ? 'conflict' : 'gone'
    })
  }

  async sweep (now: Date, limit: number, signal?: AbortSignal): Promise<number> {
    let removed = 0
    for (;;) {
      const batch = Math.min(BATCH, limit - removed)
      if (batch <= 0) return removed
      const { affected } = await this.#call(run => run('sweep', { now: now.getTime(), limit: batch }))
      removed += affected
      if (affected < batch || signal?.aborted === true) return removed
    }
  }

  async list ({ userId }: ListFilter, { limit, after = '' }: Page): Promise<RecordPage> {
    if (!IS_ASCII.test(after)) throw new SessionUsageError('the next page is asked for by the `next` of the page before')
    return await this.#call(async run => {
      const page = { after, limit: limit + 1 }
      const { rows } = userId === undefined ? await run('listAll', page) : await run('listOfUser', { ...page, user_id: userId })
      const records = rows.slice(0, limit).map(listedIn)
      return { records, next: rows.length > limit ? records.at(-1)?.key : undefined }
    })
  }

  /**
   * Exclusive between processes: a row whose id is `lock:` and the key. The holder of a process that was killed loses it when
   * its lease runs out.
   */
  async lock (key: StoreKey, options: LockOptions): Promise<Unlock> {
    const lock = { id: `lock:${key}`, version: randomInt(1, MAX_TOKEN) }
    return await this.#locks.acquire(key, options, async () => {
      const now = Date.now()
      const row = { ...lock, created_at: now, expires_at: now + options.lease }
      try {
        return await this.#call(run => this.#create(run, row)) ? async () => { await this.#unlock(lock) } : undefined
      } catch (error) {
        void this.#revoke(lock, options.lease)
        throw error
      }
    })
  }

  async close (): Promise<void> {
    const access = await this.#opened?.catch(() => undefined)
    // A silent server does not answer the closing either.
    await within(this.#timeout, async () => { await access?.database.close() }).catch(() => {})
  }

  /** @returns whether the lock was still held */
  async #unlock (lock: Values): Promise<boolean> {
    return await this.#call(run => changes(run, 'unlock', lock))
  }

  /**
   * Releases a lock whose row may have been written although that failed, or be written later when the database goes on. Tries
   * until the row was there, less and less often, and no longer than the lease.
   */
  async #revoke (lock: Values, lease: number): Promise<void> {
    for (let pause = REVOKE_AGAIN; pause < lease; pause *= 2) {
      if (await this.#unlock(lock).catch(() => false)) return
      await delay(pause, undefined, { ref: false })
    }
  }

  /** @returns whether the row is there now: not when there was one that has not expired */
  async #create (run: Run, row: Values): Promise<boolean> {
    try {
      return await changes(run, 'create', row)
    } catch (error) {
      if (!isDuplicate(error)) throw error
      return await changes(run, 'takeOver', row)
    }
  }

  /** Runs one call within its time. Every fault becomes a SessionStoreError. */
  async #call<T> (work: (run: Run) => Promise<T>): Promise<T> {
    const { database, statements } = await this.#connected().catch((error: unknown) => { throw storeError('unreachable', reasonOf(error), error) })
    try {
      return await within(this.#timeout, async limit => {
        await this.#ensureTable(database, statements)
        return await work((name, values) => runIn(database, statements[name], values, limit))
      })
    } catch (error) {
      throw asStoreError(error)
    }
  }

  async #connected (): Promise<Access> {
    this.#opened ??= connect(this.#connection, this.#timeout).then(database => ({ database, statements: statementsFor(database.dialect, this.#table) }))
    return await this.#opened
  }

  /** Checks or makes the table, once for all calls; again after a failure. */
  async #ensureTable (database: Database, statements: Statements): Promise<void> {
    this.#ensured ??= within(this.#timeout, limit => this.#checkTable(database, statements, limit)).catch((error: unknown) => {
      this.#ensured = undefined
      throw error
    })
    await this.#ensured
  }

  async #checkTable (database: Database, { settings, columns, check }: Statements, limit: TimeLimit): Promise<void> {
    if (settings !== undefined) assertSafeForTexts(database.dialect, await runIn(database, settings, {}, limit))
    const { rows } = await runIn(database, columns, {}, limit)
    if (rows.length > 0) {
      const problems = problemsOf(rows, database.dialect, this.#table)
      if (problems.length > 0) throw refused(problems)
    } else if (this.#createTable) {
      await this.#makeTable(database, limit)
    } else {
      const command = migrationCommand(database.dialect, this.#table)
      throw refused([`table: there is no table ${this.#table}: make it with the SQL that \`${command}\` prints, or set createTable`])
    }
    await runIn(database, check, {}, limit)
  }

  async #makeTable (database: Database, limit: TimeLimit): Promise<void> {
    for (let n = 1; ; n++) {
      try {
        return await retrying(limit, () => database.runAll(migration(database.dialect, this.#table)))
      } catch (error) {
        if (!isAlreadyMade(error) || n === CREATE_ATTEMPTS) throw error
      }
    }
  }
}

async function runIn (database: Database, statement: Statement, values: Values, limit: TimeLimit): Promise<Result> {
  return await retrying(limit, () => database.run(statement, { now: Date.now(), ...values }, limit))
}

async function read (run: Run, key: StoreKey): Promise<StoredRecord | Tombstone | undefined> {
  const { rows: [row] } = await run('read', { id: key })
  return row === undefined ? undefined : recordIn(row)
}

/** @returns whether the statement has changed its row */
async function changes (run: Run, name: StatementName, values: Values): Promise<boolean> {
  return (await run(name, values)).affected > 0
}

/** Every character has to be kept, whichever one it is. */
function assertSafeForTexts (dialect: Dialect, { rows: [settings = {}] }: Result): void {
  const { mode, charset, encoding } = settings
  if (dialect === 'postgres' && encoding !== 'UTF8') {
    // PostgreSQL refuses a text with a character that the encoding does not have.
    throw refused([
      `connection: the encoding of the database is ${String(encoding)}, in which not every session can be stored, and should be UTF8: ` +
      "use one that was made with `create database NAME encoding 'UTF8' template template0`"
    ])
  }
  if (dialect !== 'mysql') return
  // mysql2 writes values into the statement's text: the SQL mode must keep them quoted.
  if (String(mode).includes('NO_BACKSLASH_ESCAPES')) {
    throw refused(['connection: the SQL mode NO_BACKSLASH_ESCAPES is not safe with mysql2; take it out of sql_mode'])
  }
  if (charset !== 'utf8mb4') throw refused([`connection: its character set is ${String(charset)}, and should be utf8mb4`])
}

function asStoreError (error: unknown): SessionStoreError {
  if (error instanceof SessionStoreError) return error
  return isOfDatabase(error) || error instanceof SessionConfigError
    ? storeError('failed', `the database cannot keep sessions at the moment (${reasonOf(error)})`, error)
    : storeError('unreachable', `the connection to the database has failed (${reasonOf(error)})`, error)
}
