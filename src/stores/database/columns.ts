/** Whether a table that is there can keep sessions. A column of another type would cut off, change or mix up what it is given. */
import type { Row } from './database.ts'
import { type Column, columns, definitions, type Dialect, migrationCommand, partsOf, quoted } from './schema.ts'
import { Statement } from './statement.ts'

type Name = 'id' | Column

interface Found {
  readonly name: string
  /** As the database writes it. */
  readonly type: string
  /** How many characters or bytes a text may have. */
  readonly length: number
  readonly collation: string
  readonly isNullable: boolean
  /** Whether a row may be inserted without it. */
  readonly isOptional: boolean
  /** Whether no two rows have the same, by this column alone. */
  readonly isUnique: boolean
  /** PostgreSQL: whether that is only looked at when a transaction ends, which an upsert cannot rely on. */
  readonly isDeferrable: boolean
}

/** Characters that have to fit into texts, or bytes. An id may be that of a lock, which is longer. */
const LENGTHS: Partial<Record<Name, number>> = { id: 69, user_id: 255, ip_address: 45, user_agent: 16_384, payload: 2 ** 24 - 1, end_reason: 11 }

/** Texts that are looked for, and must not be taken for one another. */
const COMPARED: readonly string[] = ['id', 'user_id']

/** Tables that lose what was acknowledged when the server crashes or is restarted: engines of MySQL, and a kind of PostgreSQL's. */
const FORGETFUL = /^(?:myisam|memory|blackhole|csv|archive|unlogged)$/i

/** Tables of other session stores, by columns that they have. */
const OTHERS: readonly (readonly [string, readonly string[]])[] = [
  ['express-mysql-session', ['session_id', 'expires', 'data']],
  ['connect-pg-simple', ['sid', 'sess', 'expire']],
  ['connect-session-knex', ['sid', 'sess', 'expired']],
  ['connect-session-sequelize', ['sid', 'expires', 'data']],
  ['Laravel', ['id', 'payload', 'last_activity']]
]

/** Asks for all columns of the table; none are there when there is no table. */
export function columnsQuery (dialect: Dialect, table: string): Statement {
  const { schema, bare } = partsOf(table)
  switch (dialect) {
    case 'postgres':
      return new Statement(`select a.attname as name, format_type(a.atttypid, a.atttypmod) as type, null as length,
  case when to_jsonb(c)->>'collisdeterministic' = 'false' then 'nondeterministic ' else '' end || coalesce(c.collname, '') as collation,
  not a.attnotnull as nullable, not a.attnotnull or a.atthasdef or coalesce(to_jsonb(a)->>'attidentity', '') <> '' as optional,
  case t.relpersistence when 'u' then 'unlogged' end as engine, coalesce(u.immediate, false) as is_unique, not u.immediate as is_deferrable
from pg_attribute a join pg_class t on t.oid = a.attrelid left join pg_collation c on c.oid = a.attcollation
  left join (select indrelid, indkey[0] as attnum, bool_or(indimmediate) as immediate from pg_index
    where indisunique and indpred is null and indnatts = 1 group by 1, 2) u on u.indrelid = a.attrelid and u.attnum = a.attnum
where a.attrelid = to_regclass('${quoted(table, dialect)}') and a.attnum > 0 and not a.attisdropped order by a.attnum`, dialect)
    case 'mysql':
      return new Statement(`select c.column_name as name, c.column_type as type, c.character_maximum_length as length,
  c.collation_name as collation, t.engine as engine, c.is_nullable = 'YES' as nullable,
  c.is_nullable = 'YES' or c.column_default is not null or c.extra <> '' as optional,
  exists (select 1 from information_schema.statistics s
    where s.table_schema = c.table_schema and s.table_name = c.table_name and s.column_name = c.column_name
    and s.non_unique = 0 and s.sub_part is null and not exists (select 1 from information_schema.statistics o
      where o.table_schema = s.table_schema and o.table_name = s.table_name and o.index_name = s.index_name and o.seq_in_index > 1)) as is_unique
from information_schema.columns c join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name
where c.table_schema = ${schema === undefined ? 'database()' : `'${schema}'`} and c.table_name = '${bare}' order by c.ordinal_position`, dialect)
    case 'sqlite': {
      const inSchema = schema === undefined ? '' : `, '${schema}'`
      return new Statement(`select t.name as name, t.type as type, null as length, '' as collation, not t."notnull" as nullable,
  not t."notnull" or t.dflt_value is not null or t.hidden <> 0 as optional,
  exists (select 1 from pragma_index_list('${bare}'${inSchema}) l where l."unique" and not l.partial
    and (select group_concat(i.name) from pragma_index_info(l.name${inSchema}) i) = t.name) as is_unique
from pragma_table_xinfo('${bare}'${inSchema}) t order by t.cid`, dialect)
    }
  }
}

