/** The programs in examples/, over real sockets. */
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { buildChat } from '../examples/chat/app.ts'
import { visitor, type Visitor } from '../src/testing.ts'
import { Socket } from './helpers/web-socket.ts'
import { listening } from './http/support.ts'

t.test('the chat', async t => {
  const files = t.testdir()
  const open = async (t: Test): Promise<FastifyInstance> => {
    const app = await listening(await buildChat({ files }))
    t.teardown(() => app.close())
    return app
  }
  const app = await open(t)
  const enter = async (name: string, host = app): Promise<Visitor> => {
    const someone = visitor(host, { socket: true })
    const page = await someone.post('/enter', new URLSearchParams({ name }), { follow: true })
    t.match(page.text, '<button>Leave</button>')
    return someone
  }
  const connect = async (someone: Visitor, host = app): Promise<Socket> =>
    await Socket.open(`${host.listeningOrigin.replace('http', 'ws')}/chat`, await someone.cookieHeader())

  await t.test('shows the door to those who are not in', async t => {
    t.match((await visitor(app, { socket: true }).get('/')).text, 'Your name')
    t.equal((await visitor(app, { socket: true }).post('/enter', new URLSearchParams({ name: ' ' }))).status, 400)
    const socket = await connect(visitor(app))
    t.equal(await socket.closed, 4401)
  })

  await t.test('carries what one says to all, and counts it in the session', async t => {
    const [ada, bob] = [await enter('ada'), await enter('bob')]
    const [a, b] = [await connect(ada), await connect(bob)]
    t.equal(await a.message(), 'Welcome, ada')
    t.equal(await b.message(), 'Welcome, bob')
    a.send('hello')
    t.same([await a.message(), await b.message()], ['ada: hello', 'ada: hello'])
    b.send('hello ada')
    t.same([await a.message(), await b.message()], ['bob: hello ada', 'bob: hello ada'])
    await Promise.all([a.close(), b.close()])
    await ada.assertSessionHas('said', 1)
    t.same((await ada.get('/said')).json(), { messages: 1 })
  })

  await t.test('closes the connection of the one who leaves, and no other', async t => {
    const [ada, bob] = [await enter('ada'), await enter('bob')]
    const [a, b] = [await connect(ada), await connect(bob)]
    t.match((await ada.post('/leave', undefined, { follow: true })).text, 'Your name')
    t.equal(await a.closed, 4401)
    b.send('gone?')
    t.equal(await b.message(), 'Welcome, bob')
    t.equal(await b.message(), 'bob: gone?')
    await b.close()
  })

  await t.test('closes it, too, when another process ended the session, and carries no word until then', async t => {
    const other = await open(t)
    const ada = await enter('ada')
    const a = await connect(ada)
    t.equal(await a.message(), 'Welcome, ada')
    await other.sessions.destroyFor('ada')
    a.send('am I still here?')
    t.equal(await a.closed, 4401)
    await t.rejects(a.message(), { message: 'the connection was closed with 4401' })
  })
})
