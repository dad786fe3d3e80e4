/** The databases that the tests of the database store run on, each with tables of its own. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import mysql from 'mysql2/promise'
import pg from 'pg'
import type { Test } from 'tap'
import { DatabaseStore, type DatabaseStoreOptions } from '../../src/index.ts'
import type { Dialect } from '../../src/stores/database/schema.ts'
import { openSqlite } from '../../src/stores/database/sqlite.ts'
import { skipWithout } from '../helpers/services.ts'
import type { Warning } from './support.ts'

export const POSTGRES = process.env.TEST_POSTGRES_URL ?? 'postgres://postgres@127.0.0.1:5432/test'
export const MYSQL = process.env.TEST_MYSQL_URL ?? 'mysql://root@127.0.0.1:3306/test'
/** Milliseconds for a server to show that it is there. */
const PATIENCE = 3_000

export interface Service {
  /** For names of tests. */
  readonly name: string
  readonly dialect: Dialect
  /** False, or why tests that need it are skipped. */
  readonly skip: false | string
  /** A URL; of SQLite, to a file of the test's own. */
  readonly url: (t: Test) => string
}

export const postgres: Service = {
  name: 'PostgreSQL',
  dialect: 'postgres',
  skip: await skipWithout('PostgreSQL on 127.0.0.1:5432', async () => await run(POSTGRES, 'select 1').then(() => true)),
  url: () => POSTGRES
}

export const mariadb: Service = {
  name: 'MariaDB',
  dialect: 'mysql',
  skip: await skipWithout('MariaDB on 127.0.0.1:3306', async () => await run(MYSQL, 'select 1').then(() => true)),
  url: () => MYSQL
}

export const sqlite: Service = {
  name: 'SQLite',
  dialect: 'sqlite',
  skip: await skipWithout('SQLite (better-sqlite3, or Node.js 22.13 or later)', async () => await openSqlite(':memory:', PATIENCE).then(() => true)),
  url: t => `sqlite:${join(t.testdir(), 'sessions.sqlite')}`
}

export const services: readonly Service[] = [postgres, mariadb, sqlite]

/** Runs SQL on a server, perhaps several statements, and gives the rows of the last one. */
export async function run (url: string, sql: string): Promise<unknown[]> {
  if (url.startsWith('postgres')) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: PATIENCE })
    try {
      await client.connect()
      const results = [await client.query(sql)].flat() as pg.QueryResult<Record<string, unknown>>[]
      return results.at(-1)?.rows ?? []
    } finally {
      await client.end()
    }
  }
  const connection = await mysql.createConnection({ uri: url, multipleStatements: true, connectTimeout: PATIENCE })
  try {
    const [rows] = await connection.query(sql)
    return rows as unknown[]
  } finally {
    await connection.end()
  }
}

/** The same, on SQLite as well. */
export async function runOn (url: string, sql: string): Promise<unknown[]> {
  if (!url.startsWith('sqlite:')) return await run(url, sql)
  const database = await openSqlite(url.replace('sqlite:', ''), PATIENCE)
  try {
    if (/^(select|show)/.test(sql)) return database.prepare(sql).all()
    database.exec(sql)
    return []
  } finally {
    database.close()
  }
}

export function newTable (): string {
  return `t_${randomBytes(6).toString('hex')}`
}

export interface OpenDatabaseStore {
  readonly store: DatabaseStore
  readonly url: string
  readonly table: string
  readonly warnings: Warning[]
}

/** A store that has been opened, with a table of its own unless there is one already; both go with the test. */
export async function databaseStore (t: Test, service: Service, options: Partial<DatabaseStoreOptions> = {}): Promise<OpenDatabaseStore> {
  const made = newDatabaseStore(t, service, options)
  await made.store.open()
  return made
}

/** The same, before it is opened. */
export function newDatabaseStore (t: Test, service: Service, options: Partial<DatabaseStoreOptions> = {}): OpenDatabaseStore {
  const table = options.table ?? newTable()
  // Asked once: what the directory of a test holds is gone when it is asked for again.
  const url = typeof options.connection === 'string' ? options.connection : service.url(t)
  const warnings: Warning[] = []
  const store = new DatabaseStore({ connection: url, table, createTable: true, report: warning => { warnings.push(warning) }, ...options })
  t.teardown(async () => {
    await store.close()
    if (service.dialect !== 'sqlite') await run(service.url(t), `drop table if exists ${table}`)
  })
  return { store, url, table, warnings }
}
