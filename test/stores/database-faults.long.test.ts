/** What the database store does when its database does not do what it should: on private servers that are killed, stopped, and set against it. */
import { once } from 'node:events'
import { type AddressInfo, connect as openSocket, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import fastify from 'fastify'
import mysql from 'mysql2'
import mysqlPromise from 'mysql2/promise'
import pg from 'pg'
import t, { type Test } from 'tap'
import ambientSession, { DatabaseStore, type DatabaseStoreOptions, SessionStoreError } from '../../src/index.ts'
import { hasDatabaseServer, newDatabaseServer } from '../helpers/database-servers.ts'
import { startProgram } from '../helpers/process.ts'
import { skipWithout } from '../helpers/services.ts'
import { create, newKey, readLiving, recordOf } from './conformance.ts'
import { databaseStore, mariadb, MYSQL, newTable, postgres, POSTGRES, run, sqlite } from './database-support.ts'
import type { Warning } from './support.ts'

const MINUTE = 60_000
/** Milliseconds that a call may take in these tests, and what a busy machine may add. */
const TIMEOUT = 1_000
/** A machine may be busy. Without its limit, a call would take as long as the outage. */
const LEEWAY = 20_000
/** Milliseconds in which a server that was started again has to answer all requests. */
const RECOVERY = 20_000

const UNAVAILABLE = { code: 'ERR_SESSION_STORE', statusCode: 503, message: /^the session store (?:could not be reached|did not answer in time|has failed)$/ }
const LATE = { ...UNAVAILABLE, message: 'the session store did not answer in time' }

const servers = [
  { which: 'postgres' as const, name: 'PostgreSQL', skip: await skipWithout('program postgres', () => hasDatabaseServer('postgres')) },
  { which: 'mysql' as const, name: 'MariaDB', skip: await skipWithout('program mariadbd', () => hasDatabaseServer('mysql')) }
]

/** A store that has not been opened, on any database. */
function storeAt (t: Test, connection: DatabaseStoreOptions['connection'], options: Partial<DatabaseStoreOptions> = {}): { store: DatabaseStore, warnings: Warning[] } {
  const warnings: Warning[] = []
  const store = new DatabaseStore({ connection, createTable: true, timeout: TIMEOUT, report: warning => { warnings.push(warning) }, ...options })
  t.teardown(async () => { await store.close() })
  return { store, warnings }
}

/** Tries again until it succeeds, or ought to have. */
async function eventually<T> (call: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + RECOVERY
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof SessionStoreError) || Date.now() > deadline) throw error
      await delay(50)
    }
  }
}

async function milliseconds (call: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await call()
  return performance.now() - begin
}

