/** Responses of one turn of the event loop leave together at its end, and for all who ask they have been sent before. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { connect as connectHttp2 } from 'node:http2'
import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Agent, get as httpsGet } from 'node:https'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import ambientSession, { hasSession, session } from '../../src/index.ts'
import { Connection, portOf } from '../helpers/client.ts'
import { cert, key } from '../helpers/tls.ts'
import { serve } from './support.ts'
import { ask, askAll, connections } from './turns.ts'

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

/** Says at each request which of those before it are held back: with 1 for those that are. */
async function serveTellingOthers (t: Test, work = (): void => {}): Promise<{ app: FastifyInstance, others: number[][], begin: () => void }> {
  const sockets: Socket[] = []
  const others: number[][] = []
  const app = await serve(t, app => {
    app.get('/', (req, reply) => {
      others.push(sockets.map(({ writableCorked }) => writableCorked))
      work()
      void reply.send('done')
      sockets.push(req.raw.socket)
    })
  })
  const begin = (): void => {
    sockets.length = 0
    others.length = 0
  }
  return { app, others, begin }
}

t.test('the responses of one turn leave together at its end', async t => {
  t.intercept(performance, 'now', { value: () => 0 })
  const { app, others, begin } = await serveTellingOthers(t)
  const three = await connections(t, app, 3)
  begin()
  await askAll(three)
  t.same(others, [[], [1], [1, 1]])
  begin()
  await askAll(three)
  t.same(others, [[], [1], [1, 1]], 'and so do the next ones')
})

t.test('a response that is held back has been sent', async t => {
  const seen: unknown[] = []
  const app = await serve(t, app => {
    app.get('/', (req, reply) => {
      session().increment('n')
      void reply.send('done')
      seen.push(reply.sent, reply.raw.headersSent, reply.raw.writableEnded, req.raw.socket.writableCorked)
    })
  })
  await connections(t, app, 1)
  t.same(seen, [true, true, true, 1])
})

t.test('in a turn that takes long, none waits for longer than the next request takes', async t => {
  const { app, others, begin } = await serveTellingOthers(t, () => { spend(2) })
  const four = await connections(t, app, 4)
  begin()
  await askAll(four)
  t.same(others, [[], [1], [0, 0], [0, 0, 1]])
})

t.test('a response that somebody listens to is not held back', async t => {
  const held: number[] = []
  const listen: Record<string, (req: FastifyRequest, reply: FastifyReply) => void> = {
    nobody: () => {},
    end: (_req, reply) => { reply.raw.on('finish', () => {}) },
    close: (_req, reply) => { reply.raw.on('close', () => {}) },
    request: req => { req.raw.on('close', () => {}) },
    endOfRequest: req => { req.raw.on('end', () => {}) }
  }
  const app = await serve(t, app => {
    app.get('/:what', (req, reply) => {
      listen[(req.params as { what: string }).what]?.(req, reply)
      void reply.send('done')
      held.push(req.raw.socket.writableCorked)
    })
  })
  for (const what of Object.keys(listen)) await connections(t, app, 1, `/${what}`)
  t.same(held, [1, 0, 0, 0, 0])
  const listener = (): void => {}
  subscribe('http.server.response.finish', listener)
  t.teardown(() => unsubscribe('http.server.response.finish', listener))
  await connections(t, app, 1, '/nobody')
  t.equal(held.at(-1), 0, 'nor where a tool watches all responses')
})

