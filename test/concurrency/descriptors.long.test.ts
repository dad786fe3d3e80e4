/** A server that has run out of file descriptors: many connections, many sessions, and a bound on both together. */
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { Connection, type RawAnswer, type Visitor } from '../helpers/client.ts'
import { hasShell, unless } from './needs.ts'
import { dataOf, result, start, type Step } from './servers.ts'

/** As many as it takes to load all modules, which is done many at a time, and some more. */
const DESCRIPTORS = 160
const SESSIONS = 60

const hasProc = existsSync('/proc/self/fd')

t.test('without descriptors requests fail with a clear error or succeed, and when there are some again all is as it should be', {
  skip: unless(hasShell, 'a shell with ulimit')
}, async t => {
  const files = t.testdir()
  const before = await start(t, { files })
  const known: Visitor[] = []
  for (let n = 0; n < SESSIONS; n++) {
    const visitor = before.visitor()
    await result(visitor, ['put', 'n', n])
    known.push(visitor)
  }
  await before.stop()
  // One that has no session's file open yet, so that it has nothing to give up when connections have taken the rest.
  const server = await start(t, { files }, { under: ['sh', '-c', `ulimit -n ${DESCRIPTORS}; exec "$@"`, 'sh'] })
  const visitors = known.map(visitor => visitor.copy(server.origin))

  const connection = await Connection.open(server.origin)
  await ask(connection, visitors[0], ['pid'])
  const idle = Array.from({ length: DESCRIPTORS * 2 }, () => connect(Number(new URL(server.origin).port), '127.0.0.1').on('error', () => {}))
  await Promise.all(idle.map(settled))
  // They are connected before the server has accepted them.
  if (hasProc) while (readdirSync(`/proc/${server.process.pid}/fd`).length < DESCRIPTORS - 1) await delay(5)

  // More than once, so that what the store had open and has given up is asked for again.
  const counts = new Map<Visitor, number>()
  const statuses = new Map<number, number>()
  for (let round = 0; round < 3; round++) {
    for (const visitor of [...visitors, server.visitor()]) {
      const { status, body } = await ask(connection, visitor, ['increment', 'count'])
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      if (status === 200) counts.set(visitor, (counts.get(visitor) ?? 0) + 1)
      else t.match(JSON.parse(body), { statusCode: 503, code: 'ERR_SESSION_STORE' })
    }
  }
  t.ok(statuses.has(503), `answered with ${[...statuses].map(([status, count]) => `${status}: ${count} times`).join(', ')}`)

  const gone = once(server.process, 'exit').then(() => { throw new Error('the server has ended') })
  for (const socket of idle) socket.destroy()
  await Promise.race([gone, ask(connection, visitors[0], ['pid'])])
  for (const [n, visitor] of visitors.entries()) {
    const [{ count, ...others }] = JSON.parse((await ask(connection, visitor, ['all'])).body) as [{ count?: number }]
    t.same(others, { n })
    t.equal(count ?? 0, counts.get(visitor) ?? 0)
  }
  connection.hangUp()
  const [first] = visitors
  if (first !== undefined) t.match(await dataOf(first), { n: 0 }, 'and new connections are served')
})

/** Resolves when it is clear whether the server has taken the connection: it is open, or closed again. */
async function settled (socket: Socket): Promise<void> {
  await Promise.race([once(socket, 'connect'), once(socket, 'close')])
}

/** One request on the connection given. */
async function ask (connection: Connection, visitor: Visitor | undefined, step: Step): Promise<RawAnswer> {
  const body = JSON.stringify([step])
  const cookie = visitor?.cookieHeader ?? ''
  connection.request('POST /do', {
    ...cookie !== '' && { cookie }, 'content-type': 'application/json', 'content-length': String(body.length)
  }, body)
  return await connection.answer()
}
