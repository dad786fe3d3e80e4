import type { CompiledQuery, Kysely } from 'kysely'
import type { Dialect } from './schema.ts'
import type { Statement, Value } from './statement.ts'
import type { IsOver } from './time.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Result {
  readonly rows: readonly Row[]
  /** How many rows a statement has written or removed. */
  readonly affected: number
}

/** Any tables at all: what is in them is known by the statements. */
export type Instance = Kysely<Record<string, never>>

/** Makes a query of Kysely's from SQL: `CompiledQuery.raw`. */
export type Raw = (sql: string, parameters?: unknown[]) => CompiledQuery

/**
 * A database as the store uses it: a Kysely instance that runs SQL. The plugins of an application's own instance see
 * nothing of it, since they might rename what comes back.
 */
export class Database {
  readonly dialect: Dialect
  readonly #kysely: Instance
  readonly #raw: Raw
  readonly #close: () => Promise<void>

  /** @param close closes what was opened for the store, and leaves alone what was handed in */
  constructor (dialect: Dialect, kysely: Instance, raw: Raw, close: () => Promise<void>) {
    this.dialect = dialect
    this.#kysely = kysely
    this.#raw = raw
    this.#close = close
  }

  async run (statement: Statement, values: Readonly<Record<string, Value>>, isOver: IsOver): Promise<Result> {
    return await this.#kysely.getExecutor().provideConnection(async connection => {
      // Waiting for a free connection may have taken all the time there was; then nobody waits for an answer any more.
      if (isOver()) throw new Error('time was up before the statement could begin')
      const { rows, numAffectedRows } = await connection.executeQuery<Row>(this.#raw(statement.sql, statement.parameters(values)))
      return { rows, affected: Number(numAffectedRows ?? 0) }
    })
  }

  /** Runs statements without parameters in one transaction, where the database has that for such statements. */
  async runAll (statements: readonly string[]): Promise<void> {
    await this.#kysely.getExecutor().provideConnection(async connection => {
      await connection.executeQuery(this.#raw('begin'))
      try {
        for (const sql of statements) await connection.executeQuery(this.#raw(sql))
        await connection.executeQuery(this.#raw('commit'))
      } catch (error) {
        await connection.executeQuery(this.#raw('rollback')).catch(() => {})
        throw error
      }
    })
  }

  async close (): Promise<void> {
    await this.#close()
  }
}
