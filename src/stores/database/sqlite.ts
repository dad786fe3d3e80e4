/** SQLite, by `better-sqlite3` or by `node:sqlite`. */
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { SqliteDatabase as KyselySqlite, SqliteStatement as KyselyStatement } from 'kysely'
import { SessionConfigError, SessionStoreError } from '../../errors.ts'
import { bare, reasonOf } from '../faults.ts'
import { within } from '../within.ts'
import { refused } from './faults.ts'
import { isMissing } from './packages.ts'
import { retrying } from './retrying.ts'
import type { Value } from './statement.ts'

/** What `better-sqlite3` and `node:sqlite` have in common, and the store uses. */
export interface Sqlite {
  prepare (sql: string): SqliteStatement
  exec (sql: string): unknown
  close (): unknown
}

interface SqliteStatement {
  all (...parameters: Value[]): unknown[]
  run (...parameters: Value[]): { changes: number | bigint, lastInsertRowid: number | bigint }
}

/** Opens a file with one of the drivers. */
export type OpenFile = (file: string) => Promise<Sqlite>

/** The drivers by name, the preferred one first. */
export const drivers: Readonly<Record<string, OpenFile>> = {
  'better-sqlite3': file => openWith('better-sqlite3', 'default', file),
  'node:sqlite': file => openWith('node:sqlite', 'DatabaseSync', file)
}

/** @param name no literal where it is imported: the module need not be there, nor its types */
async function openWith<Name extends string> (name: string, exported: Name, file: string): Promise<Sqlite> {
  const { [exported]: Database } = await import(name) as Record<Name, new (file: string) => Sqlite>
  return new Database(file)
}

const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
/**
 * Milliseconds for which SQLite itself waits for another process. It does so without letting anything else run in this
 * one, so the waiting is left to the store, which tries again.
 */
const BUSY_TIMEOUT = 2

/**
 * Opens a file of the store's own, made when it is missing and for its owner only.
 *
 * @throws SessionConfigError when there is no driver
 * @throws SessionStoreError when the file cannot be opened
 */
export async function openSqlite (file: string, timeout: number, choice = drivers): Promise<Sqlite> {
  try {
    if (file !== ':memory:') make(file)
    const sqlite = await withFirstOf(choice, file)
    await within(timeout, limit => retrying(limit, async () => {
      sqlite.exec(`pragma busy_timeout = ${BUSY_TIMEOUT}`)
      sqlite.exec('pragma journal_mode = wal')
      sqlite.exec('pragma synchronous = normal')
    }))
    return sqlite
  } catch (cause) {
    if (cause instanceof SessionConfigError) throw cause
    throw new SessionStoreError(`sessions cannot be kept in ${file} (${reasonOf(cause)})`, { cause: bare(cause) })
  }
}

function make (file: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: DIRECTORY_MODE })
  closeSync(openSync(file, 'a', FILE_MODE))
}

async function withFirstOf (choice: Readonly<Record<string, OpenFile>>, file: string): Promise<Sqlite> {
  const causes: unknown[] = []
  for (const [name, open] of Object.entries(choice)) {
    try {
      return await open(file)
    } catch (error) {
      if (!isUnusable(error, name)) throw error
      causes.push(error)
    }
  }
  throw refused(
    ['SQLite needs the package better-sqlite3 (npm i better-sqlite3) or Node.js 22.13 or later, which has a SQLite of its own'], { cause: causes[0] }
  )
}

/** Whether a driver is not installed, or was built for another Node.js. */
function isUnusable (error: unknown, name: string): boolean {
  return isMissing(error, name) || (error as NodeJS.ErrnoException).code === 'ERR_DLOPEN_FAILED'
}

/** A statement that gives rows; all others of the store change some. */
const READS = /^\s*select/i

/** A database as Kysely wants it, whichever driver it is of, that prepares each statement once. */
export function preparedOnce (sqlite: Sqlite): KyselySqlite {
  const statements = new Map<string, KyselyStatement>()
  return {
    prepare (sql) {
      const statement = statements.get(sql) ?? asKyselyWants(sqlite.prepare(sql), READS.test(sql))
      statements.set(sql, statement)
      return statement
    },
    close () {
      statements.clear()
    }
  }
}

function asKyselyWants (statement: SqliteStatement, reader: boolean): KyselyStatement {
  return {
    reader,
    all: parameters => statement.all(...parameters as Value[]),
    run: parameters => statement.run(...parameters as Value[]),
    iterate: parameters => statement.all(...parameters as Value[]).values()
  }
}
