/** Socket.IO on Fastify's server: the handshake's Cookie header names the session, which each event opens afresh. */
import { once } from 'node:events'
import type { FastifyInstance } from 'fastify'
import { Server } from 'socket.io'
import { io, type Socket as Client } from 'socket.io-client'
import t, { type Test } from 'tap'
import { runWithSession, session } from '../../src/index.ts'
import { originOf, visitor, type Visitor } from '../helpers/client.ts'
import { drivers } from '../http/each-driver.ts'
import { serve } from '../http/support.ts'

type Transport = 'websocket' | 'polling'

async function application (t: Test, options = {}) {
  return await serve(t, async app => {
    app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
    app.get('/out', async () => { session().invalidate() })
    app.get('/all', async () => session().all())
    sockets(app)
  }, options)
}

function sockets (app: FastifyInstance): void {
  const server = new Server(app.server, { serveClient: false })
  app.addHook('preClose', async () => { await server.close() })
  server.use((socket, next) => {
    const { cookie } = socket.handshake.headers
    runWithSession({ app, cookie }, () => { if (session().missing('name')) throw new Error('sign in first') }).then(() => { next() }, next)
  })
  server.on('connection', socket => {
    const { cookie } = socket.handshake.headers
    socket.on('say', (text: string, answer: (reply: string) => void) => {
      void runWithSession({ app, cookie }, () => {
        if (session().missing('name')) return 'signed out'
        session().push('said', text)
        return `${session('name') as string}: ${text}`
      }).then(answer)
    })
  })
}

function connect (t: Test, app: FastifyInstance, browser: Visitor, transport: Transport = 'websocket'): Client {
  const client = io(originOf(app), { transports: [transport], extraHeaders: { cookie: browser.cookieHeader }, forceNew: true, reconnection: false })
  t.teardown(() => { client.disconnect() })
  return client
}

for (const driver of drivers.filter(({ name }) => name !== 'cookie')) {
  t.test(`${driver.name}: events of two visitors read and write their own sessions`, { skip: driver.skip }, async t => {
    const app = await application(t, await driver.options(t))
    const [ada, eve] = [visitor(app), visitor(app)]
    await ada.get('/in/ada')
    await eve.get('/in/eve')
    const [adas, eves] = [connect(t, app, ada), connect(t, app, eve, 'polling')]
    t.same(await Promise.all([adas.emitWithAck('say', 'hello'), eves.emitWithAck('say', 'hi')]), ['ada: hello', 'eve: hi'])
    t.same((await ada.get('/all')).json, { name: 'ada', said: ['hello'] })
    t.same((await eve.get('/all')).json, { name: 'eve', said: ['hi'] })
    await ada.get('/out')
    t.same(await Promise.all([adas.emitWithAck('say', 'still there?'), eves.emitWithAck('say', 'yes')]), ['signed out', 'eve: yes'])
  })
}

t.test('a handshake without a session is refused by a middleware', async t => {
  const app = await application(t)
  const [error] = await once(connect(t, app, visitor(app)) as unknown as NodeJS.EventEmitter, 'connect_error') as [Error]
  t.equal(error.message, 'sign in first')
})

t.test('with the driver cookie an event reads the session of the handshake, and can change nothing', async t => {
  const cookieDriver = drivers.find(({ name }) => name === 'cookie')
  const app = await application(t, await cookieDriver?.options(t))
  const ada = visitor(app)
  await ada.get('/in/ada')
  const client = connect(t, app, ada)
  await once(client as unknown as NodeJS.EventEmitter, 'connect')
  const read = runWithSession({ app, cookie: ada.cookieHeader }, () => session('name'))
  t.equal(await read, 'ada')
  await t.rejects(runWithSession({ app, cookie: ada.cookieHeader }, () => { session({ name: 'zoe' }) }), { name: 'SessionHeadersSentError' })
})