/** @returns what is wrong with a table, one sentence each: nothing when it can keep sessions */
export function problemsOf (rows: readonly Row[], dialect: Dialect, table: string): string[] {
  const found = rows.map(foundIn)
  const byName = new Map(found.map(column => [column.name, column]))
  const names = ['id', ...columns] as const
  const missing = names.filter(name => !byName.has(name))
  const advice = `name another table with the option table, and make it with createTable or with the SQL that \`${migrationCommand(dialect, 'ambient_sessions')}\` prints`
  if (missing.length > 0) {
    const owner = OTHERS.find(([, theirs]) => theirs.every(name => byName.has(name)))?.[0]
    return [`table: ${table} is not a table of this store${owner === undefined ? '' : `, but of ${owner}`}; it has no ${missing.join(', ')}: ${advice}`]
  }
  const wrong = names.flatMap(name => {
    const column = byName.get(name)
    if (column === undefined || isRight(name, column, dialect)) return []
    return [`table ${table}, column ${name}: is ${describe(column)}, and should be ${definitions[dialect][name]}`]
  })
  const strange = found.filter(({ name, isOptional }) => !names.some(ours => ours === name) && !isOptional)
    .map(({ name }) => `table ${table}, column ${name}: the store does not know it, so that it should have a default or allow null`)
  return [...forgetfulness(String(rows[0]?.engine), dialect, table), ...wrong, ...strange]
}

function forgetfulness (engine: string, dialect: Dialect, table: string): string[] {
  if (!FORGETFUL.test(engine)) return []
  return [dialect === 'postgres'
    ? `table ${table}: is ${engine}, which loses all sessions in a crash: \`alter table ${table} set logged\``
    : `table ${table}: its engine is ${engine}, which loses sessions in a crash, and should be InnoDB`]
}

function isRight (name: Name, column: Found, dialect: Dialect): boolean {
  const definition = definitions[dialect][name]
  if (name === 'id' && !column.isUnique) return false
  if (!/not null|primary key/.test(definition) && !column.isNullable) return false
  const needed = LENGTHS[name]
  return needed === undefined ? isWholeNumber(column, dialect) : isText(column, dialect) && column.length >= needed && (!COMPARED.includes(name) || tellsApart(column, dialect))
}

function isWholeNumber ({ type }: Found, dialect: Dialect): boolean {
  return dialect === 'sqlite' ? /int/i.test(type) : /^bigint/.test(type)
}

function isText ({ name, type, collation }: Found, dialect: Dialect): boolean {
  switch (dialect) {
    case 'postgres':
      return /^(?:text|character varying)/.test(type)
    case 'mysql':
      return /^(?:varchar|(?:medium|long)?text)\b/.test(type) && (name === 'id' || collation.startsWith('utf8mb4_'))
    case 'sqlite':
      // What contains INT is a number to SQLite, whatever else it contains.
      return /char|clob|text/i.test(type) && !/int/i.test(type)
  }
}

/** Whether texts are the same only if all of their characters are. */
function tellsApart ({ collation }: Found, dialect: Dialect): boolean {
  return dialect === 'mysql' ? collation.endsWith('_bin') : !collation.startsWith('nondeterministic')
}

function describe ({ type, collation, isNullable, isUnique, isDeferrable, name }: Found): string {
  const key = isDeferrable ? 'with a primary key that is deferrable' : 'without a primary key'
  const parts = [type === '' ? 'without a type' : type, collation !== '' && `collate ${collation}`, !isNullable && 'not null', name === 'id' && !isUnique && key]
  return parts.filter(part => part !== false).join(' ')
}

function foundIn (row: Row): Found {
  const type = String(row.type).toLowerCase()
  const limit = /^character varying\((\d+)\)$/.exec(type)?.[1]
  return {
    name: String(row.name),
    type,
    length: row.length === null ? Number(limit ?? Infinity) : Number(row.length),
    collation: typeof row.collation === 'string' ? row.collation : '',
    isNullable: isTrue(row.nullable),
    isOptional: isTrue(row.optional),
    isUnique: isTrue(row.is_unique),
    isDeferrable: isTrue(row.is_deferrable)
  }
}

/** Drivers give 1 as a number, as BigInt or as text. */
function isTrue (value: unknown): boolean {
  return value === true || Number(value) === 1
}