for (const { which, name, skip } of servers) {
  t.test(`${name}: killed and started again under load`, { skip }, async t => {
    const server = await newDatabaseServer(t, which)
    await server.start()
    const { store } = storeAt(t, server.url)
    await store.open()
    const keys = await Promise.all(Array.from({ length: 8 }, async () => (await create(store, '0')).key))
    const counts = keys.map(() => ({ acknowledged: 0, doubtful: 0, sinceRestart: 0 }))
    const strange: unknown[] = []
    const work = { isOver: false }
    let slowest = 0

    const workers = keys.map(async (key, n) => {
      const count = counts[n] ?? { acknowledged: 0, doubtful: 0, sinceRestart: 0 }
      while (!work.isOver) {
        const begin = performance.now()
        try {
          const { payload, version, ...rest } = await readLiving(store, key)
          count.doubtful++
          const answer = await store.compareAndSet(key, { ...rest, payload: String(Number(payload) + 1) }, version)
          count.doubtful--
          if (typeof answer !== 'number') strange.push(answer)
          count.acknowledged++
          count.sinceRestart++
        } catch (error) {
          if (!(error instanceof SessionStoreError)) strange.push(error)
          await delay(5)
        }
        // Two calls of the store, each within its time.
        slowest = Math.max(slowest, performance.now() - begin)
      }
    })
    const allCounted = async (enough: number): Promise<void> => {
      for (const count of counts) count.sinceRestart = 0
      const deadline = Date.now() + RECOVERY
      while (counts.some(({ sinceRestart }) => sinceRestart < enough) && Date.now() < deadline) await delay(10)
      t.ok(counts.every(({ sinceRestart }) => sinceRestart >= enough), 'every session is written to')
    }

    for (let round = 0; round < 3; round++) {
      await allCounted(10)
      await server.kill()
      await t.rejects(store.read(newKey()), UNAVAILABLE)
      await server.start()
    }
    await allCounted(10)
    work.isOver = true
    await Promise.all(workers)

    t.same(strange, [])
    t.ok(slowest < 2 * TIMEOUT + LEEWAY, `the slowest request took ${Math.round(slowest)} ms`)
    for (const [n, key] of keys.entries()) {
      const { acknowledged = 0, doubtful = 0 } = counts[n] ?? {}
      const found = Number((await readLiving(store, key)).payload)
      t.ok(found >= acknowledged && found <= acknowledged + doubtful, `${found} are stored, ${acknowledged} were acknowledged, ${doubtful} are in doubt`)
    }
  })

  t.test(`${name}: stopped in the middle`, { skip }, async t => {
    const server = await newDatabaseServer(t, which)
    await server.start()
    const { store } = storeAt(t, server.url)
    await store.open()
    const { key, version } = await create(store, 'before')
    server.signal('SIGSTOP')
    // More than there are connections: some wait for an answer, some to connect, some for their turn.
    const calls = Array.from({ length: 25 }, async () => await milliseconds(async () => {
      await t.rejects(store.read(key), UNAVAILABLE)
    }))
    const late = store.compareAndSet(key, recordOf('late'), version)
    await t.rejects(late, UNAVAILABLE)
    for (const took of await Promise.all(calls)) t.ok(took < TIMEOUT + LEEWAY, `answered after ${Math.round(took)} ms`)
    server.signal('SIGCONT')

    const { version: current, payload } = await eventually(() => readLiving(store, key))
    t.ok(payload === 'before' || payload === 'late', 'what was in doubt has been done or has not')
    t.type(await eventually(() => store.compareAndSet(key, recordOf('after'), current)), 'number')
    t.equal((await eventually(() => readLiving(store, key))).payload, 'after')
    const readings = await eventually(() => Promise.all(Array.from({ length: 25 }, async () => (await readLiving(store, key)).payload)))
    t.ok(readings.every(payload => payload === 'after'))
  })

  t.test(`${name}: not there at the start, and later it is`, { skip }, async t => {
    const server = await newDatabaseServer(t, which)
    const { store, warnings } = storeAt(t, server.url)
    await store.open()
    t.match(warnings, [{ code: 'AMBIENT_SESSION_STORE', message: /will be answered with 503 until the database is there: .*ECONNREFUSED/ }])
    await t.rejects(store.read(newKey()), { ...UNAVAILABLE, message: 'the session store could not be reached', cause: { message: /ECONNREFUSED/ } })
    await server.start()
    const { key } = await create(store, 'there now')
    t.equal((await readLiving(store, key)).payload, 'there now')
  })

  t.test(`${name}: closing does not wait for a server that has gone silent`, { skip }, async t => {
    const server = await newDatabaseServer(t, which)
    await server.start()
    const { store } = storeAt(t, server.url)
    await store.open()
    await create(store)
    server.signal('SIGSTOP')
    const took = await milliseconds(() => store.close())
    t.ok(took < TIMEOUT + LEEWAY, `it took ${Math.round(took)} ms`)
  })
}

t.test('a call that waited in vain for a free connection is not made up for later', { skip: postgres.skip || mariadb.skip }, async t => {
  const postgresPool = new pg.Pool({ connectionString: POSTGRES, max: 1 })
  const mysqlPool = mysql.createPool({ uri: MYSQL, connectionLimit: 1 })
  t.teardown(async () => {
    await postgresPool.end()
    await mysqlPool.promise().end()
  })
  for (const [service, connection] of [[postgres, postgresPool], [mariadb, mysqlPool]] as const) {
    const { store } = await databaseStore(t, service, { connection, timeout: TIMEOUT })
    const { key, version } = await create(store, 'before')
    const release = connection === postgresPool
      ? await postgresPool.connect().then(client => () => { client.release() })
      : await mysqlPool.promise().getConnection().then(connection => () => { connection.release() })
    await t.rejects(store.compareAndSet(key, recordOf('late'), version), { ...LATE, cause: { message: 'no answer within 1000 ms' } })
    release()
    t.equal((await readLiving(store, key)).payload, 'before', service.name)
  }
})

