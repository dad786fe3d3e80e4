/** Sockets and streams that close when their session ends, in this process and in others. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import fastifyWebsocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import { onSessionEnd, runWithSession, session, type SessionEndOptions, type SessionOptions, SessionUsageError } from '../src/index.ts'
import { Connection, originOf, visitor, type Visitor } from './helpers/client.ts'
import { Socket } from './helpers/web-socket.ts'
import { drivers } from './http/each-driver.ts'
import { Clock, deferred, elsewhere, Log, serve } from './http/support.ts'
import { SpyStore } from './http/stores.ts'

const SIGNED_OUT = 4401
/** An hour: what is noticed within a test has not been noticed by a look at the store. */
const NEVER = { every: 3600 }
const SOON = { every: 0.05 }

function routes (options?: SessionEndOptions): (app: FastifyInstance) => Promise<void> {
  return async app => {
    await app.register(fastifyWebsocket)
    app.get('/sign-in', async () => {
      session().regenerate()
      session().setUser('ada')
      return session().key
    })
    app.get('/regenerate', async () => { session().regenerate() })
    app.get('/sign-out', async () => { session().invalidate() })
    app.get('/restart', async () => {
      session().invalidate()
      session({ begun: 'again' })
    })
    app.get('/visits', async () => session().increment('visits'))
    await app.register(async sockets => {
      sockets.get('/socket', { websocket: true }, (socket, req) => {
        onSessionEnd(req, () => { socket.close(SIGNED_OUT) }, options)
        socket.on('message', (text: Buffer) => { socket.send(text.toString()) })
        socket.send('ready')
      })
    })
  }
}

async function open (ada: Visitor, app: FastifyInstance): Promise<Socket> {
  const socket = await Socket.open(`${originOf(app).replace('http', 'ws')}/socket`, ada.cookieHeader)
  assert.equal(await socket.message(), 'ready')
  return socket
}

/** Sees whether a socket is open: what is sent comes back. */
async function isOpen (socket: Socket): Promise<boolean> {
  socket.send('hello')
  return await socket.message() === 'hello'
}

async function signedIn (app: FastifyInstance): Promise<Visitor> {
  const ada = visitor(app)
  await ada.get('/sign-in')
  return ada
}

for (const { name, skip, options } of drivers) {
  t.test(`with the driver ${name}`, { skip }, async t => {
    const app = await serve(t, routes(NEVER), await options(t))
    const all = async (): Promise<[Visitor, Socket]> => {
      const ada = await signedIn(app)
      return [ada, await open(ada, app)]
    }

    await t.test('a sign-out closes the socket at once', async t => {
      const [ada, socket] = await all()
      await ada.get('/sign-out')
      t.equal(await socket.closed, SIGNED_OUT)
    })

    await t.test('so does a sign-out that begins another session', async t => {
      const [ada, socket] = await all()
      await ada.get('/restart')
      t.equal(await socket.closed, SIGNED_OUT)
    })

    await t.test('a new id does not close the socket, and a sign-out under the new id does', async t => {
      const [ada, socket] = await all()
      await ada.get('/regenerate')
      await ada.get('/regenerate')
      t.ok(await isOpen(socket))
      await ada.get('/sign-out')
      t.equal(await socket.closed, SIGNED_OUT)
    })

    await t.test('the sign-out of one browser leaves the sockets of others open', async t => {
      const [ada] = await all()
      const [, other] = await all()
      await ada.get('/sign-out')
      t.ok(await isOpen(other))
    })

    await t.test('app.sessions.destroyFor() closes all sockets of the user', { skip: name === 'cookie' && 'cookies cannot be listed' }, async t => {
      const [, socket] = await all()
      const [, other] = await all()
      await app.sessions.destroyFor('ada')
      t.same(await Promise.all([socket.closed, other.closed]), [SIGNED_OUT, SIGNED_OUT])
    })
  })
}

t.test('a WebSocket of injectWS() is closed as well', async t => {
  const app = await serve(t, routes(NEVER))
  const ada = await signedIn(app)
  const socket = await app.injectWS('/socket', { headers: { cookie: ada.cookieHeader } })
  const closed = once(socket, 'close')
  await ada.get('/sign-out')
  t.match(await closed, [SIGNED_OUT])
})

t.test('a job that ends the session closes the socket', async t => {
  const app = await serve(t, routes(NEVER))
  const ada = await signedIn(app)
  const socket = await open(ada, app)
  await runWithSession({ app, cookie: ada.cookieHeader }, () => { session().invalidate() })
  t.equal(await socket.closed, SIGNED_OUT)
})

/** Two applications on one storage stand for two processes: neither is told what the other does. */
const shared: ReadonlyArray<[name: string, options: (t: Test) => SessionOptions]> = [
  ['files', t => ({ driver: 'file', files: t.testdir(), sweep: false })],
  ['an asynchronous store', () => ({ driver: new SpyStore(false) })],
  ['encrypted files', t => ({ driver: 'file', files: t.testdir(), sweep: false, encrypt: true, secret: 'a secret that is long enough for all of this' })]
]

