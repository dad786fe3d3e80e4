/** Requests whose client has gone away before they are answered: a tab that was closed, a proxy that lost its own client. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { session, type SessionOptions } from '../../src/index.ts'
import { Connection, type Visitor, visitor } from '../helpers/client.ts'
import { Gate, Log, serve } from './support.ts'

const PROXIED = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' }

interface Shop {
  readonly app: FastifyInstance
  readonly ada: Visitor
  readonly log: Log
  /** Sends a request with the visitor's cookies, and goes away while it is being handled. Resolves when it has been. */
  readonly leave: (path: string) => Promise<void>
}

async function shop (t: Test, options: SessionOptions = {}): Promise<Shop> {
  const gate = new Gate()
  const log = new Log()
  const app = await serve(t, app => {
    app.get('/sign-in', async () => { session().setUser('ada') })
    app.get('/page', async (_request, reply) => reply.type('text/html').send('a page'))
    app.get('/slow-page', async (_request, reply) => {
      await gate.pass()
      return reply.type('text/html').send(`a page of ${session('visits', 0)}`)
    })
    app.get('/late-visit', async () => {
      await gate.pass()
      session().increment('visits')
      return {}
    })
    app.get('/slow-visit', async () => {
      const { userId } = session()
      await gate.pass()
      session().increment('visits')
      return { userId }
    })
    app.get('/previous', async () => ({ url: session().previousUrl(), visits: session('visits', 0) }))
  }, options, { trustProxy: '127.0.0.1', logger: log })
  const ada = visitor(app)
  const leave = async (path: string): Promise<void> => {
    const accepted = once(app.server, 'connection')
    const connection = await Connection.open(app)
    const [socket] = await accepted as [Socket]
    connection.request(`GET ${path}`, { ...PROXIED, accept: 'text/html', cookie: ada.cookieHeader })
    await gate.reached
    connection.hangUp()
    await once(socket, 'close')
    gate.open()
    await turn()
  }
  return { app, ada, log, leave }
}

t.test('a page that nobody has seen is not the previous one', async t => {
  const { ada, leave } = await shop(t, { previousUrl: true })
  await ada.get('/page', { ...PROXIED, accept: 'text/html' })
  await leave('/slow-page')
  t.match((await ada.get('/previous', PROXIED)).json, { url: 'https://shop.example/page' })
})

t.test('the session knows from where such a request came, and what it has changed is stored', async t => {
  const { app, ada, leave } = await shop(t)
  await ada.get('/sign-in', { ...PROXIED, 'x-forwarded-for': '198.51.100.7' })
  t.match(await app.sessions.for('ada'), [{ ipAddress: '198.51.100.7' }])
  await leave('/slow-visit')
  t.match(await app.sessions.for('ada'), [{ ipAddress: '203.0.113.9' }])
  t.match((await ada.get('/previous', PROXIED)).json, { visits: 1 })
})

t.test('where the session is first used when its client has left, it was last used from where it was before', async t => {
  const { app, ada, leave } = await shop(t)
  await ada.get('/sign-in', { ...PROXIED, 'x-forwarded-for': '198.51.100.7' })
  await leave('/late-visit')
  t.match((await ada.get('/previous', PROXIED)).json, { visits: 1 })
  t.match(await app.sessions.for('ada'), [{ ipAddress: '198.51.100.7' }])
})

t.test('no warning blames the configuration', async t => {
  const { ada, log, leave } = await shop(t, { previousUrl: true })
  await ada.get('/sign-in', PROXIED)
  await leave('/slow-visit')
  t.same(log.entries, [])
})

t.test('with the driver cookie a warning names what was lost, and no error blames the application', async t => {
  const { ada, log, leave } = await shop(t, { driver: 'cookie', secret: 'x'.repeat(32) })
  await ada.get('/sign-in', PROXIED)
  await leave('/slow-visit')
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_UNSAVED', keys: ['visits'], msg: /its client left before the answer/ }])
  t.same(log.entries.filter(({ level }) => level > 40), [])
})
