/** Routes that hold their session exclusively, when several processes serve them. */
import t, { type Test } from 'tap'
import { type Answer, Connection, type Visitor } from '../helpers/client.ts'
import { dataOf, result, type Server, start, startSeveral, type Step } from './servers.ts'

t.test('reading, thinking and writing is serial across processes', async t => {
  const servers = await startSeveral(t, 3, { files: t.testdir() })
  const ada = await beginning(servers)
  const answers = await Promise.all(Array.from({ length: 60 }, async (_, n) => {
    return await block(ada.copy(servers[n % servers.length]?.origin), ['think', 'count'])
  }))
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.equal((await dataOf(ada)).count, 60)
})

t.test('visitors do not wait for one another, in whichever process', async t => {
  const [one, other] = await two(t)
  const [ada, eve] = [await beginning([one]), await beginning([one])]
  const held = block(ada, ['gate', 'hold'])
  await one.reached('hold')
  t.equal((await block(eve, ['increment', 'count'])).status, 200)
  t.equal((await block(eve.copy(other.origin), ['increment', 'count'])).status, 200)
  await one.open('hold')
  await held
})

t.test('waiting too long for another process is answered with 423 and Retry-After, and changes nothing', async t => {
  const [one, other] = await two(t)
  const ada = await beginning([one])
  const held = block(ada, ['gate', 'hold'], ['put', 'held', true])
  await one.reached('hold')
  const answer = await ada.copy(other.origin).post('/block-briefly', [['increment', 'count']])
  t.match(answer.json, { statusCode: 423, code: 'ERR_SESSION_LOCK_TIMEOUT' })
  t.match(answer.headers.get('retry-after'), /^[1-9]\d*$/)
  t.same(answer.setCookies, [])
  await one.open('hold')
  await held
  t.equal((await ada.copy(other.origin).post('/block-briefly', [['increment', 'count']])).status, 200)
  t.same(await dataOf(ada), { begun: true, held: true, count: 1 })
})

/** Ways in which a lock is released. */
const releases: Record<string, (holder: Holder) => Promise<void>> = {
  async 'the handler returns' ({ server, gate, held }) {
    await server.open(gate)
    await held
  },
  async 'the handler throws' ({ server, gate, held }) {
    await server.open(gate)
    await held
  },
  async 'the client leaves and the handler returns' ({ server, gate, connection }) {
    connection.hangUp()
    await server.open(gate)
  }
}

interface Holder {
  readonly server: Server
  readonly gate: string
  readonly connection: Connection
  /** Resolves with the response. */
  readonly held: Promise<unknown>
}

t.test('a waiter gets its turn when the lock is released, and not only when its lease is over', async t => {
  const [one, other] = await two(t)
  for (const [what, letGo] of Object.entries(releases)) {
    for (const [where, server] of Object.entries({ 'the same process': one, 'another process': other })) {
      await t.test(`in ${where}, after ${what}`, async t => {
        const ada = await beginning([one])
        const holder = await hold(one, ada, `${what} ${where}`, what === 'the handler throws')
        const waiter = await ask(server, ada, `wait for ${what} ${where}`)
        await letGo(holder)
        t.equal((await waiter.answer()).status, 200)
      })
    }
  }
})

t.test('a waiter gets its turn when the process of the holder was killed', async t => {
  const directory = t.testdir()
  const [victim, other] = [await start(t, { files: directory }), await start(t, { files: directory })]
  const ada = await beginning([other])
  await hold(victim, ada, 'hold', false)
  const waiter = await ask(other, ada, 'wait')
  await victim.kill()
  t.equal((await waiter.answer()).status, 200)
  t.equal((await block(ada, ['increment', 'count'])).status, 200, 'and so does the next one')
})

t.test('a waiter whose client has left does not keep the others from their turn', async t => {
  const [one, other] = await two(t)
  const ada = await beginning([one])
  const holder = await hold(one, ada, 'hold', false)
  for (const server of [one, other]) (await ask(server, ada, 'leaves')).hangUp()
  const waiter = await ask(other, ada, 'stays')
  await one.open('hold')
  await holder.held
  t.equal((await waiter.answer()).status, 200)
  t.equal((await block(ada, ['increment', 'count'])).status, 200)
})

async function two (t: Test): Promise<[Server, Server]> {
  const [one, other] = await startSeveral(t, 2, { files: t.testdir() })
  if (one === undefined || other === undefined) throw new Error('two servers were to be started')
  return [one, other]
}

async function beginning ([server]: readonly Server[]): Promise<Visitor> {
  if (server === undefined) throw new Error('there is no server')
  const ada = server.visitor()
  await result(ada, ['put', 'begun', true])
  return ada
}

/** One request to a route that blocks. */
async function block (visitor: Visitor, ...steps: Step[]): Promise<Answer> {
  return await visitor.post('/block', steps)
}

/** A request that has the session, and keeps it until the gate is opened. */
async function hold (server: Server, ada: Visitor, gate: string, fails: boolean): Promise<Holder> {
  const connection = await Connection.open(server.origin)
  write(connection, ada, undefined, [['gate', gate], ...fails ? [['fail'] as const] : []])
  await server.reached(gate)
  return { server, gate, connection, held: connection.answer().catch(() => {}) }
}

/** Sends a request to a route that blocks, and waits until the server has it. */
async function ask (server: Server, ada: Visitor, name: string): Promise<Connection> {
  const connection = await Connection.open(server.origin)
  write(connection, ada, name, [['all']])
  await server.reached(name)
  return connection
}

function write (connection: Connection, ada: Visitor, arrivesAt: string | undefined, steps: readonly Step[]): void {
  const body = JSON.stringify(steps)
  connection.request('POST /block', {
    ...{ cookie: ada.cookieHeader, 'content-type': 'application/json', 'content-length': String(body.length) },
    ...arrivesAt !== undefined && { 'x-arrives-at': arrivesAt }
  }, body)
}