for (const [name, optionsFor] of shared) {
  t.test(`two processes on ${name}`, async t => {
    const options = optionsFor(t)
    const here = await serve(t, routes(SOON), options)
    const there = await serve(t, routes(SOON), options)

    await t.test('a sign-out there closes the socket here', async t => {
      const ada = await signedIn(here)
      const socket = await open(ada, here)
      await ada.copy(there).get('/sign-out')
      t.equal(await socket.closed, SIGNED_OUT)
    })

    await t.test('a new id from there closes the socket, for the browser to open it again with the new cookie', async t => {
      const ada = await signedIn(here)
      const socket = await open(ada, here)
      await ada.copy(there).get('/regenerate')
      t.equal(await socket.closed, SIGNED_OUT)
    })

    await t.test('a session that is used there keeps its socket here', async t => {
      const ada = await signedIn(here)
      const bob = await signedIn(here)
      const [socket, another] = [await open(ada, here), await open(bob, here)]
      await ada.copy(there).get('/visits')
      await bob.copy(there).get('/sign-out')
      t.equal(await another.closed, SIGNED_OUT, 'the store has been looked at')
      t.ok(await isOpen(socket))
    })
  })
}

t.test('a session that has been idle for too long closes its socket', async t => {
  const app = await serve(t, routes(SOON), { lifetime: 10 })
  const ada = await signedIn(app)
  const socket = await open(ada, app)
  new Clock(t).advance(601)
  t.equal(await socket.closed, SIGNED_OUT)
})

t.test('a session that another process ended while the connection was opened closes it before the first look is due', async t => {
  const options = { driver: new SpyStore(false) }
  const there = await serve(t, routes(NEVER), options)
  const here = await serve(t, app => {
    app.get('/stream', async (req, reply) => {
      await ada.copy(there).get('/sign-out')
      reply.hijack()
      reply.raw.writeHead(200).write('begun,')
      onSessionEnd(req, () => { reply.raw.end('ended') }, NEVER)
    })
  }, options)
  const ada = await signedIn(there)
  t.equal((await ada.copy(here).get('/stream')).text, 'begun,ended')
})

t.test('a session that the request begins and another process ends before the first look is noticed at that look', async t => {
  const options = { driver: new SpyStore(false) }
  const there = await serve(t, routes(NEVER), options)
  const here = await serve(t, app => {
    app.get('/', async req => {
      const ended = deferred()
      session({ cart: [] })
      // Looks are due at multiples of the interval: this one has just begun.
      while (performance.now() % 500 > 50) await new Promise(resolve => { setImmediate(resolve) })
      onSessionEnd(req, ended.resolve, { every: 0.5 })
      await session().save()
      await elsewhere(key => there.sessions.destroy(key), session().key)
      await session().reload()
      await ended.promise
      return 'ended'
    })
  }, options)
  t.equal((await visitor(here).get('/')).text, 'ended')
})

