/** What is true of the session's cookie with every kind of store. */
import { once } from 'node:events'
import cookie from '@fastify/cookie'
import secureSession from '@fastify/secure-session'
import sse from '@fastify/sse'
import websocket from '@fastify/websocket'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import ambientSession, { session } from '../../src/index.ts'
import { type Answer, originOf, visitor } from '../helpers/client.ts'
import type { Driver } from './each-driver.ts'
import { COOKIE, listening, Log } from './support.ts'

type Setup = (app: FastifyInstance) => unknown

/** An application whose plugins and hooks stand before and behind the sessions. */
export async function serve (t: Test, driver: Driver, routes: Setup, before: Setup = () => {}, log?: Log): Promise<FastifyInstance> {
  const app = Fastify(log === undefined ? {} : { logger: log })
  t.teardown(() => app.close())
  await before(app)
  await app.register(ambientSession, { sweep: false, ...await driver.options(t) })
  app.get('/user', async () => session('user', 'nobody'))
  await routes(app)
  return await listening(app)
}

export function namesIn ({ setCookies }: Answer): string[] {
  return setCookies.map(({ name }) => name).sort()
}

/** Both cookies leave, and the visitor who signed in comes back as the same. */
async function signsIn (t: Test, app: FastifyInstance, others: string[]): Promise<void> {
  const ada = visitor(app)
  await ada.get('/begin')
  const answer = await ada.get('/login')
  t.equal(answer.status, 200)
  t.same(namesIn(answer), [COOKIE, ...others].sort())
  t.match(answer.headers.get('cache-control'), /private/)
  t.match(answer.headers.get('vary'), /Cookie/)
  t.equal((await ada.get('/user')).text, 'ada')
}

