/**
 * The table that sessions are kept in, and the SQL that makes it. One row is one of three things:
 *
 * - a session: it has a payload;
 * - the tombstone of one that is over: the payload and all that is personal are null, `ended_at` and `end_reason` are not;
 * - a lock: the payload is null as well, and the id is `lock:` and the session's key.
 *
 * All of them have had their time when `expires_at` has passed, and are swept away the same way. Times are whole
 * milliseconds since 1970.
 */
import { refused } from './faults.ts'

export const dialects = ['postgres', 'mysql', 'sqlite'] as const

export type Dialect = typeof dialects[number]

/** The columns besides the id, in the order in which statements name them. */
export const columns = [
  'user_id', 'ip_address', 'user_agent', 'payload', 'last_activity', 'version', 'created_at', 'expires_at', 'ended_at', 'end_reason'
] as const

export type Column = typeof columns[number]

/** Shorter than what databases allow, so that the names of the indexes fit as well. */
const TABLE = /^(?:[a-z_]\w{0,47}\.)?[a-z_]\w{0,47}$/i

/**
 * The name of a table as it is written in a statement.
 *
 * @throws SessionConfigError when it is none
 */
export function quoted (table: string, dialect: Dialect): string {
  if (!TABLE.test(table)) {
    throw refused([
      `table: expected a name of letters, digits and underscores, perhaps with a schema and a dot in front, got ${JSON.stringify(table)}`
    ])
  }
  const quote = dialect === 'mysql' ? '`' : '"'
  return table.split('.').map(part => `${quote}${part}${quote}`).join('.')
}

/** Columns of numbers. Times are longer than an `integer` of the servers. */
const numbers = (type: string) => ({
  last_activity: type, version: `${type} not null`, created_at: `${type} not null`, expires_at: `${type} not null`, ended_at: type
})

const TEXTS = { user_id: 'text', ip_address: 'text', user_agent: 'text', payload: 'text', end_reason: 'text' }
const ANY_TEXT = 'character set utf8mb4 collate utf8mb4_bin'

/** What the columns are. */
export const definitions: Readonly<Record<Dialect, Readonly<Record<'id' | Column, string>>>> = {
  postgres: {
    id: 'text collate "C" primary key',
    ...TEXTS,
    ...numbers('bigint')
  },
  mysql: {
    id: 'varchar(80) character set ascii collate ascii_bin primary key',
    user_id: `varchar(255) ${ANY_TEXT}`,
    ip_address: `varchar(255) ${ANY_TEXT}`,
    user_agent: `text ${ANY_TEXT}`,
    payload: `longtext ${ANY_TEXT}`,
    end_reason: `varchar(16) ${ANY_TEXT}`,
    ...numbers('bigint')
  },
  sqlite: {
    id: 'text primary key not null',
    ...TEXTS,
    ...numbers('integer')
  }
}

/**
 * The statements that make the table and its indexes, in their order. None of them fails where what it makes is there.
 *
 * @throws SessionConfigError when the table's name is none
 */
export function migration (dialect: Dialect, table: string): string[] {
  const name = quoted(table, dialect)
  const { schema, bare } = partsOf(table)
  const indexed = ['expires_at', 'user_id'] as const
  const lines = (['id', ...columns] as const).map(column => `${column} ${definitions[dialect][column]}`)
  if (dialect === 'mysql') {
    // MySQL has no `create index if not exists`.
    lines.push(...indexed.map(column => `index ${bare}_${column} (${column})`))
    return [`create table if not exists ${name} (\n  ${lines.join(',\n  ')}\n) engine = InnoDB`]
  }
  // In SQLite it is the index that is put into a schema, and follows its table there.
  const inSchema = dialect === 'sqlite' && schema !== undefined ? `"${schema}".` : ''
  const on = dialect === 'sqlite' ? `"${bare}"` : name
  return [
    `create table if not exists ${name} (\n  ${lines.join(',\n  ')}\n)`,
    ...indexed.map(column => `create index if not exists ${inSchema}"${bare}_${column}" on ${on} (${column})`)
  ]
}

/** A table's name, and that of its schema where it has one. */
export function partsOf (table: string): { readonly schema: string | undefined, readonly bare: string } {
  const [bare = '', schema] = table.split('.').toReversed()
  return { schema, bare }
}

/** The command that prints the migration, for messages. */
export function migrationCommand (dialect: Dialect, table: string): string {
  return `npx ambient-session table --dialect ${dialect}${table === 'sessions' ? '' : ` --table ${table}`}`
}