t.test('in a request', async t => {
  let use: (req: FastifyRequest) => unknown = () => {}
  const log = new Log()
  const app = await serve(t, async app => {
    await routes()(app)
    app.get('/', async req => {
      await use(req)
      return {}
    })
  }, {}, { logger: log })
  const inRequest = async (ada: Visitor, fn: typeof use, headers: Record<string, string> = {}): Promise<void> => {
    use = fn
    const { status, text } = await ada.get('/', headers)
    assert.equal(status, 200, text)
  }

  await t.test('the function is called once, in the flow of its own request', async t => {
    const ada = await signedIn(app)
    const called = deferred<string | undefined>()
    let calls = 0
    const another = visitor(app)
    await inRequest(ada, async req => {
      onSessionEnd(req, () => {
        calls++
        called.resolve(session().userId)
      })
      await elsewhere(key => app.sessions.destroy(key), session().key)
      t.equal(await called.promise, 'ada')
      await elsewhere(key => app.sessions.destroy(key), session().key)
    })
    await another.get('/visits')
    t.equal(calls, 1)
  })

  await t.test('what it returns stops it', async t => {
    const ada = await signedIn(app)
    await inRequest(ada, async req => {
      onSessionEnd(req, () => { t.fail('the function was called') })()
      await elsewhere(key => app.sessions.destroy(key), session().key)
    })
  })

  await t.test('a function is not called any more that another one of the same session has stopped', async t => {
    const ada = await signedIn(app)
    await inRequest(ada, async req => {
      const called = deferred()
      let stopOther = (): void => {}
      onSessionEnd(req, () => {
        stopOther()
        called.resolve()
      })
      stopOther = onSessionEnd(req, () => { t.fail('the function was called') })
      await elsewhere(key => app.sessions.destroy(key), session().key)
      await called.promise
      await turn()
    })
  })

  await t.test('a function that fails is reported, and ends nothing else', async t => {
    for (const fail of [() => { throw new Error('sorry') }, async () => { throw new Error('sorry') }]) {
      const ada = await signedIn(app)
      const before = log.lines.length
      await inRequest(ada, async req => {
        const called = deferred()
        onSessionEnd(req, fail)
        onSessionEnd(req, called.resolve)
        await elsewhere(key => app.sessions.destroy(key), session().key)
        await called.promise
        await turn()
      })
      t.match(log.entries.slice(before), [{ code: 'AMBIENT_SESSION_END', err: { message: 'sorry' } }])
    }
  })

  await t.test('it ends with the response', async t => {
    const ada = await signedIn(app)
    await inRequest(ada, req => {
      onSessionEnd(req, () => { t.fail('the function was called') })
    })
    await ada.get('/sign-out')
  })

  await t.test('a session that the request begins is watched', async () => {
    const ada = visitor(app)
    await inRequest(ada, async req => {
      const ended = deferred()
      session({ cart: [] })
      onSessionEnd(req, ended.resolve, SOON)
      await session().save()
      await elsewhere(key => app.sessions.destroy(key), session().key)
      await ended.promise
    })
  })

  await t.test('a session that gets a new id before it is stored is watched under that', async () => {
    const ada = visitor(app)
    await inRequest(ada, async req => {
      const ended = deferred()
      session({ cart: [] })
      onSessionEnd(req, ended.resolve, SOON)
      session().regenerate()
      await session().save()
      await elsewhere(key => app.sessions.destroy(key), session().key)
      await ended.promise
    })
  })

  await t.test('of a session that is known to be over the function is called at once', async () => {
    const ada = await signedIn(app)
    await inRequest(ada, async req => {
      const ended = deferred()
      await elsewhere(key => app.sessions.destroy(key), session().key)
      await session().reload()
      onSessionEnd(req, ended.resolve, NEVER)
      await ended.promise
    })
  })

  await t.test('after the response nothing is watched any more', async t => {
    const ada = await signedIn(app)
    const stopped = deferred()
    await inRequest(ada, (req) => {
      const { raw } = req
      raw.socket.once('close', () => {
        const stop = onSessionEnd(req, () => { t.fail('the function was called') })
        stop()
        stopped.resolve()
      })
    }, { connection: 'close' })
    await stopped.promise
    await ada.get('/sign-out')
  })

  await t.test('it ends with the connection of a response that waits in a pipeline', async t => {
    const ada = await signedIn(app)
    const [reached, closed, first] = [deferred(), deferred(), deferred()]
    use = async req => {
      if (req.query !== undefined && 'first' in (req.query as object)) return await first.promise
      onSessionEnd(req, () => { t.fail('the function was called') })
      req.raw.socket.once('close', () => { closed.resolve() })
      reached.resolve()
    }
    const connection = await Connection.open(app)
    connection.request('GET /?first', { cookie: ada.cookieHeader })
    connection.request('GET /', { cookie: ada.cookieHeader })
    await reached.promise
    connection.hangUp()
    await closed.promise
    await ada.get('/sign-out')
    await turn()
    first.resolve()
  })

  await t.test('of a visitor without a session nothing ends', async t => {
    await inRequest(visitor(app), async req => {
      onSessionEnd(req, () => { t.fail('the function was called') }, { every: 0.001 })
      const ada = await signedIn(app)
      await ada.get('/sign-out')
    })
  })

  await t.test('an interval that makes no sense is refused', async t => {
    await inRequest(await signedIn(app), async req => {
      for (const every of [0, -1, NaN, Infinity, 1e6, '5' as never]) t.throws(() => onSessionEnd(req, () => {}, { every }), SessionUsageError)
    })
  })
})

t.test('a store that cannot be read is reported once, and asked again', async t => {
  const log = new Log()
  const store = new SpyStore(false)
  const app = await serve(t, routes(SOON), { driver: store }, { logger: log })
  const ada = await signedIn(app)
  const socket = await open(ada, app)
  const reads = deferred()
  let failed = 0
  store.before = method => {
    if (method !== 'read') return
    if (++failed === 3) reads.resolve()
    throw new Error('the store is down')
  }
  await reads.promise
  t.match((await log.warnings(1)).map(({ code }) => code), ['AMBIENT_SESSION_STORE'])
  store.before = undefined
  await ada.get('/sign-out')
  t.equal(await socket.closed, SIGNED_OUT)
  t.equal((await log.warnings(1)).length, 1)
})

t.test('no timer runs where nothing is watched, and none when the last socket has closed', async t => {
  const started: NodeJS.Timeout[] = []
  const setTimer = globalThis.setTimeout
  t.intercept(globalThis, 'setTimeout', {
    value: (fn: () => void, ms: number) => {
      const timer = setTimer(fn, ms)
      if (ms > 1_000_000) started.push(timer)
      return timer
    }
  })
  const app = await serve(t, routes(NEVER))
  const ada = await signedIn(app)
  await ada.get('/visits')
  t.equal(started.length, 0)
  const [one, two] = [await open(ada, app), await open(ada, app)]
  t.equal(started.length, 1, 'one timer for all sockets')
  t.equal(started[0]?.hasRef(), false, 'which does not keep the process alive')
  await one.close()
  await two.close()
  const [timer] = started as [NodeJS.Timeout & { _destroyed: boolean }]
  while (!timer._destroyed) await new Promise(resolve => { setImmediate(resolve) })
  t.pass('the timer is gone')
})
