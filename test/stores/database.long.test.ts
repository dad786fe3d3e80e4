/** The database store: the contract on every database, and what it makes of its options. Faults have a file of their own. */
import { once } from 'node:events'
import { statSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { inspect } from 'node:util'
import {
  CamelCasePlugin, DummyDriver, Kysely, MssqlAdapter, MssqlIntrospector, MssqlQueryCompiler, MysqlDialect, PostgresDialect, SqliteDialect
} from 'kysely'
import mysql from 'mysql2'
import mysqlPromise from 'mysql2/promise'
import pg from 'pg'
import t, { type Test } from 'tap'
import { main } from '../../src/cli/main.ts'
import { DatabaseStore, type DatabaseStoreOptions, type StoreKey } from '../../src/index.ts'
import type { KyselyInstance } from '../../src/stores/database/instances.ts'
import { isRefusal, isWorthRetrying } from '../../src/stores/database/faults.ts'
import { OwnSockets } from '../../src/stores/database/own-sockets.ts'
import { isMissing, orNotInstalled } from '../../src/stores/database/packages.ts'
import { retrying } from '../../src/stores/database/retrying.ts'
import { migration } from '../../src/stores/database/schema.ts'
import { drivers, openSqlite, preparedOnce } from '../../src/stores/database/sqlite.ts'
import { bare, reasonOf } from '../../src/stores/faults.ts'
import { testStore } from '../../src/testing.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'
import {
  databaseStore, mariadb, MYSQL, newDatabaseStore, newTable, postgres, POSTGRES, run, runOn, type Service, services, sqlite
} from './database-support.ts'

const MINUTE = 60_000

for (const service of services) {
  t.test(`the database store keeps the contract on ${service.name}`, { skip: service.skip }, async t => {
    const another = new Map<DatabaseStore, DatabaseStore>()
    await testStore((name, run) => t.test(name, run), () => {
      const { store, url: connection, table } = newDatabaseStore(t, service)
      another.set(store, newDatabaseStore(t, service, { connection, table }).store)
      return store
    }, { another: store => another.get(store) ?? store })
  })
}

for (const service of services) {
  t.test(`${service.name}: what the command prints makes a table that works`, { skip: service.skip }, async t => {
    const { store, url, table } = newDatabaseStore(t, service, { createTable: false })
    let sql = ''
    const code = await main(['table', '--dialect', service.dialect, '--table', table], { cwd: '.', out: text => { sql += text }, err: () => {} })
    t.equal(code, 0)
    await runOn(url, sql)
    await store.open()
    const { key, version } = await create(store, 'x'.repeat(2 * 1024 * 1024))
    t.equal((await readLiving(store, key)).payload.length, 2 * 1024 * 1024, 'a payload may be larger than 1 MiB')
    t.type(await store.compareAndSet(key, recordOf('changed'), version), 'number')
    t.equal(await store.read(key.toUpperCase() as StoreKey), undefined, 'keys are told apart by case as well')
    const indexes = service === postgres
      ? `select indexdef as name from pg_indexes where tablename = '${table}'`
      : service === mariadb ? `show index from ${table}` : `select name from sqlite_master where type = 'index' and tbl_name = '${table}'`
    const found = JSON.stringify(await runOn(url, indexes))
    for (const column of ['expires_at', 'user_id']) t.match(found, column)
    await runOn(url, sql)
  })

  t.test(`${service.name}: a table that is missing, or another one, is an error at the start that names the command`, { skip: service.skip }, async t => {
    const { store, url, table } = newDatabaseStore(t, service, { createTable: false })
    const command = `npx ambient-session table --dialect ${service.dialect} --table ${table}`
    await t.rejects(store.open(), {
      code: 'ERR_SESSION_CONFIG', message: `the database store: table: there is no table ${table}: make it with the SQL that \`${command}\` prints, or set createTable`
    })
    // Once it is there, nothing has to be started again.
    await runOn(url, `create table ${table} (id varchar(80) primary key, payload text)`)
    await t.rejects(store.read(newKey()), {
      statusCode: 503, message: 'the session store has failed', cause: { message: new RegExp(`${table} is not a table of this store; it has no user_id, .*version`) }
    })
    const { store: creating } = newDatabaseStore(t, service, { connection: url, table })
    await t.rejects(creating.open(), { code: 'ERR_SESSION_CONFIG', message: /it has no user_id.*name another table with the option table/ })
    await runOn(url, `drop table ${table}`)
    await creating.open()
    t.equal(await store.read(newKey()), undefined)
  })

  t.test(`${service.name}: several stores that make the table at the same moment do not fail`, { skip: service.skip }, async t => {
    for (let round = 0; round < 5; round++) {
      const { store, url, table } = newDatabaseStore(t, service)
      const others = [1, 2, 3, 4].map(() => newDatabaseStore(t, service, { connection: url, table }).store)
      await Promise.all([store, ...others].map(async store => { await store.open() }))
      const { key } = await create(store)
      for (const other of others) await readLiving(other, key)
    }
  })

  t.test(`${service.name}: a sweep removes many, and not more than it is told to`, { skip: service.skip }, async t => {
    const { store, url, table } = await databaseStore(t, service)
    const { key } = await create(store, 'living')
    const rows = Array.from({ length: 2_500 }, () => `('${newKey()}', 'expired', 1, 1, 1)`)
    await runOn(url, `insert into ${table} (id, payload, version, created_at, expires_at) values ${rows.join(', ')}`)
    t.equal(await store.sweep(new Date(), 1_200), 1_200)
    t.equal(await store.sweep(new Date(), 10_000), 1_300)
    t.equal(await store.sweep(new Date(), 0), 0)
    t.equal((await readLiving(store, key)).payload, 'living')
  })

  t.test(`${service.name}: sweeps, writes and endings at the same time are not in each other's way`, { skip: service.skip }, async t => {
    const { store, url, table } = await databaseStore(t, service, { timeout: 20_000 })
    const { store: another } = await databaseStore(t, service, { connection: url, table, timeout: 20_000 })
    const { key } = await create(store, '0')
    const swept = await Promise.all(Array.from({ length: 20 }, async (_, n) => {
      const side = n % 2 === 0 ? store : another
      for (const age of [-30, -20, -10]) await create(side, 'expired', age)
      const { key: ended } = await create(side)
      await side.destroy(ended, new Date(Date.now() - 1))
      await increment(side, key)
      return await side.sweep(new Date(), 10)
    }))
    const rest = await store.sweep(new Date(), 1_000)
    t.equal(swept.reduce((sum, count) => sum + count, rest), 80)
    t.equal((await readLiving(store, key)).payload, '20')
  })

  t.test(`${service.name}: a waiting request gets the lock when it is released, also from another process`, { skip: service.skip }, async t => {
    const { store, url, table } = await databaseStore(t, service)
    const { store: another } = await databaseStore(t, service, { connection: url, table })
    for (const next of [store, another]) {
      const key = newKey()
      const unlock = await store.lock(key, { lease: 10 * MINUTE, wait: 0 })
      const turn = next.lock(key, { lease: 10 * MINUTE, wait: MINUTE })
      await t.rejects(another.lock(key, { lease: 10 * MINUTE, wait: 60 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
      await unlock()
      await (await turn)()
    }
  })

  t.test(`${service.name}: a page that no other has named is refused`, { skip: service.skip }, async t => {
    const { store } = await databaseStore(t, service)
    await t.rejects(store.list({}, { limit: 10, after: 'ä' }), { code: 'ERR_SESSION_USAGE' })
    t.same((await store.list({}, { limit: 10, after: '0' })).records, [])
  })

  t.test(`${service.name}: no error holds what the session holds`, { skip: service.skip }, async t => {
    const { store, url, table } = newDatabaseStore(t, service, { createTable: false })
    await runOn(url, migration(service.dialect, table).join(';\n').replace('payload ', 'strict int default null check (strict is not null), payload '))
    await store.open()
    const error = await create(store, 'a secret payload').then(() => undefined, (error: unknown) => error)
    t.match(error, { code: 'ERR_SESSION_STORE', statusCode: 503, message: 'the session store has failed', cause: { message: /^the database cannot keep sessions at the moment \(.+\)$/ } })
    t.ok(error instanceof Error && error.cause instanceof Error, 'the cause is there')
    t.notMatch(inspect(error, { depth: 10, showHidden: true }), /a secret payload/)
  })

  t.test(`${service.name}: text is kept whatever is in it`, { skip: service.skip }, async t => {
    const { store } = await databaseStore(t, service)
    const key = newKey()
    const record = { ...recordOf('\0 \ue000 \ue0000 \ue0001 \0\0'), userId: "o'\0\\\"; --", userAgent: '\ue000' }
    const version = await store.compareAndSet(key, record, undefined)
    t.same(await store.read(key), { ...record, version })
    t.same((await store.list({ userId: record.userId }, { limit: 10 })).records.map(({ key }) => key), [key])
    t.same((await store.list({ userId: `${record.userId} ` }, { limit: 10 })).records, [], 'a space at the end makes another user')
  })
}

t.test('a row that expires is used again, and so is that of a tombstone', { skip: sqlite.skip }, async t => {
  const { store, url, table } = await databaseStore(t, sqlite)
  const { key } = await create(store, 'first', -1)
  t.equal(await store.compareAndSet(key, { ...recordOf('second'), userId: 'ada' }, undefined), 1)
  await store.destroy(key, new Date(Date.now() + MINUTE))
  const [row] = await runOn(url, `select * from ${table}`)
  t.match(row, { id: key, end_reason: 'ended', payload: null, user_id: null, ip_address: null, user_agent: null, last_activity: null }, 'nothing of the session is left')
})

t.test('PostgreSQL: a table in a schema of its own', { skip: postgres.skip }, async t => {
  const schema = newTable()
  t.teardown(async () => { await run(POSTGRES, `drop schema ${schema} cascade`) })
  await run(POSTGRES, `create schema ${schema}`)
  const { store } = await databaseStore(t, postgres, { table: `${schema}.logins` })
  const { key } = await create(store)
  await readLiving(store, key)
  t.same(await run(POSTGRES, `select indexname from pg_indexes where schemaname = '${schema}' and indexname like 'logins%' order by 1`),
    [{ indexname: 'logins_expires_at' }, { indexname: 'logins_pkey' }, { indexname: 'logins_user_id' }])
})

t.test('MariaDB: a table in a database of its own', { skip: mariadb.skip }, async t => {
  const database = newTable()
  t.teardown(async () => { await run(MYSQL, `drop database ${database}`) })
  await run(MYSQL, `create database ${database}`)
  const { store } = await databaseStore(t, mariadb, { table: `${database}.logins` })
  const { key } = await create(store)
  t.same(await run(MYSQL, `select id from ${database}.logins`), [{ id: key }])
})

t.test('SQLite: a table in a schema that is named', { skip: sqlite.skip }, async t => {
  const { store, url } = await databaseStore(t, sqlite, { table: 'main.logins' })
  const { key } = await create(store)
  t.match(await runOn(url, 'select id from logins'), [{ id: key }])
})

t.test('PostgreSQL: the store needs no right to make tables when there is one', { skip: postgres.skip }, async t => {
  const { url, table } = await databaseStore(t, postgres)
  const role = newTable()
  t.teardown(async () => { await run(url, `drop owned by ${role}; drop role ${role}`) })
  await run(url, `create role ${role} login; grant select, insert, update, delete on ${table} to ${role}`)
  const as = new URL(url)
  as.username = role
  const { store } = await databaseStore(t, postgres, { connection: as.href, table })
  await create(store)
  await t.rejects(newDatabaseStore(t, postgres, { connection: as.href }).store.open(), { code: 'ERR_SESSION_STORE', message: /permission denied/ })
})

t.test('a server that refuses for good is an error at the start', { skip: postgres.skip || mariadb.skip }, async t => {
  for (const [service, database] of [[postgres, 'no_such_database'], [mariadb, 'no_such_database']] as const) {
    const url = new URL(service.url(t))
    url.pathname = database
    const { store } = newDatabaseStore(t, service, { connection: url.href })
    await t.rejects(store.open(), { code: 'ERR_SESSION_STORE', message: /no_such_database/ })
  }
})

t.test('MariaDB: without the escapes that values need, the store does not start', { skip: mariadb.skip }, async t => {
  const pool = mysql.createPool({ uri: MYSQL })
  pool.on('connection', connection => { connection.query("set session sql_mode = 'NO_BACKSLASH_ESCAPES'") })
  t.teardown(async () => { await pool.promise().end() })
  await t.rejects(newDatabaseStore(t, mariadb, { connection: pool }).store.open(), { code: 'ERR_SESSION_CONFIG', message: /NO_BACKSLASH_ESCAPES/ })
})

t.test('MariaDB: where statements are not committed by themselves, the store commits them', { skip: mariadb.skip }, async t => {
  const pool = mysql.createPool({ uri: MYSQL })
  pool.on('connection', connection => { connection.query('set session autocommit = 0') })
  t.teardown(async () => { await pool.promise().end() })
  for (const connection of [pool, new Kysely<Tables>({ dialect: new MysqlDialect({ pool }) })]) {
    const { store, url, table } = await databaseStore(t, mariadb, { connection })
    const { store: other } = await databaseStore(t, mariadb, { connection: url, table })
    const { key, version } = await create(store, '0')
    t.equal((await readLiving(other, key)).payload, '0', 'another connection sees it')
    await Promise.all(Array.from({ length: 30 }, async (_, n) => { await increment(n % 2 === 0 ? store : other, key) }))
    t.equal((await readLiving(store, key)).payload, '30', 'and it sees what others have written since it last looked')
    t.equal(await store.compareAndSet(key, recordOf('late'), version), 'conflict')
    const { key: another } = await create(other, 'x'.repeat(10))
    t.equal((await readLiving(store, another)).payload.length, 10, 'a conflict leaves no transaction open')
    t.equal(await store.destroy(key, new Date(Date.now() + MINUTE)), 'destroyed')
    t.match(await other.read(key), { reason: 'ended' })
    const unlock = await store.lock(another, { lease: MINUTE, wait: 0 })
    await t.rejects(other.lock(another, { lease: MINUTE, wait: 0 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
    await unlock()
  }
})

t.test('MariaDB: a connection that lacks characters is refused', { skip: mariadb.skip }, async t => {
  const pool = mysql.createPool({ uri: MYSQL, charset: 'latin1' })
  t.teardown(async () => { await pool.promise().end() })
  await t.rejects(newDatabaseStore(t, mariadb, { connection: pool }).store.open(), {
    code: 'ERR_SESSION_CONFIG', message: /connection: its character set is latin1, and should be utf8mb4/
  })
})

t.test('PostgreSQL: a database that lacks characters is refused', { skip: postgres.skip }, async t => {
  const database = newTable()
  t.teardown(async () => { await run(POSTGRES, `drop database ${database}`) })
  await run(POSTGRES, `create database ${database} encoding 'LATIN1' template template0 locale 'C'`)
  const url = new URL(POSTGRES)
  url.pathname = database
  const store = new DatabaseStore({ connection: url.href, createTable: true })
  t.teardown(async () => { await store.close() })
  await t.rejects(store.open(), {
    code: 'ERR_SESSION_CONFIG', message: /connection: the encoding of the database is LATIN1, .* should be UTF8: use one that was made with/
  })
})

t.test('MariaDB: a statement takes one round trip, and a connection is asked once how it commits', { skip: mariadb.skip }, async t => {
  const pool = mysql.createPool({ uri: MYSQL, connectionLimit: 1 })
  const statements: string[] = []
  pool.on('connection', connection => {
    const query = connection.query.bind(connection) as (sql: string, ...rest: unknown[]) => unknown
    t.intercept(connection, 'query', {
      value (sql: string, ...rest: unknown[]) {
        statements.push(sql)
        return query(sql, ...rest)
      }
    })
  })
  t.teardown(async () => { await pool.promise().end() })
  const { store } = await databaseStore(t, mariadb, { connection: pool })
  const { key, version } = await create(store)
  await store.compareAndSet(key, recordOf('changed'), version)
  await readLiving(store, key)
  t.equal(statements.filter(sql => sql.includes('@@autocommit')).length, 1)
  statements.length = 0
  await readLiving(store, key)
  t.equal(statements.length, 1)
})

t.test('MariaDB: a connection that counts only changed rows is as good', { skip: mariadb.skip }, async t => {
  const pool = mysql.createPool({ uri: MYSQL, flags: ['-FOUND_ROWS'] })
  t.teardown(async () => { await pool.promise().end() })
  const { store } = await databaseStore(t, mariadb, { connection: pool })
  const { key } = await create(store)
  const expiresAt = new Date(Date.now() + 5 * MINUTE)
  t.equal(await store.touch(key, expiresAt), true)
  t.equal(await store.touch(key, expiresAt), true)
})

t.test('a connection of the application is used, and left open', async t => {
  t.test('a pool of pg, also under Kysely with plugins', { skip: postgres.skip }, async t => {
    const pool = new pg.Pool({ connectionString: POSTGRES })
    t.teardown(async () => { await pool.end() })
    const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }), plugins: [new CamelCasePlugin()] })
    for (const connection of [pool, kysely]) {
      await usedAndLeftOpen(t, postgres, connection)
      t.same((await pool.query('select 1 as one')).rows, [{ one: 1 }])
    }
    t.equal(pool.listenerCount('error'), 0)
  })

  t.test('a pool of mysql2, of its promises, also under Kysely', { skip: mariadb.skip }, async t => {
    const pool = mysql.createPool({ uri: MYSQL })
    t.teardown(async () => { await pool.promise().end() })
    const promises = mysqlPromise.createPool({ uri: MYSQL })
    t.teardown(async () => { await promises.end() })
    const kysely = new Kysely<Tables>({ dialect: new MysqlDialect({ pool }) })
    for (const connection of [pool, promises, kysely]) {
      await usedAndLeftOpen(t, mariadb, connection)
      t.same((await pool.promise().query('select 1 as one'))[0], [{ one: 1 }])
      t.same((await promises.query('select 1 as one'))[0], [{ one: 1 }])
    }
  })

  t.test('a database of SQLite, also under Kysely', { skip: sqlite.skip }, async t => {
    const database = await openSqlite(':memory:', 1_000)
    t.teardown(() => database.close())
    const kysely = new Kysely<Tables>({ dialect: new SqliteDialect({ database: preparedOnce(database) }), plugins: [new CamelCasePlugin()] })
    for (const connection of [database, kysely]) {
      await usedAndLeftOpen(t, sqlite, connection)
      t.ok(database.prepare('select 1 as one').all())
    }
  })
})

type Tables = Record<string, { id: string }>

async function usedAndLeftOpen (t: Test, service: Service, connection: DatabaseStoreOptions['connection']): Promise<void> {
  const { store } = await databaseStore(t, service, { connection })
  const key = newKey()
  const record = { ...recordOf('payload'), userId: 'ada', lastActivity: new Date() }
  await store.compareAndSet(key, record, undefined)
  t.same(await store.read(key), { ...record, version: 1 })
  await store.close()
}

t.test('a connection that makes no sense is named without its password', async t => {
  const foreign = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new MssqlAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: db => new MssqlIntrospector(db),
      createQueryCompiler: () => new MssqlQueryCompiler()
    }
  })
  for (const [connection, message] of [
    ['', 'expected a URL that begins with postgres://, mysql:// or sqlite:'],
    ['oracle://me:hunter2@127.0.0.1/x', 'expected a URL that begins with postgres://'],
    ['postgres://me:hunter2/@127.0.0.1:five', 'is not a URL'],
    ['mysql://me:hunter2@127.0.0.1:99999999', 'is not a URL'],
    ['mariadb://me:hunter2@[', 'is not a URL'],
    ['sqlite:', 'sqlite: names no file'],
    [foreign, 'this instance of Kysely speaks neither PostgreSQL nor MySQL nor SQLite'],
    [{} as KyselyInstance, 'expected a URL, an instance of Kysely']
  ] as const) {
    const store = new DatabaseStore({ connection })
    const error = await store.open().then(() => undefined, (error: unknown) => error)
    t.match(error, { code: 'ERR_SESSION_CONFIG', message: new RegExp(`^the database store: connection: ${message}`) })
    t.notMatch(inspect(error), /hunter2/)
    await store.close()
  }
})

