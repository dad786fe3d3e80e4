/** Responses of one turn of the event loop leave together at its end, and for all who ask they have been sent before. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { connect as connectHttp2 } from 'node:http2'
import { once } from 'node:events'
import Fastify from 'fastify'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import ambientSession, { session } from '../../src/index.ts'
import { Connection, portOf } from '../helpers/client.ts'
import { serve } from './support.ts'

/** Connections that have been used before, so that the server knows them. */
async function connections (t: Test, app: FastifyInstance, count: number, path = '/'): Promise<Connection[]> {
  const all = await Promise.all(Array.from({ length: count }, async () => await Connection.open(app)))
  for (const connection of all) {
    t.teardown(() => { connection.hangUp() })
    await ask(connection, path)
  }
  return all
}

async function ask (connection: Connection, path = '/'): Promise<string> {
  connection.request(`GET ${path}`)
  return (await connection.answer()).body
}

/** One request on each, all of which have come before the event loop looks at any of them. */
async function askAll (connections: readonly Connection[]): Promise<void> {
  for (const connection of connections) connection.request('GET /')
  await Promise.all(connections.map(async connection => await connection.answer()))
}

function spend (milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

/** Says whether the answer to each request has been held back. */
async function serveTellingHeld (t: Test): Promise<{ app: FastifyInstance, held: boolean[] }> {
  const held: boolean[] = []
  const app = await serve(t, app => {
    for (const [path, config] of [['/', {}], ['/none', { session: false }]] as const) {
      app.get(path, { config }, (req, reply) => {
        void reply.send('done')
        held.push(req.raw.socket.writableCorked > 0)
      })
    }
  })
  return { app, held }
}

t.test('the responses of one turn leave together at its end', async t => {
  t.intercept(performance, 'now', { value: () => 0 })
  const events: string[] = []
  const app = await serve(t, app => {
    app.addHook('onResponse', async () => { events.push('left') })
    app.get('/', (_req, reply) => {
      session().increment('n')
      void reply.send('done')
      events.push(reply.sent ? 'sent' : 'not sent')
    })
  })
  const three = await connections(t, app, 3)
  events.length = 0
  await askAll(three)
  t.same(events, ['sent', 'sent', 'sent', 'left', 'left', 'left'])
})

t.test('each leaves in the flow of its own request, also as far as other storages go', async t => {
  t.intercept(performance, 'now', { value: () => 0 })
  const storage = new AsyncLocalStorage<string>()
  const seen: string[] = []
  const app = Fastify()
  t.teardown(() => app.close())
  app.addHook('onRequest', (req, _reply, done) => { storage.run(req.url, done) })
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  app.addHook('onResponse', async req => { seen.push(`${req.url} ${String(session('url'))} ${String(storage.getStore())}`) })
  app.get('/:n', async req => { session({ url: req.url }) })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const three = await connections(t, app, 3, '/first')
  seen.length = 0
  for (const [n, connection] of three.entries()) connection.request(`GET /${n}`)
  await Promise.all(three.map(async connection => await connection.answer()))
  t.same(seen.sort(), ['/0 /0 /0', '/1 /1 /1', '/2 /2 /2'])
})

t.test('in a turn that takes long, none waits for longer than the next request takes', async t => {
  const events: string[] = []
  const app = await serve(t, app => {
    app.addHook('onResponse', async () => { events.push('left') })
    app.get('/', (_req, reply) => {
      spend(2)
      void reply.send('done')
      events.push('sent')
    })
  })
  const four = await connections(t, app, 4)
  events.length = 0
  await askAll(four)
  t.same(events, ['sent', 'sent', 'left', 'left', 'sent', 'sent', 'left', 'left'])
})

t.test('where each comes alone in its turn, most are not held back', async t => {
  const { app, held } = await serveTellingHeld(t)
  const [connection] = await connections(t, app, 1)
  for (let n = 1; n < 8 + 64 + 1 + 64; n++) await ask(connection as Connection)
  t.same(held.slice(0, 8), Array(8).fill(true), 'until that is known')
  t.same(held.slice(8, 8 + 64), Array(64).fill(false))
  t.equal(held[8 + 64], true, 'now and then one is, to see')
  t.same(held.slice(8 + 64 + 1), Array(64).fill(false))
})

t.test('as soon as two come in one turn again, all are held back', async t => {
  t.intercept(performance, 'now', { value: () => 0 })
  const { app, held } = await serveTellingHeld(t)
  const two = await connections(t, app, 2)
  for (let n = 2; n < 8; n++) await ask(two[0] as Connection)
  t.equal(held.at(-1), true)
  for (let n = 0; n < 32; n++) await askAll(two)
  t.same(held.slice(8), Array(64).fill(false))
  held.length = 0
  for (let n = 0; n < 3; n++) await askAll(two)
  await ask(two[0] as Connection)
  t.same(held, Array(7).fill(true))
})

t.test('a route without a session answers at once', async t => {
  const { app, held } = await serveTellingHeld(t)
  await connections(t, app, 3, '/none')
  t.same(held, [false, false, false])
})

t.test('a visitor who leaves while the answer is held back harms nobody', async t => {
  const app = await serve(t, app => {
    app.get('/', async () => 'here')
    app.get('/leave', (req, reply) => {
      void reply.send('done')
      req.raw.socket.destroy()
    })
  })
  const [gone, other] = await connections(t, app, 2)
  await t.rejects(ask(gone as Connection, '/leave'), /closed/)
  t.equal(await ask(other as Connection), 'here')
})

t.test('what others cork they can uncork', async t => {
  const app = await serve(t, app => {
    app.get('/', (req, reply) => {
      const { socket } = req.raw
      socket.cork()
      void reply.send('done')
      socket.cork()
      socket.uncork()
      process.nextTick(() => { socket.uncork() })
    })
    app.get('/pieces', (req, reply) => {
      const { socket, httpVersion } = req.raw
      socket.cork()
      process.nextTick(() => { socket.uncork() })
      void reply.header('content-length', httpVersion.length * 2).send(pieces(httpVersion))
    })
  })
  const [connection] = await connections(t, app, 1)
  t.equal(await ask(connection as Connection), 'done')
  t.equal(await ask(connection as Connection, '/pieces'), '1.11.1')
})

/** A stream whose second piece comes in another turn. */
function pieces (text: string): ReadableStream<Uint8Array> {
  const bytes = Buffer.from(text)
  return new ReadableStream({
    start (controller) {
      controller.enqueue(bytes)
      setImmediate(() => {
        controller.enqueue(bytes)
        controller.close()
      })
    }
  })
}

t.test('requests that were sent one after the other without waiting are answered in that order', async t => {
  const app = await serve(t, app => { app.get('/:n', async req => (req.params as { n: string }).n) })
  const connection = await Connection.open(app)
  t.teardown(() => { connection.hangUp() })
  const numbers = Array.from({ length: 20 }, (_, n) => String(n))
  for (const n of numbers) connection.request(`GET /${n}`)
  const bodies: string[] = []
  while (bodies.length < numbers.length) bodies.push((await connection.answer()).body)
  t.same(bodies, numbers)
})

t.test('over HTTP/2 sessions are kept as well', async t => {
  const app = Fastify({ http2: true })
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  const held: unknown[] = []
  app.get('/', async (_req, reply) => {
    const { socket } = reply.raw
    void reply.send(session().increment('n'))
    held.push(socket?.writableCorked)
    return reply
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const client = connectHttp2(`http://127.0.0.1:${portOf(app as unknown as FastifyInstance)}`)
  t.teardown(() => { client.destroy() })
  const get = async (headers: Record<string, string> = {}): Promise<{ body: string, cookie: string }> => {
    const stream = client.request({ ':path': '/', ...headers }).setEncoding('utf8')
    const [answer] = await once(stream, 'response') as [Record<string, string[]>]
    let body = ''
    for await (const piece of stream) body += String(piece)
    return { body, cookie: answer['set-cookie']?.[0]?.split(';')[0] ?? '' }
  }
  const { cookie } = await get()
  t.equal((await get({ cookie })).body, '2')
  t.same(held, [0, 0], 'their connection is not theirs alone')
})