t.test('a row that another transaction has locked: the call fails in time, and the next ones do not', { skip: postgres.skip || mariadb.skip }, async t => {
  for (const service of [postgres, mariadb]) {
    const { store, table } = await databaseStore(t, service, { timeout: TIMEOUT })
    const { key, version } = await create(store)
    const other = await transaction(t, service.url(t))
    await other.query(`update ${table} set version = version where id = '${key}'`)
    const took = await milliseconds(async () => {
      await t.rejects(store.compareAndSet(key, recordOf('late'), version), LATE)
    })
    t.ok(took < TIMEOUT + LEEWAY, `it took ${Math.round(took)} ms`)
    await create(store)
    await other.query('rollback')
  }
})

t.test('a lock that the database takes after its request has failed is free again', { skip: postgres.skip || mariadb.skip }, async t => {
  for (const service of [postgres, mariadb]) {
    const { store, table } = await databaseStore(t, service, { timeout: TIMEOUT })
    const key = newKey()
    await (await store.lock(key, { lease: MINUTE, wait: 0 }))()
    const other = await transaction(t, service.url(t))
    await other.query(service === postgres ? `lock table ${table} in exclusive mode` : `lock tables ${table} write`)
    await t.rejects(store.lock(key, { lease: MINUTE, wait: 0 }), LATE, service.name)
    await other.query(service === postgres ? 'commit' : 'unlock tables')
    // Otherwise it would be held until the end of its lease.
    await (await store.lock(key, { lease: MINUTE, wait: MINUTE / 4 }))()
  }
})

t.test('no request fails when the server closes idle connections', { skip: postgres.skip || mariadb.skip }, async t => {
  for (const service of [postgres, mariadb]) {
    // By a name that no other test has: theirs are not to be closed.
    const name = newTable()
    const url = service.url(t)
    if (service === mariadb) {
      await run(url, `create database ${name}`)
      t.teardown(async () => { await run(url, `drop database ${name}`) })
    }
    const own = new URL(url)
    if (service === mariadb) own.pathname = name
    else own.searchParams.set('application_name', name)
    const { store } = await databaseStore(t, service, { connection: own.href })
    const { key } = await create(store, 'here')
    const connections = await run(url, service === postgres
      ? `select pid as id from pg_stat_activity where application_name = '${name}' and state = 'idle'`
      : `select id from information_schema.processlist where command = 'Sleep' and db = '${name}'`) as { id: number }[]
    t.ok(connections.length > 0)
    for (const { id } of connections) await run(url, service === postgres ? `select pg_terminate_backend(${id})` : `kill ${id}`)
    t.equal((await eventually(() => readLiving(store, key))).payload, 'here')
  }
})

t.test('PostgreSQL, every transaction serializable: what fails for that is tried again', { skip: postgres.skip }, async t => {
  const { store } = await databaseStore(t, postgres, {
    connection: `${POSTGRES}?options=-c%20default_transaction_isolation%3Dserializable`, timeout: 10_000
  })
  const { key } = await create(store, '0')
  const conflicts = await Promise.all(Array.from({ length: 30 }, async () => {
    for (let conflicts = 0; ; conflicts++) {
      const { payload, version, ...rest } = await readLiving(store, key)
      const answer = await store.compareAndSet(key, { ...rest, payload: String(Number(payload) + 1) }, version)
      if (typeof answer === 'number') return conflicts
    }
  }))
  t.ok(conflicts.some(count => count > 0), 'they were in each other\'s way')
  t.equal((await readLiving(store, key)).payload, '30')
})