t.test('a transaction of Kysely is refused: sessions would be undone with it', { skip: sqlite.skip }, async t => {
  const database = await openSqlite(':memory:', 1_000)
  t.teardown(() => database.close())
  const kysely = new Kysely<Tables>({ dialect: new SqliteDialect({ database: preparedOnce(database) }) })
  await kysely.transaction().execute(async connection => {
    await t.rejects(new DatabaseStore({ connection, createTable: true }).open(), { code: 'ERR_SESSION_CONFIG', message: /not one of its transactions/ })
  })
})

t.test('a table\'s name that is none is refused', { skip: sqlite.skip }, async t => {
  for (const table of ['', 'a b', 'a.b.c', 'a"b', 'a;b', '1a', 'x'.repeat(49)]) {
    await t.rejects(new DatabaseStore({ connection: 'sqlite::memory:', table }).open(), { code: 'ERR_SESSION_CONFIG', message: 'table: expected a name' })
  }
})

t.test('without options but the connection', { skip: sqlite.skip }, async t => {
  const store = new DatabaseStore({ connection: 'sqlite::memory:' })
  await t.rejects(store.open(), { message: 'the database store: table: there is no table sessions: make it with the SQL that `npx ambient-session table --dialect sqlite` prints' })
  await store.close()
})

