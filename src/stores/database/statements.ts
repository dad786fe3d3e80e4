/** Everything that is ever asked of the table, as SQL. */
import { columnsQuery } from './columns.ts'
import { columns, type Dialect, quoted } from './schema.ts'
import { Statement } from './statement.ts'

/** A session that has neither been ended nor expired. Locks have no payload either. */
const LIVING = 'payload is not null and expires_at > :now'

export type Statements = ReturnType<typeof statementsFor>

/** @throws SessionConfigError when the table's name is none */
export function statementsFor (dialect: Dialect, table: string) {
  const name = quoted(table, dialect)
  const prepare = (text: string): Statement => new Statement(text, dialect)
  const names = columns.join(', ')
  const values = columns.map(column => `:${column}`).join(', ')
  const assignments = columns.map(column => `${column} = :${column}`).join(', ')
  const ofUser = {
    postgres: 'user_id = :user_id',
    // MySQL compares as if there were no spaces at the end.
    mysql: 'user_id = :user_id and char_length(user_id) = char_length(:user_id)',
    // What a column of SQLite compares by cannot be asked for.
    sqlite: 'user_id = :user_id collate binary'
  }[dialect]
  const listed = (condition: string): Statement => prepare(
    `select id, ${names.replace('payload, ', '')} from ${name} where ${condition} and id > :after and ${LIVING} order by id limit :limit`
  )
  return {
    /** Fails when this user must not read the table. */
    check: prepare(`select id, ${names} from ${name} where 1 = 0`),

    columns: columnsQuery(dialect, table),

    /** What a server makes of the statements and texts that it is sent. */
    settings: {
      postgres: prepare("select current_setting('server_encoding') as encoding"),
      mysql: prepare('select @@sql_mode as mode, @@character_set_client as charset'),
      sqlite: undefined
    }[dialect],

    read: prepare(`select ${names} from ${name} where id = :id and expires_at > :now`),

    /** Inserts a row, in the place of one that has expired. With MySQL only where there is none: that is `takeOver`. */
    create: prepare(dialect === 'mysql'
      ? `insert into ${name} (id, ${names}) values (:id, ${values})`
      : `insert into ${name} as stored (id, ${names}) values (:id, ${values}) on conflict (id) do update ` +
        `set ${columns.map(column => `${column} = excluded.${column}`).join(', ')} where stored.expires_at <= :now`),

    takeOver: prepare(`update ${name} set ${assignments} where id = :id and expires_at <= :now`),

    replace: prepare(`update ${name} set ${assignments} where id = :id and version = :expected and ${LIVING}`),

    touch: prepare(
      `update ${name} set expires_at = :expires_at, last_activity = coalesce(:last_activity, last_activity) where id = :id and ${LIVING}`
    ),

    /** Leaves a tombstone, in which nothing of the session remains. */
    bury: prepare(
      `update ${name} set payload = null, user_id = null, ip_address = null, user_agent = null, last_activity = null, ` +
      `ended_at = :now, end_reason = :reason, expires_at = :expires_at where id = :id and (version = :expected or :expected = 0) and ${LIVING}`
    ),

    remove: prepare(`delete from ${name} where id = :id and (version = :expected or :expected = 0) and ${LIVING}`),

    /** Removes a lock, if it is still the one that was taken. */
    unlock: prepare(`delete from ${name} where id = :id and version = :version`),

    sweep: prepare({
      // As an array, so that the rows are chosen once whatever the plan; and none that another transaction has locked.
      postgres: `delete from ${name} where id = any (array(` +
        `select id from ${name} where expires_at <= :now order by expires_at limit :limit for update skip locked))`,
      mysql: `delete from ${name} where expires_at <= :now order by expires_at limit :limit`,
      // By id: a table may have been made without a rowid.
      sqlite: `delete from ${name} where id in (select id from ${name} where expires_at <= :now order by expires_at limit :limit)`
    }[dialect]),

    listAll: listed('1 = 1'),
    listOfUser: listed(ofUser)
  }
}
