/** A chat: who writes is known by the session, and the connection closes when the session ends. */
import { readFileSync } from 'node:fs'
import formBody from '@fastify/formbody'
import websocket from '@fastify/websocket'
import ambientSession, { onSessionEnd, runWithSession, session, type SessionOptions } from 'ambient-session'
import Fastify, { type FastifyInstance } from 'fastify'

const page = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8')
const [door, room] = [page('door.html'), page('room.html')]

/** In the range of codes that RFC 6455 leaves to applications. The page goes back to the door for it. */
const SIGNED_OUT = 4401
const LONGEST_MESSAGE = 1000

export async function buildChat (options: SessionOptions = {}): Promise<FastifyInstance> {
  const app = Fastify()
  await app.register(ambientSession, options)
  await app.register(formBody)
  await app.register(websocket, { options: { maxPayload: 16 * 1024 } })

  app.get('/', (_req, reply) => reply.type('text/html; charset=utf-8').send(session().userId === undefined ? door : room))

  app.post<{ Body: { name: string } }>('/enter', { schema: { body: nameSchema } }, ({ body }, reply) => {
    session().regenerate()
    session().setUser(body.name)
    return reply.redirect('/', 303)
  })

  app.post('/leave', (_req, reply) => {
    session().invalidate()
    return reply.redirect('/', 303)
  })

  app.get('/said', () => ({ messages: session('said', 0) }))

  app.get('/chat', { websocket: true }, (socket, req) => {
    const { userId } = req.session()
    if (userId === undefined) return socket.close(SIGNED_OUT, 'Enter first')

    onSessionEnd(req, () => { socket.close(SIGNED_OUT, 'You have left') })

    socket.on('message', (data: Buffer) => {
      void runWithSession(req, () => {
        // What this process has not been told yet shows here: the session is read again.
        if (session().userId !== userId) return
        session().increment('said')
        for (const client of app.websocketServer.clients) client.send(`${userId}: ${data.toString().slice(0, LONGEST_MESSAGE)}`)
      }).catch((error: unknown) => { req.log.error(error) })
    })
    socket.send(`Welcome, ${userId}`)
  })

  return app
}

const nameSchema = { type: 'object', required: ['name'], properties: { name: { type: 'string', pattern: '^\\S(.{0,38}\\S)?$' } } } as const