t.test('SQLite: the file is made with its directory, for its owner only, and written ahead', { skip: sqlite.skip }, async t => {
  const directory = t.testdir()
  for (const [scheme, file] of [['sqlite:', join(directory, 'a/b/sessions.sqlite')], ['sqlite://', join(directory, 'c.sqlite')]] as const) {
    const { store } = await databaseStore(t, sqlite, { connection: scheme + file })
    await create(store)
    for (const path of [file, `${file}-wal`]) t.equal(statSync(path).mode & 0o777, 0o600, path)
  }
  t.equal(statSync(join(directory, 'a/b')).mode & 0o777, 0o700)
})

t.test('SQLite: a file that cannot be one is an error at the start', { skip: sqlite.skip }, async t => {
  const directory = t.testdir({ text: 'this is no database, and longer than the header of one would have to be '.repeat(20), place: {} })
  for (const name of ['text', 'place', 'text/within']) {
    await t.rejects(new DatabaseStore({ connection: `sqlite:${join(directory, name)}` }).open(), {
      code: 'ERR_SESSION_STORE', message: `sessions cannot be kept in ${join(directory, name)} (`
    })
  }
})

t.test('SQLite: the first driver that can be used is, and without one the error says how to get one', async t => {
  const opened = { prepare: () => ({ all: () => [], run: () => ({ changes: 0, lastInsertRowid: 0 }) }), exec: () => {}, close: () => {} }
  const absent = async (): Promise<never> => await import(String('absent')) as never
  const foreign = (): Promise<never> => Promise.reject(Object.assign(new Error('was compiled against a different Node.js version'), { code: 'ERR_DLOPEN_FAILED' }))
  t.equal(await openSqlite(':memory:', 1_000, { absent, foreign, present: async () => opened }), opened)
  await t.rejects(openSqlite(':memory:', 1_000, { absent, foreign }), {
    code: 'ERR_SESSION_CONFIG', message: /npm i better-sqlite3\) or Node\.js 22\.13 or later/, cause: { message: /^Cannot find package 'absent'/ }
  })
  const broken = (): Promise<never> => Promise.reject(new Error('disk on fire'))
  await t.rejects(openSqlite(':memory:', 1_000, { broken, present: async () => opened }), { code: 'ERR_SESSION_STORE', message: /disk on fire/ })
})

