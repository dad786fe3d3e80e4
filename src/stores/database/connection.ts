/** From what an application says about its database to a database that the store can use. */
import type * as KyselyPackage from 'kysely'
import type { Dialect as KyselyDialect, Kysely } from 'kysely'
import type { Pool as MysqlPool } from 'mysql2'
import type { Pool as PostgresPool } from 'pg'
import { Database, type Instance } from './database.ts'
import { refused } from './faults.ts'
import type { Connection } from './instances.ts'
import { mysqlConnections, newMysqlPool } from './mysql.ts'
import { orNotInstalled } from './packages.ts'
import { newPostgresPool, postgresConnections } from './postgres.ts'
import type { Dialect } from './schema.ts'
import { openSqlite, preparedOnce, type Sqlite } from './sqlite.ts'

/** What an application could hand in as well, with what closes it. */
type Opened = [client: object, close: () => Promise<void>]

/**
 * @param timeout milliseconds after which a connection that does not answer is given up
 * @throws SessionConfigError when the connection makes no sense, or a package is missing
 * @throws SessionStoreError when a file of SQLite cannot be opened
 */
export async function connect (connection: Connection, timeout: number): Promise<Database> {
  const [client, close]: Opened = typeof connection === 'string' ? await open(connection, timeout) : [connection, async () => {}]
  if (isKysely(client)) {
    if (client.isTransaction) {
      throw refused(['connection: expected an instance of Kysely, and not one of its transactions, with which sessions would be undone'])
    }
    const { CompiledQuery } = await loadKysely()
    return new Database(dialectOf(client), client, CompiledQuery.raw, close)
  }
  if (isMysqlPool(client)) {
    return await over('mysql', ({ MysqlDialect }) => new MysqlDialect({ pool: mysqlConnections(callbackPoolOf(client), timeout) }), close)
  }
  if (isPostgresPool(client)) {
    return await over('postgres', ({ PostgresDialect }) => new PostgresDialect({ pool: postgresConnections(client, timeout) }), close)
  }
  if (isSqlite(client)) return await over('sqlite', ({ SqliteDialect }) => new SqliteDialect({ database: preparedOnce(client) }), close)
  throw refused(['connection: expected a URL, an instance of Kysely, a pool of pg or mysql2, or a database of better-sqlite3 or node:sqlite; of @fastify/postgres app.pg.pool, or app.pg.NAME.pool'])
}

async function open (url: string, timeout: number): Promise<Opened> {
  const [, scheme = '', rest = ''] = /^(\w+):(.*)$/s.exec(url) ?? []
  switch (scheme) {
    case 'postgres':
    case 'postgresql':
      return await newPostgresPool(checked(url), timeout)
    case 'mysql':
    case 'mariadb':
      return await newMysqlPool(checked(`mysql:${rest}`), timeout)
    case 'sqlite': {
      const file = rest.replace(/^\/\//, '')
      if (file === '') throw refused(['connection: sqlite: names no file; write sqlite:storage/sessions.sqlite'])
      const sqlite = await openSqlite(file, timeout)
      return [sqlite, async () => { sqlite.close() }]
    }
    default:
      throw refused(['connection: expected a URL that begins with postgres://, mysql:// or sqlite:'])
  }
}

/** @throws SessionConfigError that does not repeat the URL, which may hold a password */
function checked (url: string): string {
  if (!URL.canParse(url)) throw refused(['connection: is not a URL; mind that characters like @ : / # in a password have to be percent-encoded'])
  return url
}

async function over (dialect: Dialect, make: (kysely: typeof KyselyPackage) => KyselyDialect, close: () => Promise<void>): Promise<Database> {
  const kyselyPackage = await loadKysely()
  const kysely = new kyselyPackage.Kysely<Record<string, never>>({ dialect: make(kyselyPackage), log: [] })
  return new Database(dialect, kysely, kyselyPackage.CompiledQuery.raw, async () => {
    await kysely.destroy()
    await close()
  })
}

async function loadKysely () {
  return await import('kysely').catch(orNotInstalled('kysely'))
}

/** What an instance speaks, told from how it writes a query. */
function dialectOf (kysely: Instance): Dialect {
  const { sql } = (kysely as unknown as Kysely<{ t: { c: number } }>).selectFrom('t').where('c', '=', 1).compile()
  if (sql.includes('$1')) return 'postgres'
  if (sql.includes('`')) return 'mysql'
  if (sql.includes('?')) return 'sqlite'
  throw refused(['connection: this instance of Kysely speaks neither PostgreSQL nor MySQL nor SQLite'])
}

function isKysely (connection: object): connection is Instance {
  return has(connection, 'getExecutor') && has(connection, 'selectFrom')
}

function isPostgresPool (connection: object): connection is PostgresPool {
  return has(connection, 'connect') && 'totalCount' in connection
}

function isMysqlPool (connection: object): connection is MysqlPool {
  return has(connection, 'getConnection')
}

/** The pool with callbacks that is within one with promises. */
function callbackPoolOf (pool: MysqlPool | { readonly pool: MysqlPool }): MysqlPool {
  return 'pool' in pool ? pool.pool : pool
}

function isSqlite (connection: object): connection is Sqlite {
  return has(connection, 'prepare') && has(connection, 'exec')
}

function has (object: object, method: string): boolean {
  return typeof (object as Record<string, unknown>)[method] === 'function'
}
