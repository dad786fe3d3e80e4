/** @fastify/postgres: its pool is handed over to the driver database. */
import postgresPlugin from '@fastify/postgres'
import Fastify from 'fastify'
import t from 'tap'
import ambientSession, { session, SessionConfigError } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { listening } from '../http/support.ts'
import { newTable, POSTGRES, postgres, run } from '../stores/database-support.ts'

const { skip } = postgres

t.test('app.pg.pool is the connection', { skip }, async t => {
  const table = newTable()
  t.teardown(() => run(POSTGRES, `drop table if exists ${table}`))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(postgresPlugin, { connectionString: POSTGRES })
  await app.register(ambientSession, { driver: 'database', connection: app.pg.pool, table, createTable: true })
  app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
  app.get('/', async () => {
    const { rows: [row] } = await app.pg.query<{ one: number }>('select 1 as one')
    return `${session('name', 'no one') as string} ${row?.one}`
  })
  await listening(app)
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.get('/in/ada')
  await eve.get('/in/eve')
  const pages = await Promise.all([ada, eve, visitor(app)].map(browser => browser.get('/')))
  t.same(pages.map(({ text }) => text), ['ada 1', 'eve 1', 'no one 1'])
  t.equal((await app.pg.query(`select * from ${table}`)).rowCount, 2)
  const { pool } = app.pg
  await app.close()
  t.equal(pool.ended, true, 'the plugin closes its pool with the application')
})

t.test('app.pg itself is refused with what to hand over', { skip }, async t => {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(postgresPlugin, { connectionString: POSTGRES })
  const error = await app.register(ambientSession, { driver: 'database', connection: app.pg, sweep: false }).then(() => undefined, (error: unknown) => error)
  t.type(error, SessionConfigError)
  t.match(error, { message: /connection: .*app\.pg\.pool/ })
})