/** Declares the tests of the cookie for a store. */
export function testCookies (driver: Driver): void {
  const { name, skip } = driver

  t.test(`beside a cookie that the handler sets as a header: ${name}`, { skip }, async t => {
    await signsIn(t, await serve(t, driver, app => {
      app.get('/begin', async () => session().put('visits', 1))
      app.get('/login', (req, reply) => {
        req.session().regenerate()
        session({ user: 'ada' })
        reply.header('set-cookie', 'theme=dark')
        return 'x'
      })
    }), ['theme'])
  })

  t.test(`beside one among Node's own headers: ${name}`, { skip }, async t => {
    await signsIn(t, await serve(t, driver, app => {
      app.get('/begin', async () => session().put('visits', 1))
      app.get('/login', async (_req, reply) => {
        session().regenerate()
        session({ user: 'ada' })
        reply.raw.setHeader('set-cookie', ['theme=dark'])
        return 'x'
      })
    }), ['theme'])
  })

  for (const [where, before, after] of [
    ['before', (app: FastifyInstance) => app.register(cookie), () => {}],
    ['behind', () => {}, (app: FastifyInstance) => app.register(cookie)]
  ] as [string, Setup, Setup][]) {
    t.test(`beside those of @fastify/cookie, registered ${where} it: ${name}`, { skip }, async t => {
      await signsIn(t, await serve(t, driver, async app => {
        await after(app)
        app.get('/begin', async () => session().put('visits', 1))
        app.get('/login', async (_req, reply) => {
          session().migrate()
          session({ user: 'ada' })
          return await reply.setCookie('theme', 'dark').setCookie('font', 'large').send('x')
        })
      }, before), ['theme', 'font'])
    })
  }

  t.test(`beside that of @fastify/secure-session: ${name}`, { skip }, async t => {
    await signsIn(t, await serve(t, driver, app => {
      app.get('/begin', async () => session().put('visits', 1))
      app.get('/login', async req => {
        (req as unknown as { other: { set: (key: string, value: unknown) => void } }).other.set('a', 1)
        session().regenerate()
        session({ user: 'ada' })
        return 'x'
      })
    }, app => app.register(secureSession, { key: Buffer.alloc(32, 7), sessionName: 'other', cookieName: 'other' })), ['other'])
  })

  t.test(`with a stream, an error and a web response: ${name}`, { skip }, async t => {
    const app = await serve(t, driver, app => {
      app.setErrorHandler(async (error, _req, reply) => reply.code(500).header('set-cookie', 'failed=1').send((error as Error).message))
      app.get('/error', async () => {
        session({ user: 'error' })
        throw new Error('failed')
      })
      app.get('/response', async () => {
        session({ user: 'response' })
        return new Response('x', { headers: { 'set-cookie': 'theme=dark' } })
      })
    })
    for (const [user, other] of [['error', 'failed'], ['response', 'theme']] as const) {
      const ada = visitor(app)
      t.same(namesIn(await ada.get(`/${user}`)), [COOKIE, other].sort())
      t.equal((await ada.get('/user')).text, user)
    }
  })

  t.test(`once, although the session was saved before the response: ${name}`, { skip }, async t => {
    const app = await serve(t, driver, app => {
      app.get('/login', async (_req, reply) => {
        session({ user: 'eve' })
        await session().save()
        reply.header('set-cookie', 'theme=dark')
        session().regenerate()
        session({ user: 'ada' })
        await session().save()
        session({ more: true })
        return 'x'
      })
    })
    const ada = visitor(app)
    t.same(namesIn(await ada.get('/login')), [COOKIE, 'theme'].sort())
    t.equal((await ada.get('/user')).text, 'ada')
  })

  t.test(`after save() in an onSend hook: ${name}`, { skip }, async t => {
    const app = await serve(t, driver, app => {
      app.get('/begin', { onSend: async () => { session({ user: 'ada' }); await session().save() } }, async () => 'x')
      app.get('/move', { onSend: async () => { session().migrate(); await session().save() } }, async () => 'x')
    })
    const ada = visitor(app)
    t.same(namesIn(await ada.get('/begin')), [COOKIE])
    t.same(namesIn(await ada.get('/move')), [COOKIE])
    t.equal((await ada.get('/user')).text, 'ada')
  })

  const changesIn: Record<string, (app: FastifyInstance, change: (req: unknown, reply: unknown, payload: unknown) => Promise<unknown>) => unknown> = {
    'an onSend hook registered behind it': (app, change) => { app.addHook('onSend', change); app.get('/', async () => 'x') },
    'an onSend hook of a child': app => app.register(async (child: FastifyInstance) => {
      child.addHook('onSend', async (_req, _reply, payload) => { session({ user: 'ada' }); return payload })
      child.get('/', async () => 'x')
    }),
    'the onSend hook of the route': (app, change) => app.get('/', { onSend: change }, async () => 'x'),
    'an onSend hook that another plugin adds to each route': (app, change) => {
      app.addHook('onRoute', route => { route.onSend = [route.onSend ?? [], change].flat() })
      app.get('/', async () => 'x')
    }
  }
  for (const [what, add] of Object.entries(changesIn)) {
    t.test(`${what} begins a session: ${name}`, { skip }, async t => {
      const app = await serve(t, driver, app => add(app, async (_req, _reply, payload) => { session({ user: 'ada' }); return payload }))
      const ada = visitor(app)
      t.same(namesIn(await ada.get('/')), [COOKIE])
      t.equal((await ada.get('/user')).text, 'ada')
    })
  }

  t.test(`of a hijacked reply that was saved before: ${name}`, { skip }, async t => {
    const app = await serve(t, driver, app => {
      app.get('/events', async (_req, reply) => {
        session({ user: 'ada' })
        await session().save()
        reply.hijack()
        reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
        reply.raw.end('data: x\n\n')
      })
    })
    const ada = visitor(app)
    const answer = await ada.get('/events')
    t.same(namesIn(answer), [COOKIE])
    t.match(answer.headers.get('cache-control'), /private/)
    t.equal((await ada.get('/user')).text, 'ada')
  })

  t.test(`of a stream of @fastify/sse that was saved before its first event: ${name}`, { skip }, async t => {
    const app = await serve(t, driver, async app => {
      await app.register(sse as never)
      app.get('/events', { sse: true } as never, async (_req, reply) => {
        session({ user: 'ada' })
        await session().save()
        await (reply as unknown as { sse: { send: (event: unknown) => Promise<void> } }).sse.send({ data: 'x' })
      })
    })
    const ada = visitor(app)
    const answer = await ada.get('/events', { accept: 'text/event-stream' })
    t.same(namesIn(answer), [COOKIE])
    t.equal((await ada.get('/user')).text, 'ada')
  })

  t.test(`of a WebSocket's new visitor: save() says that it cannot leave, and stores nothing: ${name}`, { skip }, async t => {
    const app = await serve(t, driver, async app => {
      await app.register(websocket)
      app.get('/socket', { websocket: true }, (socket, req) => {
        socket.on('message', () => {
          req.session().put('user', 'ada')
          req.session().save().then(() => { socket.send('saved') }, (error: Error) => { socket.send(error.name) })
        })
      })
    })
    const socket = new WebSocket(`${originOf(app).replace('http', 'ws')}/socket`)
    await once(socket, 'open')
    socket.send('x')
    const [message] = await once(socket, 'message') as [Buffer]
    t.equal(String(message), 'SessionHeadersSentError')
    socket.terminate()
    await once(socket, 'close')
    if (app.hasDecorator('sessions') && name !== 'cookie') t.equal(await app.sessions.count(), 0)
  })

  t.test(`what a hijacked reply changes and does not save is told: ${name}`, { skip }, async t => {
    const log = new Log()
    const app = await serve(t, driver, app => {
      app.get('/raw', async (_req, reply) => {
        session({ user: 'ada' })
        reply.hijack()
        reply.raw.end('x')
      })
    }, () => {}, log)
    await visitor(app).get('/raw')
    t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_UNSAVED', keys: ['user'] }])
  })

  t.test(`a living session behind dead ones and garbage of the same name is found: ${name}`, { skip }, async t => {
    const app = await serve(t, driver, app => {
      app.get('/login', async () => { session({ user: 'ada' }) })
      app.get('/logout', async () => { session().invalidate() })
    })
    const [ada, eve] = [visitor(app), visitor(app)]
    await eve.get('/login')
    const dead = eve.cookieHeader
    await eve.get('/logout')
    await ada.get('/login')
    const unknown = `${COOKIE}=${'B'.repeat(42)}A`
    for (const first of [`${COOKIE}=garbage`, `${COOKIE}=`, `${COOKIE}=%E0%A4%A`, dead, unknown, `${unknown}; ${COOKIE}=x; ${COOKIE}=y; ${COOKIE}=z; ${COOKIE}=w`]) {
      // With the driver cookie a session is dead when its cookie is, so that the old one is still good.
      if (first === dead && name === 'cookie') continue
      const answer = await visitor(app).get('/user', { cookie: `${first}; ${ada.cookieHeader}` })
      t.equal(answer.text, 'ada', first.slice(0, 30))
      t.same(answer.setCookies, [])
    }
  })
}
