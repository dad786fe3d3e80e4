/** Tables that are there already, made by hand or by another package: looked at when the store opens. */
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import ambientSession, { DatabaseStore, session } from '../../src/index.ts'
import { type Column, columns, definitions } from '../../src/stores/database/schema.ts'
import { create, readLiving } from './conformance.ts'
import { mariadb, newTable, postgres, run, runOn, type Service, services, sqlite } from './database-support.ts'

const MINUTE = 60_000

type Changes = Partial<Record<'id' | Column, string>>

/** What a table made with other columns comes to: an error's message, or undefined when it is taken. */
async function opening (t: Test, service: Service, sql: (table: string) => string): Promise<string | undefined> {
  const [url, table] = [service.url(t), newTable()]
  if (service.dialect !== 'sqlite') t.teardown(async () => { await run(url, `drop table if exists ${table}`) })
  await runOn(url, sql(table))
  // Not even where it may make tables, does it change one.
  const store = new DatabaseStore({ connection: url, table, createTable: true })
  try {
    await store.open()
    const { key } = await create(store, '{"a":"\u{1f600}"}')
    t.equal((await readLiving(store, key)).payload, '{"a":"\u{1f600}"}')
    return undefined
  } catch (error) {
    t.match(error, { code: 'ERR_SESSION_CONFIG' })
    return (error as Error).message.replaceAll(table, 'TABLE')
  } finally {
    await store.close()
  }
}

function tableWith ({ dialect }: Service, changes: Changes, more = ''): (table: string) => string {
  const lines = (['id', ...columns] as const).map(name => `${name} ${changes[name] ?? definitions[dialect][name]}`)
  return table => `create table ${table} (${lines.join(', ')}${more})`
}

const BIN = 'character set utf8mb4 collate utf8mb4_bin'

const wrong: readonly (readonly [Service, Changes, string])[] = [
  [postgres, { payload: 'jsonb' }, 'column payload: is jsonb, and should be text'],
  [postgres, { payload: 'json' }, 'column payload: is json, and should be text'],
  [postgres, { payload: 'text not null' }, 'column payload: is text collate default not null, and should be text'],
  [postgres, { payload: 'varchar(1000)' }, 'column payload: is character varying(1000) collate default, and should be text'],
  [postgres, { user_id: 'bigint' }, 'column user_id: is bigint, and should be text'],
  [postgres, { user_id: 'varchar(40)' }, 'column user_id: is character varying(40)'],
  [postgres, { id: 'text' }, 'column id: is text collate default without a primary key, and should be text collate "C" primary key'],
  [postgres, { id: 'text primary key deferrable' }, 'column id: is text collate default not null with a primary key that is deferrable, and should be text collate "C" primary key'],
  [postgres, { id: 'char(64) primary key' }, 'column id: is character(64)'],
  [postgres, { expires_at: 'integer not null' }, 'column expires_at: is integer not null, and should be bigint not null'],
  [postgres, { created_at: 'timestamptz not null' }, 'column created_at: is timestamp with time zone not null, and should be bigint not null'],
  [mariadb, { payload: `text ${BIN}` }, 'column payload: is text collate utf8mb4_bin, and should be longtext'],
  [mariadb, { payload: 'longtext character set utf8mb3' }, 'column payload: is longtext collate utf8mb3_general_ci, and should be longtext character set utf8mb4'],
  [mariadb, { payload: 'longblob' }, 'column payload: is longblob, and should be longtext'],
  [mariadb, { user_id: 'varchar(255) character set utf8mb4 collate utf8mb4_general_ci' }, 'column user_id: is varchar(255) collate utf8mb4_general_ci, and should be varchar(255) character set utf8mb4 collate utf8mb4_bin'],
  [mariadb, { user_id: `varchar(100) ${BIN}` }, 'column user_id: is varchar(100)'],
  [mariadb, { user_id: 'bigint' }, 'column user_id: is bigint('],
  [mariadb, { id: 'varchar(80) character set ascii collate ascii_bin not null' }, 'column id: is varchar(80) collate ascii_bin not null without a primary key'],
  [mariadb, { id: 'varchar(64) character set ascii collate ascii_bin primary key' }, 'column id: is varchar(64)'],
  [mariadb, { last_activity: 'int' }, 'column last_activity: is int(11), and should be bigint'],
  [mariadb, { expires_at: 'datetime not null' }, 'column expires_at: is datetime not null, and should be bigint not null'],
  [sqlite, { user_id: 'integer' }, 'column user_id: is integer, and should be text'],
  [sqlite, { payload: 'blob' }, 'column payload: is blob, and should be text'],
  [sqlite, { payload: '' }, 'column payload: is without a type, and should be text'],
  [sqlite, { id: 'text' }, 'column id: is text without a primary key, and should be text primary key not null'],
  [sqlite, { expires_at: 'text not null' }, 'column expires_at: is text not null, and should be integer not null'],
  [sqlite, { user_agent: 'text not null' }, 'column user_agent: is text not null, and should be text']
]

for (const [service, changes, message] of wrong) {
  const [[name, type]] = Object.entries(changes) as [[string, string]]
  t.test(`${service.name}: a table with ${name} ${type} is refused`, { skip: service.skip }, async t => {
    t.match(await opening(t, service, tableWith(service, changes)), `the database store: table TABLE, ${message}`)
  })
}

