/**
 * A server as a process of its own, on a store that it shares with others: `shared-server.ts OPTIONS`, the options of the
 * plugin as JSON. Says its port when it listens.
 *
 * `POST /do/ACTION` does something to the session. With the header `x-gate` the request reads its session first, and then
 * waits at the gate of that name until the test opens it.
 */
import { EventEmitter, once } from 'node:events'
import { writeSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import Fastify from 'fastify'
import ambientSession, { session, SessionEndedError, type SessionOptions } from '../../src/index.ts'
import { endWithParent } from './orphan.ts'

/** What requests do, each with a text that the test may give. */
const actions: Record<string, (text: string) => unknown> = {
  all: () => session().all(),
  key: () => session().key,
  put: key => { session().put(key, true) },
  increment: () => session().increment('count'),
  push: value => { session().push('list', value) },
  flash: value => { session().flash('message', value) },
  flush: () => { session().flush() },
  token: () => session().token(),
  regenerate: () => { session().regenerate() },
  saveTwice: async () => {
    session().put('late', 1)
    await saveUnlessEnded()
    session().put('late', 2)
    await saveUnlessEnded()
  },
  signIn: user => {
    session().regenerate()
    session().put('user', user)
  },
  signOut: () => { session().invalidate() }
}

endWithParent()

const events = new EventEmitter().setMaxListeners(0)
const waiting = new Map<string, number>()

async function saveUnlessEnded (): Promise<void> {
  await session().save().catch((error: unknown) => {
    if (!(error instanceof SessionEndedError)) throw error
  })
}

// Of what is dropped, which is what is asked for here, nothing is to be said.
const app = Fastify({ logger: { level: 'error' }, forceCloseConnections: true })
await app.register(ambientSession, JSON.parse(process.argv[2] ?? '{}') as SessionOptions)

app.post<{ Params: { action: string }, Body: { text?: string } | undefined }>('/do/:action', async ({ params, body, headers }) => {
  const action = actions[params.action]
  if (action === undefined) throw new TypeError(`no action is called ${params.action}`)
  const gate = headers['x-gate']
  if (typeof gate === 'string') {
    session().all()
    const opened = once(events, `open ${gate}`)
    waiting.set(gate, (waiting.get(gate) ?? 0) + 1)
    events.emit('arrival')
    await opened
  }
  return { result: await action(body?.text ?? '') }
})

app.get<{ Params: { gate: string, count: number } }>('/reached/:gate/:count', { config: { session: false } }, async ({ params }) => {
  while ((waiting.get(params.gate) ?? 0) < Number(params.count)) await once(events, 'arrival')
  return {}
})

app.post<{ Params: { gate: string } }>('/open/:gate', { config: { session: false } }, async ({ params }) => {
  events.emit(`open ${params.gate}`)
  return {}
})

await app.listen({ port: 0, host: '127.0.0.1' })
writeSync(1, `${(app.server.address() as AddressInfo).port}\n`)

process.once('SIGTERM', () => { void app.close() })
