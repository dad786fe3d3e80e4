/** What the errors of three databases and their drivers mean to a session store. */
import { SessionConfigError } from '../../errors.ts'

/** What drivers put on their errors, as far as it is looked at here. */
interface DriverError {
  /** `pg`: the SQLSTATE; `mysql2`: a name; `better-sqlite3`: SQLite's name. */
  readonly code?: unknown
  /** `pg`: there is one when the error is the server's. */
  readonly severity?: unknown
  /** `mysql2`: the server's number; or the operating system's, which is negative. */
  readonly errno?: unknown
  readonly sqlState?: unknown
  /** `node:sqlite`: SQLite's extended code. */
  readonly errcode?: unknown
}

const SQLITE_BUSY = 5

/** Deadlocks, serialisation failures, locks that were not to be had. The statement has been undone. */
const RETRYABLE_STATES = new Set(['40001', '40P01', '55P03'])
/** The same where MySQL and MariaDB have no state of their own for it: lock wait timeout, record changed since last read. */
const RETRYABLE_NUMBERS = new Set<unknown>([1205, 1020])

/** Classes of SQLSTATEs: authorisation, no such database, no such schema, syntax and access. */
const REFUSING_CLASSES = new Set(['28', '3D', '3F', '42'])

/** Whether a statement has certainly done nothing, and may well succeed when it is tried again. */
export function isWorthRetrying (error: unknown): boolean {
  const { errno } = detailsOf(error)
  return isBusy(error) || RETRYABLE_NUMBERS.has(errno) || RETRYABLE_STATES.has(stateOf(error))
}

function isOfSqlite (error: unknown): boolean {
  const { code, errcode } = detailsOf(error)
  return typeof errcode === 'number' || (typeof code === 'string' && code.startsWith('SQLITE_'))
}

/** SQLite: another connection holds the lock on the file. */
export function isBusy (error: unknown): boolean {
  const { code, errcode } = detailsOf(error)
  return (typeof code === 'string' && code.startsWith('SQLITE_BUSY')) || (typeof errcode === 'number' && (errcode & 0xff) === SQLITE_BUSY)
}

/** MySQL: there is a row with that key. */
export function isDuplicate (error: unknown): boolean {
  return detailsOf(error).errno === 1062
}

/** PostgreSQL: another process was making the same table or index at the same moment. */
export function isAlreadyMade (error: unknown): boolean {
  return ['23505', '42P07', '42710'].includes(stateOf(error))
}

/**
 * Whether the database is there and refuses for a reason that waiting does not change: a wrong password, no such database
 * or table, no right to use it, a file that is no database.
 */
export function isRefusal (error: unknown): boolean {
  return REFUSING_CLASSES.has(stateOf(error).slice(0, 2)) || (isOfSqlite(error) && !isBusy(error))
}

/** Whether the database has answered, and not a network or a driver in its place. */
export function isOfDatabase (error: unknown): boolean {
  return stateOf(error) !== '' || isOfSqlite(error)
}

/** The SQLSTATE, or an empty text when the error does not come from a server. */
function stateOf (error: unknown): string {
  const { code, severity, sqlState } = detailsOf(error)
  if (typeof sqlState === 'string') return sqlState
  return severity !== undefined && typeof code === 'string' ? code : ''
}

function detailsOf (error: unknown): DriverError {
  return Object(error) as DriverError
}

/** @param problems with the options or with what they name, one sentence each */
export function refused (problems: readonly string[], options?: ErrorOptions): SessionConfigError {
  return new SessionConfigError(problems, 'the database store', options)
}
