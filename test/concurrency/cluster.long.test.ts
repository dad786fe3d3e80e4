/** One process per core with node:cluster, on one directory: requests come through one port, to whichever is free. */
import { availableParallelism } from 'node:os'
import t from 'tap'
import { Connection, type Visitor } from '../helpers/client.ts'
import { dataOf, result, type Server, startServer, type Step } from './servers.ts'

const WORKERS = Math.max(2, availableParallelism())
const REQUESTS = 200
/** Milliseconds after which a connection counts as forgotten, where a worker dies. */
const PATIENCE = 3_000
/** Where none does, every request is answered in the end. */
const MUCH_PATIENCE = 30_000

t.test('a cluster loses nothing', async t => {
  const server = await startServer(t, 'cluster.ts', [JSON.stringify({ files: t.testdir() })])
  const ada = server.visitor()
  await result(ada, ['put', 'begun', true])
  /** Many at once, so that every worker has its part. @returns the processes that answered */
  const work = async (name: string): Promise<unknown[]> => await Promise.all(Array.from({ length: REQUESTS }, async (_, n) => {
    return await alone(server, ada, MUCH_PATIENCE, ['put', `${name}${n}`, n], ['increment', 'count'], ['push', 'list', n], ['pid'])
  }))

  await t.test('of requests through the shared port', async t => {
    const pids = new Set(await work('key'))
    t.equal(pids.size, WORKERS, 'every worker has had requests')
    const { count, list, ...keys } = await dataOf(ada)
    t.equal(count, REQUESTS)
    t.equal(new Set(list as number[]).size, REQUESTS)
    t.equal(Object.keys(keys).length, REQUESTS + 1)
  })

  await t.test('of what a worker had acknowledged that was killed in the middle, nor of what others do meanwhile', async t => {
    const before = Number(await result(ada, ['get', 'count']))
    const victim = Number(await result(ada, ['pid']))
    const acknowledged: number[] = []
    const requests = Array.from({ length: REQUESTS }, async (_, n) => {
      const pid = await alone(server, ada, PATIENCE, ['put', `again${n}`, n], ['increment', 'count'], ['pid']).catch(() => undefined)
      if (pid === undefined) return
      acknowledged.push(n)
      if (acknowledged.length === 20) process.kill(victim, 'SIGKILL')
    })
    await Promise.all(requests)
    const data = await dataOf(ada.copy())
    t.ok(acknowledged.length > REQUESTS / WORKERS / 2, `${acknowledged.length} were acknowledged`)
    t.same(acknowledged.filter(n => data[`again${n}`] !== n), [])
    const count = Number(data.count) - before
    t.ok(count >= acknowledged.length && count <= REQUESTS, `${count} of ${acknowledged.length} increments`)

    // Its place is taken by another process, which goes on with the same sessions.
    const known = new Set<unknown>([victim])
    while (known.size < WORKERS + 1) known.add(await alone(server, ada, PATIENCE, ['increment', 'after'], ['pid']).catch(() => victim))
    const pids = new Set(await work('replaced'))
    t.notOk(pids.has(victim))
    t.equal(pids.size, WORKERS)
    t.match(await dataOf(ada), { count: count + before + REQUESTS, begun: true })
  })
})

/**
 * A request with a connection of its own, for it is connections that are shared out to workers.
 *
 * @returns what its last step gave
 * @throws Error when there is no answer: Node.js forgets a connection that it is just handing to a worker that dies
 */
async function alone (server: Server, ada: Visitor, patience: number, ...steps: Step[]): Promise<unknown> {
  const connection = await Connection.open(server.origin)
  const body = JSON.stringify(steps)
  const length = String(Buffer.byteLength(body))
  connection.request('POST /do', { cookie: ada.cookieHeader, 'content-type': 'application/json', 'content-length': length }, body)
  const timer = setTimeout(() => { connection.hangUp() }, patience)
  const answer = await connection.answer().finally(() => {
    clearTimeout(timer)
    connection.hangUp()
  })
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.body}`)
  return (JSON.parse(answer.body) as unknown[]).at(-1)
}
