/** The database store: the contract on every database, and what it makes of its options. Faults have a file of their own. */
import t from 'tap'
import { testStore } from '../../src/testing.ts'
import type { DatabaseStore } from '../../src/index.ts'
import { newDatabaseStore, services } from './database-support.ts'

t.setTimeout(120_000)

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