t.test('SQLite: each driver by itself, as far as this machine has it', async t => {
  for (const [name, open] of Object.entries(drivers)) {
    await open(':memory:').then(database => {
      database.exec('create table t (n integer)')
      const kysely = preparedOnce(database)
      t.equal(kysely.prepare('insert into t (n) values (?)').run([7]).changes, 1)
      t.same([...kysely.prepare('select n from t').iterate([])].map(row => ({ ...row as object })), [{ n: 7 }])
      t.equal(kysely.prepare('select n from t'), kysely.prepare('select n from t'))
      database.close()
    }, (error: unknown) => {
      t.ok(isMissing(error, name) || (error as NodeJS.ErrnoException).code === 'ERR_DLOPEN_FAILED', `${name}: ${String(error)}`)
    })
  }
})

t.test('a package that is not installed is named, and what else goes wrong in loading one is left as it is', async t => {
  await t.rejects(import(String('no-such-package-as-this')).catch(orNotInstalled('no-such-package-as-this')), {
    code: 'ERR_SESSION_CONFIG', message: 'the database store: the package no-such-package-as-this is not installed: npm i no-such-package-as-this'
  })
  await t.rejects(Promise.reject(new Error('broken within')).catch(orNotInstalled('broken')), { message: 'broken within' })
  const ofPackage = "Cannot find package 'pg-pool' imported from /app/node_modules/pg/lib/index.js"
  await t.rejects(Promise.reject(new Error(ofPackage)).catch(orNotInstalled('pg')), { message: ofPackage })
})

