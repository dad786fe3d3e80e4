/** Runs SQL through Kysely, on whichever database it is. */
import type { CompiledQuery, DatabaseConnection, Kysely } from 'kysely'
import type { TimeLimit } from '../within.ts'
import type { Dialect } from './schema.ts'
import type { Statement, Value } from './statement.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Result {
  readonly rows: readonly Row[]
  /** How many rows a statement has written or removed. */
  readonly affected: number
}

/** Any tables at all: what is in them is known by the statements. */
export type Instance = Kysely<Record<string, never>>

/**
 * A database as the store uses it: a Kysely instance that runs SQL. The plugins of an application's own instance see
 * nothing of it, since they might rename what comes back.
 */
export class Database {
  readonly dialect: Dialect
  readonly #kysely: Instance
  /** Makes a query of Kysely's from SQL. */
  readonly #raw: typeof CompiledQuery.raw
  readonly close: () => Promise<void>
  /** Whether a connection to MySQL commits each statement by itself; it does not with `autocommit=0`. */
  readonly #commitsItself = new WeakMap<DatabaseConnection, boolean>()

  /** @param close closes what was opened for the store, and leaves alone what was handed in */
  constructor (dialect: Dialect, kysely: Instance, raw: typeof CompiledQuery.raw, close: () => Promise<void>) {
    this.dialect = dialect
    this.#kysely = kysely
    this.#raw = raw
    this.close = close
  }

  async run (statement: Statement, values: Readonly<Record<string, Value>>, limit: TimeLimit): Promise<Result> {
    return await this.#kysely.getExecutor().provideConnection(async connection => {
      // Waiting for a free connection may have taken all the time there was; then no caller waits for an answer any more.
      if (limit.isUp) throw new Error('time was up before the statement could begin')
      const query = this.#raw(statement.sql, statement.parameters(values))
      const { rows, numAffectedRows } = await this.#isAutocommitting(connection)
        ? await connection.executeQuery<Row>(query)
        : await this.#inTransaction(connection, () => connection.executeQuery<Row>(query))
      return { rows, affected: Number(numAffectedRows ?? 0) }
    })
  }

  /** Runs statements without parameters in one transaction, where the database has that for such statements. */
  async runAll (statements: readonly string[]): Promise<void> {
    await this.#kysely.getExecutor().provideConnection(async connection => {
      await this.#inTransaction(connection, async () => {
        for (const sql of statements) await connection.executeQuery(this.#raw(sql))
      })
    })
  }

  /** Asked once for each connection: it may be a setting of the server, of its `init_connect` or of the application. */
  async #isAutocommitting (connection: DatabaseConnection): Promise<boolean> {
    if (this.dialect !== 'mysql') return true
    const known = this.#commitsItself.get(connection)
    if (known !== undefined) return known
    const { rows: [row] } = await connection.executeQuery<Row>(this.#raw('select @@autocommit as autocommit'))
    const does = Number(row?.autocommit) === 1
    this.#commitsItself.set(connection, does)
    return does
  }

  async #inTransaction<T> (connection: DatabaseConnection, work: () => Promise<T>): Promise<T> {
    await connection.executeQuery(this.#raw('begin'))
    try {
      const result = await work()
      await connection.executeQuery(this.#raw('commit'))
      return result
    } catch (error) {
      await connection.executeQuery(this.#raw('rollback')).catch(() => {})
      throw error
    }
  }
}