t.test('PostgreSQL: a collation that takes users for one another is refused', { skip: postgres.skip }, async t => {
  const collation = newTable()
  await run(postgres.url(t), `create collation ${collation} (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`)
  const message = await opening(t, postgres, tableWith(postgres, { user_id: `text collate ${collation}` }))
  t.match(message, `column user_id: is text collate nondeterministic ${collation}, and should be text`)
  await run(postgres.url(t), `drop table ${(await run(postgres.url(t), `select attrelid::regclass as name from pg_attribute where attcollation = '${collation}'::regcollation`) as { name: string }[])[0]?.name}; drop collation ${collation}`)
})

t.test('MariaDB: an engine that does not keep what it has acknowledged is refused', { skip: mariadb.skip }, async t => {
  const message = await opening(t, mariadb, table => `${tableWith(mariadb, {})(table)} engine = MyISAM`)
  t.match(message, 'the database store: table TABLE: its engine is MyISAM, which loses sessions in a crash, and should be InnoDB')
})

t.test('PostgreSQL: a table that is emptied by a crash is refused', { skip: postgres.skip }, async t => {
  const message = await opening(t, postgres, table => tableWith(postgres, {})(table).replace('table', 'unlogged table'))
  t.match(message, 'the database store: table TABLE: is unlogged, which loses all sessions in a crash: `alter table TABLE set logged`')
})

for (const kind of ['without rowid', 'strict']) {
  t.test(`SQLite: a table that is ${kind} is taken and swept`, { skip: sqlite.skip }, async t => {
    const [url, table] = [sqlite.url(t), newTable()]
    await runOn(url, `${tableWith(sqlite, {})(table)} ${kind}`)
    const store = new DatabaseStore({ connection: url, table })
    t.teardown(async () => { await store.close() })
    await store.open()
    for (let n = 0; n < 3; n++) await create(store, 'expired', -MINUTE)
    const { key } = await create(store)
    t.equal(await store.sweep(new Date(), 2), 2)
    t.equal(await store.sweep(new Date(), 2), 1)
    await readLiving(store, key)
  })
}

t.test('SQLite: users are told apart whatever their column compares by', { skip: sqlite.skip }, async t => {
  const [url, table] = [sqlite.url(t), newTable()]
  await runOn(url, tableWith(sqlite, { user_id: 'text collate nocase' })(table))
  const store = new DatabaseStore({ connection: url, table })
  t.teardown(async () => { await store.close() })
  await store.open()
  const { key, version } = await create(store)
  await store.compareAndSet(key, { ...await readLiving(store, key), userId: 'Ada' }, version)
  t.equal((await store.list({ userId: 'Ada' }, { limit: 10 })).records.length, 1)
  t.same((await store.list({ userId: 'ada' }, { limit: 10 })).records, [])
})

for (const service of services) {
  t.test(`${service.name}: all that is wrong is told at once`, { skip: service.skip }, async t => {
    const number = service === sqlite ? 'integer' : 'bigint'
    const message = await opening(t, service, tableWith(service, { user_id: number, payload: number }, ', tenant int not null'))
    for (const problem of ['3 problems', 'column user_id: is', 'column payload: is', 'column tenant: the store does not know it']) t.match(message, problem)
  })

  t.test(`${service.name}: columns that are wider, and others that need no value, are taken`, { skip: service.skip }, async t => {
    const wider: Changes = service === mariadb
      ? { id: `varchar(100) ${BIN} primary key`, user_id: `varchar(300) ${BIN}`, payload: `mediumtext ${BIN}`, expires_at: 'bigint unsigned not null' }
      : service === postgres ? { id: 'varchar(80) unique not null', user_id: 'varchar' } : { payload: 'varchar(10)', expires_at: 'bigint' }
    t.equal(await opening(t, service, tableWith(service, wider, ', note varchar(10), tenant int not null default 1')), undefined)
  })

  t.test(`${service.name}: clients are told nothing of a table that is dropped or changed under the application`, { skip: service.skip }, async t => {
    const [url, table] = [service.url(t), newTable()]
    if (service.dialect !== 'sqlite') t.teardown(async () => { await run(url, `drop table if exists ${table}`) })
    const logged: string[] = []
    const app = Fastify({ logger: { level: 'error', stream: { write: line => { logged.push(line) } } } })
    t.teardown(async () => { await app.close() })
    await app.register(ambientSession, { driver: 'database', connection: url, table, createTable: true })
    app.get('/', () => session().increment('visits'))
    t.equal((await app.inject('/')).body, '1')
    await runOn(url, `drop table ${table}`)
    for (const sql of [`create table ${table} (id varchar(80))`, `drop table ${table}`]) {
      const { statusCode, payload } = await app.inject('/')
      t.equal(statusCode, 503)
      t.match(JSON.parse(payload), { code: 'ERR_SESSION_STORE', message: 'the session store has failed' })
      t.notMatch(payload, new RegExp(`${table}|user_id`))
      t.match(logged.splice(0).join(''), new RegExp(`${table}|user_id`), 'the log has it')
      await runOn(url, sql)
    }
  })

  t.test(`${service.name}: a table of another session store is named, and what to do`, { skip: service.skip }, async t => {
    const text = service === mariadb ? 'varchar(100)' : 'text'
    const tables: Record<string, string> = {
      'express-mysql-session': `session_id ${text}, expires int, data ${text}`,
      'connect-pg-simple': `sid ${text}, sess ${text}, expire int`,
      Laravel: `id ${text}, user_id bigint, ip_address ${text}, user_agent ${text}, payload ${text}, last_activity int`
    }
    for (const [owner, definition] of Object.entries(tables)) {
      const message = await opening(t, service, table => `create table ${table} (${definition})`)
      t.match(message, `table: TABLE is not a table of this store, but of ${owner}; it has no`)
      t.match(message, /name another table with the option table.*--table ambient_sessions/)
    }
  })
}