t.test('sockets of a pool that is closed keep no process running, and are closed when the server does not do it', async t => {
  const sockets = new OwnSockets()
  const [open, connectedLate] = [new Socket(), new Socket()]
  const unref = [open, connectedLate].map(socket => t.capture(socket, 'unref'))
  // What is waited for here would not keep this process running either.
  const running = setInterval(() => {}, MINUTE)
  t.teardown(() => { clearInterval(running) })
  sockets.add(open)
  const closed = [open, connectedLate].map(socket => once(socket, 'close'))
  await sockets.closeAfter(async () => {}, 1)
  sockets.add(connectedLate)
  t.same(unref.map(calls => calls().length), [1, 1])
  await Promise.all(closed)
})

t.test('the database can be left before it was ever entered', async t => {
  await t.resolves(new DatabaseStore({ connection: POSTGRES }).close())
})

t.test('errors of node:sqlite are told by SQLite\'s numbers', t => {
  const errorOf = (errcode: number): Error => Object.assign(new Error('an error'), { code: 'ERR_SQLITE_ERROR', errcode })
  const [error, busy, busySnapshot] = [errorOf(1), errorOf(5), errorOf(517)]
  t.same([error, busy, busySnapshot].map(isWorthRetrying), [false, true, true])
  t.same([error, busy, busySnapshot].map(isRefusal), [true, false, false])
  t.end()
})

