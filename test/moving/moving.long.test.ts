/**
 * Small applications with another session package, before they move to this one and after: nobody is signed out. Laravel has a file
 * of its own.
 */
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import cookie from '@fastify/cookie'
import secureSession from '@fastify/secure-session'
import fastifySession from '@fastify/session'
import expressSession from 'express-session'
import Fastify, { type FastifyInstance } from 'fastify'
import fileStore from 'session-file-store'
import t, { type Test } from 'tap'
import ambientSession, { type AdoptOptions, session } from '../../src/index.ts'
import { type Host, visitor } from '../helpers/client.ts'
import { COOKIE, listening } from '../http/support.ts'

const SECRET = 'a secret that has been there for many years'

/** The application before: signs a visitor in at /login, and shows who that is at /. @returns what `adopt` has to be */
type Before = (t: Test, directory: string) => Promise<{ readonly host: Host, readonly adopt: (after: FastifyInstance) => AdoptOptions }>

/** What is used of @lunoxjs/session. */
interface Lunox {
  readonly SessionManager: new (app: object) => { setRequest (request: object): { put (key: string, value: unknown): void, get (key: string): string } }
  readonly StartSession: { handleNative (req: IncomingMessage, res: ServerResponse, next: () => void): Promise<void> }
}

const options = (path: string): ConstructorParameters<ReturnType<typeof fileStore>>[0] => ({ path, retries: 0, reapInterval: -1, logFn: () => {} })

const packages: Record<string, Before> = {
  async '@fastify/session' (t, directory) {
    const store = new (fileStore(fastifySession as never))(options(directory))
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(cookie)
    await app.register(fastifySession, { secret: SECRET, cookie: { secure: false }, saveUninitialized: false, store })
    app.get('/login', async req => { Object.assign(req.session, { user: 'ada', cart: ['lamp'] }) })
    app.get('/', async req => (req.session as unknown as { user: string }).user)
    return { host: await listening(app), adopt: () => ({ cookie: 'sessionId', secret: SECRET, store, user: data => data['user'] as string }) }
  },

  async 'express-session' (t, directory) {
    const store = new (fileStore(expressSession))(options(directory))
    const sessions = expressSession({ secret: SECRET, resave: false, saveUninitialized: false, store })
    const host = await plainServer(t, (req, res) => {
      sessions(req as never, res as never, () => {
        const { session } = req as unknown as { session: { user?: string, cart?: string[] } }
        if (req.url === '/login') Object.assign(session, { user: 'ada', cart: ['lamp'] })
        res.end(session.user)
      })
    })
    return { host, adopt: () => ({ cookie: 'connect.sid', secret: SECRET, store, user: data => data['user'] as string }) }
  },

  async Lunox (t, directory) {
    // What its application gives to the middleware: the config file, and the variables.
    const settings = { cookie: 'lunox_session', files: directory, lifetime: 120, path: '/', secure: false, http_only: true, same_site: null }
    Object.assign(globalThis, { config: () => settings, env: () => SECRET })
    // Not by its name: its types declare a global `session`, as do those of this package.
    const { SessionManager, StartSession } = await import(String('@lunoxjs/session')) as Lunox
    const host = await plainServer(t, (req, res) => {
      void StartSession.handleNative(req, res, () => {
        const session = new SessionManager({}).setRequest({ getOriginalRequest: () => req })
        if (req.url === '/login') {
          session.put('user', 'ada')
          session.put('cart', ['lamp'])
        }
        res.end(session.get('user'))
      })
    })
    const store = new (fileStore(expressSession))(options(directory))
    return { host, adopt: () => ({ cookie: 'lunox_session', secret: SECRET, store, user: data => data['user'] as string }) }
  },

  async '@fastify/secure-session' (t) {
    const key = Buffer.from('k'.repeat(32))
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(secureSession, { key, cookie: { path: '/' } })
    app.get('/login', async req => {
      req.session.set('user' as never, 'ada' as never)
      req.session.set('cart' as never, ['lamp'] as never)
    })
    app.get('/', async req => req.session.get('user' as never))
    return {
      host: await listening(app),
      adopt (after) {
        void after.register(secureSession, { sessionName: 'old', cookieName: 'session', key })
        return {
          cookie: 'session',
          read: value => after.decodeSecureSession(value, undefined, 'old')?.data(),
          user: data => data['user'] as string
        }
      }
    }
  }
}

for (const [name, before] of Object.entries(packages)) {
  t.test(`${name}: a visitor who signed in before the move is signed in after it, and signs out for good`, async t => {
    const directory = t.testdir()
    const { host, adopt } = await before(t, join(directory, 'old'))
    const ada = visitor(host)
    await ada.get('/login')
    t.equal((await ada.get('/')).text, 'ada')
    t.same([...ada.cookies.keys()].length, 1)

    const after = await moved(t, join(directory, 'new'), adopt)
    const moving = ada.copy(after)
    t.same((await moving.get('/')).json, { user: 'ada', cart: ['lamp'], userId: 'ada' })
    t.same([...moving.cookies.keys()], [COOKIE])
    await moving.get('/cart')
    t.same((await moving.get('/')).json, { user: 'ada', cart: ['lamp', 'mug'], userId: 'ada' })
    await gone(join(directory, 'old'))
    await moving.get('/sign-out')
    t.same((await moving.get('/')).json, {})
    t.same((await ada.copy(after).get('/')).json, {}, 'a late request with the old cookie')
  })
}

/** The application after the move. */
async function moved (t: Test, files: string, adopt: (app: FastifyInstance) => AdoptOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(ambientSession, { files, adopt: adopt(app) })
  app.get('/', async () => ({ ...session().only('user', 'cart'), userId: session().userId }))
  app.get('/cart', async () => { session().push('cart', 'mug') })
  app.get('/sign-out', async () => { session().invalidate() })
  return await listening(app)
}

async function plainServer (t: Test, handle: (req: IncomingMessage, res: ServerResponse) => void): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Resolves when no session is in the directory of session-file-store any more. */
async function gone (directory: string): Promise<void> {
  while (existsSync(directory) && readdirSync(directory).some(name => name.endsWith('.json'))) await new Promise(resolve => { setImmediate(resolve) })
}