t.test('PostgreSQL: of a deadlock the store is the victim, and tries again', { skip: postgres.skip }, async t => {
  // The longer a connection waits before it looks for a deadlock, the less it is the one that is broken off.
  const { store, url, table } = await databaseStore(t, postgres, { connection: `${POSTGRES}?options=-c%20deadlock_timeout%3D400`, timeout: 10_000 })
  const { key } = await create(store)
  const other = newTable()
  t.teardown(async () => { await run(url, `drop table if exists ${table}; drop table if exists ${other}; drop function if exists ${other}()`) })
  await run(url, `create table ${other} (n int); insert into ${other} values (0);
    create function ${other}() returns trigger language plpgsql as 'begin update ${other} set n = n + 1; return new; end';
    create trigger counted after update on ${table} for each row execute function ${other}()`)
  const rival = await transaction(t, `${POSTGRES}?options=-c%20deadlock_timeout%3D60000`)
  await rival.query(`update ${other} set n = n + 10`)
  const touched = store.touch(key, new Date(Date.now() + 5 * MINUTE))
  // It has the session's row by now, and waits for the other; the rival wants it the other way round.
  await waiting(url, table)
  await rival.query(`select from ${table} where id = '${key}' for update`)
  await rival.query('commit')
  t.equal(await touched, true)
  t.same(await run(url, `select n from ${other}`), [{ n: 11 }], 'what the victim had begun was undone')
})

/** Resolves when a connection waits for a lock in a statement about the table. */
async function waiting (url: string, table: string): Promise<void> {
  const isPostgres = url.startsWith('postgres')
  const sql = isPostgres
    ? `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like 'update "${table}"%'`
    : `select 1 from information_schema.innodb_trx where trx_state = 'LOCK WAIT' and trx_query like 'delete%${table}%'`
  // InnoDB caches this answer: within 0.1 seconds of the last query it gives the same again.
  const pause = isPostgres ? 5 : 150
  while ((await run(url, sql)).length === 0) await delay(pause)
}

t.test('MariaDB: of a deadlock the store is the victim, and tries again', { skip: mariadb.skip }, async t => {
  const { store, url, table } = await databaseStore(t, mariadb, { timeout: 10_000 })
  const keys = await Promise.all([-2_000, -1_000].map(async age => (await create(store, 'expired', age)).key))
  const other = newTable()
  t.teardown(async () => { await run(url, `drop table if exists ${other}`) })
  await run(url, `create table ${other} (n int) engine = InnoDB`)
  const rival = await transaction(t, url)
  // Who has written less is broken off.
  await rival.query(`insert into ${other} (n) values ${Array.from({ length: 200 }, (_, n) => `(${n})`).join(', ')}`)
  await rival.query(`update ${table} set version = 7 where id = '${keys[1]}'`)
  const swept = store.sweep(new Date(), 100)
  await waiting(url, table)
  await rival.query(`update ${table} set version = 7 where id = '${keys[0]}'`)
  await rival.query('commit')
  t.equal(await swept, 2)
})

t.test('MariaDB: a lock that is not to be had in time is tried for again', { skip: mariadb.skip }, async t => {
  const pool = mysql.createPool({ uri: MYSQL })
  pool.on('connection', connection => { connection.query('set session innodb_lock_wait_timeout = 1') })
  t.teardown(async () => { await pool.promise().end() })
  const { store, url, table } = await databaseStore(t, mariadb, { connection: pool, timeout: 10_000 })
  const { key, version } = await create(store)
  const rival = await transaction(t, url)
  await rival.query(`select 1 from ${table} where id = '${key}' for update`)
  const written = store.compareAndSet(key, recordOf('changed'), version)
  // InnoDB counts whole seconds: after this, at least one try has been in vain.
  await delay(2_500)
  await rival.query('rollback')
  t.type(await written, 'number')
})

t.test('SQLite: a write waits for another connection, without keeping this process from its work', { skip: sqlite.skip }, async t => {
  const { store, url, table } = await databaseStore(t, sqlite, { timeout: 30_000 })
  const { key, version } = await create(store, 'first')
  const other = await sqliteAt(t, url)
  other.exec('begin immediate')
  const written = store.compareAndSet(key, recordOf('second'), version)
  // If the wait kept the process from its work, the other connection would never get to end what is waited for.
  for (let n = 0; n < 20; n++) await delay(5)
  other.exec('rollback')
  t.type(await written, 'number')

  const { store: impatient } = await databaseStore(t, sqlite, { connection: url, table, timeout: TIMEOUT })
  other.exec('begin immediate')
  other.exec(`update ${table} set version = version`)
  const took = await milliseconds(async () => { await t.rejects(impatient.touch(key, new Date()), { ...LATE, cause: { message: /no answer within/, cause: { message: 'database is locked' } } }) })
  t.ok(took < TIMEOUT + LEEWAY, `it took ${Math.round(took)} ms`)
  t.equal((await readLiving(impatient, key)).payload, 'second', 'reading does not wait')
  other.exec('rollback')
})

