/**
 * Libraries that call back through something shared by requests: what session() finds in their callbacks once the request that
 * used them first is over. It is never that other visitor's session. docs/global-helper.md has the same table.
 */
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import DataLoader from 'dataloader'
import Fastify from 'fastify'
import mysql from 'mysql'
import mysql2 from 'mysql2'
import PQueue from 'p-queue'
import pg from 'pg'
import t, { type Test } from 'tap'
import { Pool, stream } from 'undici'
import { hasSession, session } from '../src/index.ts'
import { visitor } from './helpers/client.ts'
import { deferred, listening, serve } from './http/support.ts'
import { mariadb, MYSQL, postgres, POSTGRES } from './stores/database-support.ts'

/** What a callback finds: its own session, or none. */
type Found = 'right' | 'refused'

interface Library {
  readonly expected: Found
  readonly skip?: false | string
  /** @returns how a request uses the library: `look` is to be called in its callback */
  readonly open: (t: Test) => Promise<(look: () => void) => Promise<unknown>> | ((look: () => void) => Promise<unknown>)
}

/** A promise that is settled in a callback, for handlers that wait for one. */
function called (use: (callback: (error?: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => { use(error => { if (error) reject(error instanceof Error ? error : new Error('the library failed')); else resolve() }) })
}

const libraries: Record<string, Library> = {
  'pg, Pool.query with a callback': {
    expected: 'refused',
    skip: postgres.skip,
    open (t) {
      const pool = new pg.Pool({ connectionString: POSTGRES, max: 1 })
      t.teardown(() => pool.end())
      return look => called(done => { pool.query('select 1', error => { look(); done(error) }) })
    }
  },
  'pg, Pool.query as a promise': {
    expected: 'right',
    skip: postgres.skip,
    open (t) {
      const pool = new pg.Pool({ connectionString: POSTGRES, max: 1 })
      t.teardown(() => pool.end())
      return async look => { await pool.query('select 1'); look() }
    }
  },
  'mysql2, Pool.query with a callback': {
    expected: 'refused',
    skip: mariadb.skip,
    open (t) {
      const pool = mysql2.createPool({ uri: MYSQL, connectionLimit: 1 })
      t.teardown(() => called(done => { pool.end(done) }))
      return look => called(done => { pool.query('select 1', error => { look(); done(error) }) })
    }
  },
  'mysql2/promise, Pool.query': {
    expected: 'right',
    skip: mariadb.skip,
    open (t) {
      const pool = mysql2.createPool({ uri: MYSQL, connectionLimit: 1 })
      t.teardown(() => called(done => { pool.end(done) }))
      return async look => { await pool.promise().query('select 1'); look() }
    }
  },
  'mysql2, events of a query': {
    expected: 'refused',
    skip: mariadb.skip,
    open (t) {
      const pool = mysql2.createPool({ uri: MYSQL, connectionLimit: 1 })
      t.teardown(() => called(done => { pool.end(done) }))
      return look => called(done => { pool.query('select 1').on('end', () => { look(); done() }) })
    }
  },
  'mysql, Pool.query with a callback': {
    expected: 'refused',
    skip: mariadb.skip,
    open (t) {
      const pool = mysql.createPool(`${MYSQL.replace('root@', 'root:@')}?connectionLimit=1`)
      t.teardown(() => called(done => { pool.end(done) }))
      return look => called(done => { pool.query('select 1', error => { look(); done(error) }) })
    }
  },
  'undici, stream with a factory': {
    expected: 'right',
    async open (t) {
      const { url, dispatcher } = await upstream(t)
      return look => stream(url, { method: 'GET', dispatcher }, () => { look(); return new PassThrough().resume() })
    }
  },
  'fetch of Node.js': {
    expected: 'right',
    async open (t) {
      const { url } = await upstream(t)
      return async look => { await (await fetch(url)).text(); look() }
    }
  },
  'p-queue, a task that waits for another': {
    expected: 'refused',
    open () {
      const queue = new PQueue({ concurrency: 1 })
      const another = deferred()
      let isFirst = true
      return async look => {
        if (isFirst) {
          isFirst = false
          // The task goes on when the request that added it is over, and another one waits.
          void queue.add(() => another.promise)
          return
        }
        const looked = queue.add(() => { look() })
        another.resolve()
        await looked
      }
    }
  },
  'dataloader, shared by requests': {
    expected: 'right',
    open () {
      let look = (): void => {}
      const loader = new DataLoader<number, number>(async keys => { look(); return await Promise.resolve(keys) }, { cache: false })
      return async next => { look = next; await loader.load(1) }
    }
  }
}

/** Another server, and a pool of one connection to it. */
async function upstream (t: Test) {
  const app = Fastify()
  app.get('/', async () => 'x')
  t.teardown(() => app.close())
  await listening(app)
  const url = app.listeningOrigin
  const dispatcher = new Pool(url, { connections: 1 })
  t.teardown(() => dispatcher.destroy())
  return { url, dispatcher }
}

for (const [name, { expected, skip = false, open }] of Object.entries(libraries)) {
  t.test(`${name}: ${expected}`, { skip }, async t => {
    const use = await open(t)
    const seen: string[] = []
    const app = await serve(t, app => {
      app.get<{ Params: { name: string } }>('/:name', async (req, reply) => {
        session({ name: req.params.name })
        reply.raw.once('close', () => { app.server.emit('closed') })
        await use(() => { seen.push(hasSession() ? session<string>('name') as string : 'none') })
        return 'x'
      })
    })
    const closed = once(app.server, 'closed')
    await visitor(app).get('/eve')
    await closed
    seen.length = 0
    await visitor(app).get('/ada')
    t.same(seen, [expected === 'right' ? 'ada' : 'none'])
  })
}
