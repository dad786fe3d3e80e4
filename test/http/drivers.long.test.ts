/** Whole requests with the drivers that are servers, chosen by the options alone. */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { FastifyInstance } from 'fastify'
import { session, type SessionOptions } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { hasRedisServer, newRedisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { run, services } from '../stores/database-support.ts'
import { Log, serve } from './support.ts'

function routes (app: FastifyInstance): void {
  app.get('/visit', async () => String(session().increment('visits')))
  app.post('/logout', async () => { session().invalidate() })
}

/** Two servers share sessions, lose no count, and end them for each other. */
async function share (t: Test, options: SessionOptions): Promise<void> {
  const [one, two] = [await serve(t, routes, options), await serve(t, routes, options)]
  const ada = visitor(one)
  await ada.get('/visit')
  const there = visitor(two)
  for (const [name, value] of ada.cookies) there.cookies.set(name, value)
  const answers = await Promise.all(Array.from({ length: 50 }, async (_, n) => (await (n % 2 === 0 ? ada : there).get('/visit')).status))
  t.same(answers, Array(50).fill(200))
  t.equal((await there.get('/visit')).text, '52')
  await ada.post('/logout')
  t.equal((await there.get('/visit')).text, '1')
}

t.test('redis, by its URL', { skip: await skipWithout('redis-server', hasRedisServer) }, async t => {
  const server = await newRedisServer(t)
  await server.start()
  await share(t, { driver: 'redis', connection: server.url })
})

for (const { name, skip, url } of services) {
  t.test(`${name}, by its URL, in a table that is made`, { skip }, async t => {
    const [connection, table] = [url(t), `drivers_${randomBytes(6).toString('hex')}`]
    if (!connection.startsWith('sqlite:')) t.teardown(() => run(connection, `drop table if exists ${table}`))
    await share(t, { driver: 'database', connection, table, createTable: true })
  })
}

t.test('without a server, requests are answered with 503 within the timeout of the options', async t => {
  const log = new Log()
  const app = await serve(t, routes, { driver: 'redis', connection: 'redis://127.0.0.1:1', timeout: 0.1 }, { logger: log })
  const answer = await visitor(app).get('/visit')
  t.match(answer.json, { statusCode: 503, code: 'ERR_SESSION_STORE' })
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_STORE' }])
})