for (const [when, listensLate] of [['before', false], ['while', true]] as const) {
  t.test(`whoever listened ${when} a response was held back is called in the flow of its request, also as far as other storages go`, async t => {
    t.intercept(performance, 'now', { value: () => 0 })
    const storage = new AsyncLocalStorage<string>()
    const seen: string[] = []
    const app = Fastify()
    t.teardown(() => app.close())
    app.addHook('onRequest', (req, _reply, done) => { storage.run(req.url, done) })
    await app.register(ambientSession, { driver: 'memory', sweep: false })
    app.get('/:n', (req, reply) => {
      session({ url: req.url })
      if (listensLate) void reply.send('done')
      reply.raw.once('finish', () => { seen.push(`${req.url} ${String(session('url'))} ${String(storage.getStore())}`) })
      if (!listensLate) void reply.send('done')
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const three = await connections(t, app, 3, '/first')
    seen.length = 0
    await askAll(three, n => `/${n}`)
    t.same(seen, ['/0 /0 /0', '/1 /1 /1', '/2 /2 /2'])
  })
}

t.test('onResponse hooks run in the flow of their request', async t => {
  const seen: string[] = []
  const app = await serve(t, app => {
    app.addHook('onResponse', async req => { seen.push(`${req.url} ${String(session('url'))}`) })
    app.get('/:n', async req => { session({ url: req.url }) })
  })
  const three = await connections(t, app, 3, '/first')
  seen.length = 0
  await askAll(three, n => `/${n}`)
  t.same(seen.sort(), ['/0 /0', '/1 /1', '/2 /2'])
})

t.test('an answer that another hook has made an error of is held back as well', async t => {
  const seen: number[] = []
  const app = await serve(t, app => {
    app.addHook('onSend', async (req, reply) => {
      seen.push(req.raw.socket.writableCorked)
      if (reply.statusCode !== 500) throw new Error('no')
    })
    app.get('/', async () => 'done')
  })
  const [connection] = await connections(t, app, 1)
  t.match(await ask(connection as Connection), '"message":"no"')
  t.same(seen, [1, 1, 1, 1])
})

t.test('who listens to a response that has left does not let the next one of its connection go', async t => {
  const held: number[] = []
  let last: ServerResponse | undefined
  const app = await serve(t, app => {
    app.get('/', (req, reply) => {
      void reply.send('done')
      last?.on('finish', () => {})
      last = reply.raw
      held.push(req.raw.socket.writableCorked)
    })
  })
  const [connection] = await connections(t, app, 1)
  await ask(connection as Connection)
  t.same(held, [1, 1])
})

t.test('who listens to a request whose response is held back already sees nobody\'s session, and not another visitor\'s', async t => {
  t.intercept(performance, 'now', { value: () => 0 })
  const seen: boolean[] = []
  const app = await serve(t, app => {
    app.get('/', (req, reply) => {
      void reply.send('done')
      req.raw.on('close', () => { seen.push(hasSession()) })
    })
  })
  const three = await connections(t, app, 3)
  seen.length = 0
  await askAll(three)
  t.same(seen, [false, false, false])
})

t.test('what is held back when its connection is destroyed leaves before', async t => {
  const app = await serve(t, app => {
    app.get('/', (_req, reply) => { void reply.send('done') })
    app.get('/close', (_req, reply) => {
      void reply.send('done')
      void app.close()
    })
  })
  const [connection, last] = await connections(t, app, 2)
  connection?.socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\nnonsense\r\n\r\n')
  t.equal((await connection?.answer())?.body, 'done', 'where the next request makes no sense')
  t.equal((await connection?.answer())?.status, 400)
  t.equal(await ask(last as Connection, '/close'), 'done', 'where the application closes')
})

t.test('what is held back when the process exits leaves before', async t => {
  const index = new URL('../../src/index.ts', import.meta.url).href
  const program = `
    import Fastify from 'fastify'
    import ambientSession from '${index}'
    const app = Fastify()
    await app.register(ambientSession, { driver: 'memory', sweep: false })
    app.get('/', (_req, reply) => {
      reply.send('done')
      process.exit()
    })
    console.log(await app.listen({ port: 0, host: '127.0.0.1' }))`
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill() })
  const exit = once(child, 'exit')
  const [origin] = await once(child.stdout, 'data') as [Buffer]
  const connection = await Connection.open(String(origin).trim())
  t.teardown(() => { connection.hangUp() })
  t.equal(await ask(connection), 'done')
  await exit
})

t.test('responses leave also where a test fakes the timers', async t => {
  const app = await serve(t, app => { app.get('/', async () => 'done') })
  const [connection] = await connections(t, app, 1)
  t.intercept(globalThis, 'setImmediate', { value: () => {} })
  t.equal(await ask(connection as Connection), 'done')
})

t.test('a stream leaves as it comes', async t => {
  const held: number[] = []
  const app = await serve(t, app => {
    app.get('/', (req, reply) => {
      void reply.header('content-length', 8).send(Readable.from(['one, ', 'two'], { objectMode: false }))
      held.push(req.raw.socket.writableCorked)
      return reply
    })
  })
  const [connection] = await connections(t, app, 1)
  t.equal(await ask(connection as Connection), 'one, two')
  t.same(held, [0, 0])
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
  let leave = (): void => {}
  const app = await serve(t, app => {
    app.get('/', async () => 'here')
    app.get('/leave', (_req, reply) => {
      void reply.send('done')
      leave()
    })
  })
  const [gone, other] = await connections(t, app, 2)
  leave = () => { gone?.hangUp() }
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

t.test('over TLS responses are held back and arrive just the same', async t => {
  const app = Fastify({ https: { key, cert } })
  t.teardown(() => app.close())
  await app.register(ambientSession, { driver: 'memory', sweep: false })
  const held: unknown[] = []
  app.get('/', (req, reply) => {
    void reply.send(String(session().increment('n')))
    held.push(req.raw.socket.writableCorked)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const agent = new Agent({ keepAlive: true, ca: cert })
  t.teardown(() => { agent.destroy() })
  const get = async (headers: Record<string, string> = {}): Promise<{ body: string, cookie: string }> => {
    const request = httpsGet({ port: portOf(app), host: '127.0.0.1', agent, headers })
    const [response] = await once(request, 'response') as [IncomingMessage]
    return { body: await text(response), cookie: response.headers['set-cookie']?.[0]?.split(';')[0] ?? '' }
  }
  const { cookie } = await get()
  const bodies = await Promise.all(Array.from({ length: 10 }, async () => (await get({ cookie })).body))
  t.same(bodies.map(Number).sort((a, b) => a - b), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  t.same(held.slice(0, 2), [1, 1])
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
