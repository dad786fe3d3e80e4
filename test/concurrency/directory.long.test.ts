/** The directory of the sessions is taken away from under running servers, and put back. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Visitor } from '../helpers/client.ts'
import { Load } from './load.ts'
import { act, dataOf, result, type Server, startSeveral } from './servers.ts'

/** Milliseconds within which a server notices that its directory is another one. */
const NOTICED = 1_000

/** Resolves when a server has been stopped, as far as the system says. */
async function stop ({ process: server }: Server): Promise<void> {
  server.kill('SIGSTOP')
  const status = `/proc/${server.pid}/status`
  while (existsSync(status) && !/^State:\s+T/m.test(readFileSync(status, 'utf8'))) await delay(1)
}

t.test('the directory of two running servers', async t => {
  const files = join(t.testdir(), 'sessions')
  const away = `${files}-away`
  const [one, other] = await startSeveral(t, 2, { files }) as [Server, Server]

  /** A visitor whose session both servers have in use. */
  async function known (): Promise<Visitor> {
    const ada = one.visitor()
    await result(ada, ['put', 'name', 'ada'])
    await result(ada.copy(other.origin), ['increment', 'count'])
    return ada
  }

  /** Resolves when neither of the servers finds the visitor's session any more, of which each may have had its file open. */
  async function isGone (ada: Visitor): Promise<void> {
    const until = performance.now() + NOTICED
    for (const { origin } of [one, other]) {
      for (;;) {
        // Of when it is asked, and not of when the answer is there: a machine may be busy.
        const isLate = performance.now() > until
        if (Object.keys(await dataOf(ada.copy(origin))).length === 0) break
        if (isLate) throw new Error('a session is still there although its file has gone')
      }
    }
  }

  /** What is acknowledged from now on has to be there for both. */
  async function goesOn (t: Test, visitor: Visitor, before: object): Promise<void> {
    await result(visitor, ['put', 'after', 'one'])
    await result(visitor.copy(other.origin), ['increment', 'count'])
    for (const { origin } of [one, other]) t.match(await dataOf(visitor.copy(origin)), { ...before, after: 'one' })
  }

  await t.test('is removed: its sessions are gone, and others begin', async t => {
    const ada = await known()
    rmSync(files, { recursive: true })
    await t.resolves(isGone(ada))
    await goesOn(t, ada, { count: 1 })
  })

  await t.test('is removed: what is acknowledged the very next moment is not lost', async t => {
    const ada = await known()
    rmSync(files, { recursive: true })
    await goesOn(t, ada, { count: 1 })
  })

  await t.test('is removed between reading and writing: the request\'s changes are dropped, and not acknowledged into nowhere', async t => {
    const ada = await known()
    const old = ada.cookieHeader
    const late = act(ada.copy(), ['all'], ['gate', 'removed'], ['put', 'late', true])
    await one.reached('removed')
    rmSync(files, { recursive: true })
    await one.open('removed')
    const answer = await late
    t.equal(answer.status, 200)
    t.same(answer.setCookies, [])
    await t.resolves(isGone(ada))
    await goesOn(t, ada, { count: 1 })
    t.not(ada.cookieHeader, old, 'in another session')
  })

  await t.test('is moved away and another one put in its place: what is acknowledged is in the new one', async t => {
    const ada = await known()
    renameSync(files, away)
    mkdirSync(files)
    await t.resolves(isGone(ada))
    await goesOn(t, ada, { count: 1 })
    rmSync(away, { recursive: true })
  })

  await t.test('is replaced by a file: requests that need it are told, and go on where they were when it is back', async t => {
    const [ada, load] = [await known(), await Load.begin(one)]
    renameSync(files, away)
    writeFileSync(files, '')
    // A process that has the session's file open may still read it.
    const read = await act(ada.copy(), ['all'])
    if (read.status !== 200) t.match(read.json, { statusCode: 503, code: 'ERR_SESSION_STORE' })
    const answers = [
      await act(ada.copy(other.origin), ['put', 'name', 'eve']),
      await act(ada.copy(), ['invalidate']),
      await act(one.visitor(), ['put', 'name', 'eve'])
    ]
    for (const { json, setCookies } of answers) {
      t.match(json, { statusCode: 503, code: 'ERR_SESSION_STORE' })
      t.same(setCookies, [])
    }
    t.equal((await act(ada.copy(), ['pid'])).status, 200, 'those that do not need it are not')
    const running = load.run([one, other])
    while (load.refusals.length < 50) await act(ada.copy(), ['all'])

    // Between the two steps there is no directory, which is the end of its sessions: none of the servers is to see that.
    for (const server of [one, other]) await stop(server)
    rmSync(files)
    renameSync(away, files)
    for (const { process } of [one, other]) process.kill('SIGCONT')
    await load.progresses(50)
    await running.stop()
    t.same([...await load.faults(one), ...await load.faults(other)], [])
    t.same(await dataOf(ada), { name: 'ada', count: 1 })
    await goesOn(t, ada, { name: 'ada', count: 2 })
  })
})