t.test('a deadlock is tried again a bounded number of times, and a busy database until time is up', async t => {
  t.intercept(Math, 'random', { value: () => 0 })
  const attemptsOf = async (error: Error, most = Infinity): Promise<number> => {
    let attempts = 0
    await t.rejects(retrying({ get isUp () { return attempts >= most } }, async () => {
      attempts++
      throw error
    }), error)
    return attempts
  }
  t.equal(await attemptsOf(Object.assign(new Error('deadlock'), { errno: 1205 })), 100)
  t.equal(await attemptsOf(Object.assign(new Error('busy'), { code: 'SQLITE_BUSY' }), 150), 150)
})

t.test('an error does not tell the value that a database has refused', t => {
  const error = Object.assign(new Error("Incorrect string value: 'a \"secret\" it's' for column `test`.`t`.`payload` at row 1"), { sql: 'a secret' })
  t.equal(reasonOf(error), 'Incorrect string value: … for column `test`.`t`.`payload` at row 1')
  t.notMatch(inspect(bare(error), { showHidden: true }), /secret/)
  t.equal(reasonOf(new Error('invalid input syntax for type bigint: "a secret"')), 'invalid input syntax for type bigint: …')
  t.end()
})

t.test('an error without a message is described by its code', t => {
  t.equal(reasonOf(Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' })), 'ECONNREFUSED')
  t.equal(reasonOf('a text that was thrown'), 'a text that was thrown')
  t.end()
})
