/** @fastify/websocket: the handshake brings the session, and each message opens it afresh with runWithSession(request). */
import { once } from 'node:events'
import websocket from '@fastify/websocket'
import type { preValidationAsyncHookHandler } from 'fastify'
import t, { type Test } from 'tap'
import WebSocket from 'ws'
import { hasSession, runWithSession, session } from '../../src/index.ts'
import { originOf, visitor, type Visitor } from '../helpers/client.ts'
import { serve } from '../http/support.ts'

const signedIn: preValidationAsyncHookHandler = async (_req, reply) => {
  if (session().missing('name')) return await reply.code(401).send()
}

async function application (t: Test) {
  return await serve(t, async app => {
    await app.register(websocket)
    app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
    app.get('/out', async () => { session().invalidate() })
    app.get('/', async () => session().all())
    app.get('/chat', { websocket: true, preValidation: signedIn }, (socket, req) => {
      // Listeners are set at once: messages may come while the handler waits.
      socket.on('message', () => {
        void runWithSession(req, () => session().has('name') ? `${session('name') as string} ${session().increment('messages')}` : 'signed out')
          .then(answer => { socket.send(answer) })
      })
    })
    app.get('/late', { websocket: true }, socket => {
      socket.on('message', () => { socket.send(hasSession() ? session('name') as string : 'none') })
    })
  })
}

async function connect (t: Test, browser: Visitor, url: string): Promise<WebSocket> {
  const socket = new WebSocket(url.replace('http', 'ws'), { headers: { cookie: browser.cookieHeader } })
  t.teardown(() => { socket.terminate() })
  await once(socket, 'open')
  return socket
}

async function say (socket: WebSocket): Promise<string> {
  const answered = once(socket, 'message')
  socket.send('hello')
  return String((await answered)[0])
}

t.test('messages of two visitors read and write their own stored sessions', async t => {
  const app = await application(t)
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.get('/in/ada')
  await eve.get('/in/eve')
  const sockets = await Promise.all([ada, eve].map(browser => connect(t, browser, `${originOf(app)}/chat`)))
  const [adas, eves] = sockets as [WebSocket, WebSocket]
  t.same(await Promise.all([say(adas), say(eves)]), ['ada 1', 'eve 1'])
  t.equal(await say(adas), 'ada 2')
  t.same((await ada.get('/')).json, { name: 'ada', messages: 2 })
  t.same((await eve.get('/')).json, { name: 'eve', messages: 1 })
  await eve.get('/in/zoe')
  t.equal(await say(eves), 'zoe 2', 'a message sees what requests have stored since')
})

t.test('after a sign-out a message finds an empty session, and brings nothing back', async t => {
  const app = await application(t)
  const ada = visitor(app)
  await ada.get('/in/ada')
  const socket = await connect(t, ada, `${originOf(app)}/chat`)
  await ada.get('/out')
  t.equal(await say(socket), 'signed out')
})

t.test('a handshake is refused by the session, before the socket opens', async t => {
  const app = await application(t)
  const socket = new WebSocket(`${originOf(app).replace('http', 'ws')}/chat`)
  const [error] = await once(socket, 'error') as [Error]
  t.match(error.message, '401')
})

t.test('session() in a message is never another visitor\'s', async t => {
  const app = await application(t)
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.get('/in/ada')
  await eve.get('/in/eve')
  const adas = await connect(t, ada, `${originOf(app)}/late`)
  const eves = await connect(t, eve, `${originOf(app)}/late`)
  t.not(await say(adas), 'eve')
  t.not(await say(eves), 'ada')
})