t.test('a network that swallows everything: the connections are given up, and new ones made when it is well again', { skip: postgres.skip || mariadb.skip }, async t => {
  for (const service of [postgres, mariadb]) {
    const network = await newNetwork(t, Number(new URL(service.url(t)).port))
    const url = new URL(service.url(t))
    url.port = String(network.port)
    const { store } = await databaseStore(t, service, { connection: url.href, timeout: TIMEOUT })
    const { key } = await create(store, 'before')
    await Promise.all(Array.from({ length: 10 }, () => readLiving(store, key)))
    network.swallow()
    await Promise.all(Array.from({ length: 20 }, async () => { await t.rejects(store.read(key), UNAVAILABLE) }))
    // The sockets of before stay silent for ever; only new ones are served.
    network.serve()
    t.equal((await eventually(() => readLiving(store, key))).payload, 'before')
    await eventually(() => Promise.all(Array.from({ length: 20 }, () => readLiving(store, key))))
  }
})

t.test('a server that has gone silent does not keep the process from ending', { skip: postgres.skip || mariadb.skip, timeout: MINUTE }, async t => {
  for (const service of [postgres, mariadb]) {
    const network = await newNetwork(t, Number(new URL(service.url(t)).port))
    const url = new URL(service.url(t))
    url.port = String(network.port)
    const table = newTable()
    t.teardown(async () => { await run(service.url(t), `drop table if exists ${table}`) })
    const program = startProgram(t, join(import.meta.dirname, 'database-child.ts'), [url.href, table, 'close', newKey()])
    await program.said('opened')
    network.swallow()
    program.process.stdin.write('close')
    await program.ended
    t.equal(program.process.exitCode, 0, service.name)
  }
})

t.test('an application with a long timeout starts while its database is silent', { skip: postgres.skip || mariadb.skip }, async t => {
  await Promise.all([postgres, mariadb].map(async service => {
    const network = await newNetwork(t, Number(new URL(service.url(t)).port))
    const url = new URL(service.url(t))
    url.port = String(network.port)
    network.swallow()
    const warnings: Warning[] = []
    const driver = new DatabaseStore({ connection: url.href, timeout: MINUTE, report: warning => { warnings.push(warning) } })
    const app = fastify()
    await t.resolves(async () => { await app.register(ambientSession, { driver }) }, service.name)
    t.match(warnings, [{ message: /will be answered with 503 until the database is there/ }])
    network.close()
    await app.close()
  }))
})

interface Network {
  readonly port: number
  /** From now on nothing arrives any more, on any connection. */
  swallow (): void
  /** New connections are served again. */
  serve (): void
  /** Closes all connections. */
  close (): void
}

/** Between the store and a server. */
async function newNetwork (t: Test, target: number): Promise<Network> {
  let isServing = true
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    sockets.add(client.on('error', () => {}))
    if (!isServing) return
    const upstream = openSocket(target, '127.0.0.1')
    sockets.add(upstream.on('error', () => {}))
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
  t.teardown(close)
  return {
    close,
    port: (server.address() as AddressInfo).port,
    swallow () {
      isServing = false
      for (const socket of sockets) socket.unpipe().pause()
    },
    serve () { isServing = true }
  }
}

interface Transaction {
  query (sql: string): Promise<unknown>
}

/** A connection of its own, in a transaction. */
async function transaction (t: Test, url: string): Promise<Transaction> {
  if (url.startsWith('postgres')) {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    t.teardown(async () => { await client.end() })
    await client.query('begin')
    return client
  }
  const connection = await mysqlPromise.createConnection({ uri: url })
  t.teardown(async () => { await connection.end() })
  await connection.query('begin')
  return connection
}

async function sqliteAt (t: Test, url: string): Promise<{ exec (sql: string): unknown }> {
  const { openSqlite } = await import('../../src/stores/database/sqlite.ts')
  const database = await openSqlite(url.replace('sqlite:', ''), TIMEOUT)
  t.teardown(() => database.close())
  return database
}
