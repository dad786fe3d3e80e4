/** The database store between processes: real ones, on one table. */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Program, startProgram } from '../helpers/process.ts'
import { create, increment, newKey, readLiving } from './conformance.ts'
import { databaseStore, newTable, run, services, sqlite } from './database-support.ts'

/** Starts a process with a database store; see database-child.ts for what it can do. */
function start (t: Test, url: string, table: string, command: string, key: string, count = 0): Program {
  return startProgram(t, join(import.meta.dirname, 'database-child.ts'), [url, table, command, key, count])
}

for (const service of services) {
  t.test(`${service.name}: two processes that count on one session lose nothing`, { skip: service.skip }, async t => {
    const { store, url, table } = await databaseStore(t, service)
    const { key } = await create(store, '0')
    const children = [1, 2].map(() => start(t, url, table, 'increment', key, 100))
    for (const child of children) t.equal((await child.ended).at(-1), 'done')
    t.equal((await readLiving(store, key)).payload, '200')
  })

  t.test(`${service.name}: processes that make the table at the same moment do not fail`, { skip: service.skip }, async t => {
    const url = service.url(t)
    const table = newTable()
    if (service.dialect !== 'sqlite') t.teardown(async () => { await run(url, `drop table if exists ${table}`) })
    const children = [1, 2, 3].map(() => start(t, url, table, 'open', newKey()))
    for (const child of children) await child.said('waiting')
    for (const child of children) child.process.stdin.write('go')
    for (const child of children) t.same(await child.ended, ['waiting', 'done'])
    const { store } = await databaseStore(t, service, { connection: url, table, createTable: false })
    await create(store)
  })

  t.test(`${service.name}: a session's lock is exclusive between processes`, { skip: service.skip }, async t => {
    const { store, url, table } = await databaseStore(t, service)
    const { key } = await create(store, '0')
    const children = [1, 2].map(() => start(t, url, table, 'blocking', key, 20))
    for (const child of children) t.same(await child.ended, ['done'])
    t.equal((await readLiving(store, key)).payload, '40')
  })

  t.test(`${service.name}: the lock of a process that was killed is to be had when its lease has run out`, { skip: service.skip }, async t => {
    const { store, url, table } = await databaseStore(t, service)
    const key = newKey()
    const lease = 1_000
    const child = start(t, url, table, 'lock', key, lease)
    await child.said('locked')
    child.process.kill('SIGKILL')
    const askedAt = Number((await child.ended)[0])
    const unlock = await store.lock(key, { lease, wait: 60_000 })
    t.ok(Date.now() >= askedAt + lease, 'and not before')
    await unlock()
  })
}

t.test('SQLite: a process killed while it writes has lost nothing that it acknowledged', { skip: sqlite.skip }, async t => {
  const { store, url, table } = await databaseStore(t, sqlite)
  const { key } = await create(store, '0')
  for (const enough of [20, 50, 80]) {
    const before = Number((await readLiving(store, key)).payload)
    const child = start(t, url, table, 'increment', key, 1_000_000)
    await child.said(`acknowledged: ${enough}`)
    child.process.kill('SIGKILL')
    const lines = await child.ended
    const acknowledged = before + lines.length
    const found = Number((await readLiving(store, key)).payload)
    t.ok(found === acknowledged || found === acknowledged + 1, `${found} are stored and ${acknowledged} were acknowledged`)
    await increment(store, key)
  }
})
