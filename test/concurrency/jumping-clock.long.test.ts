/** Wall clocks that jump, in one process or in all, and files whose times lie in the future. */
import { readdirSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { act, dataOf, result, type Server, start, startSeveral } from './servers.ts'
import { Load } from './load.ts'

const HOUR = 3600

async function two (t: Test): Promise<{ files: string, one: Server, other: Server }> {
  const files = t.testdir()
  const [one, other] = await startSeveral(t, 2, { files })
  if (one === undefined || other === undefined) throw new Error('two servers were to be started')
  return { files, one, other }
}

t.test('clocks that jump back and forth under load, each for itself, lose nothing and fail nothing', async t => {
  const { one, other } = await two(t)
  const load = await Load.begin(one)
  const running = load.run([one, other])
  // Never so far apart that a session has expired for one of them.
  for (const [server, quarters] of [[one, 1], [other, -1], [one, -2], [other, 2], [one, 1], [other, -1]] as const) {
    await load.progresses(20)
    await server.advance(quarters * HOUR / 4)
  }
  await load.progresses(20)
  await running.stop()
  t.same([...await load.faults(one), ...await load.faults(other), ...load.refusals], [])
})

t.test('a session that a clock far in the future takes for expired is there again when the clock has been put right', async t => {
  const { one } = await two(t)
  const [ada, gone] = [one.visitor(), one.visitor()]
  for (const visitor of [ada, gone]) await result(visitor, ['put', 'name', 'ada'])
  const stale = gone.copy()
  await one.advance(3 * HOUR)
  t.same(await dataOf(ada.copy()), {})
  await one.advance(-3 * HOUR)
  t.same(await dataOf(ada), { name: 'ada' })
  await result(ada, ['increment', 'count'])
  t.same(await dataOf(ada), { name: 'ada', count: 1 })

  await one.advance(-HOUR)
  t.same(await dataOf(ada), { name: 'ada', count: 1 }, 'nor does one that is behind know it less')
  await result(gone, ['invalidate'])
  t.same(await dataOf(stale), {}, 'and who signs out by such a clock is out')
})

for (const [when, seconds] of [['back', -HOUR], ['forward', HOUR]] as const) {
  t.test(`a request that waits for a session while the clock jumps an hour ${when} waits for its configured time`, async t => {
    const { one, other } = await two(t)
    const ada = one.visitor()
    await result(ada, ['put', 'begun', true])
    const held = ada.post('/block', [['gate', 'hold']])
    await one.reached('hold')
    const begin = performance.now()
    const waiter = ada.copy(other.origin).post('/block-briefly', [['all']], { 'x-arrives-at': 'waiter' })
    const patient = ada.copy(other.origin).post('/block', [['put', 'patient', true]], { 'x-arrives-at': 'patient' })
    await Promise.all([other.reached('waiter'), other.reached('patient')])
    await other.advance(seconds)
    t.equal((await waiter).status, 423, 'it does not wait for an hour')
    const waited = performance.now() - begin
    t.ok(waited > 400, `it waited for ${Math.round(waited)} ms of 500`)
    await one.open('hold')
    await held
    t.equal((await patient).status, 200)
    t.match(await dataOf(ada), { patient: true })
  })
}

t.test('files whose times jump an hour back and forth under load change nothing', async t => {
  const { files, one, other } = await two(t)
  const load = await Load.begin(one)
  const running = load.run([one, other])
  for (let n = 0; n < 20; n++) {
    await load.progresses(5)
    date(files, n % 2 === 0 ? -HOUR : HOUR)
  }
  await running.stop()
  t.same([...await load.faults(one), ...await load.faults(other), ...load.refusals], [])
})

t.test('locks of a dead process with times in the future delay no request', async t => {
  const { files, one } = await two(t)
  const ada = one.visitor()
  await result(ada, ['put', 'begun', true])
  const load = await Load.begin(one)
  const running = load.run([one])
  ada.post('/block', [['gate', 'hold']]).catch(() => {})
  await one.reached('hold')
  await load.progresses(50)
  await one.kill()
  await running.stop()
  date(files, HOUR)

  const next = await start(t, { files })
  const answers = await Promise.all([
    act(next.visitor(), ['put', 'first', true]),
    ada.copy(next.origin).post('/block', [['increment', 'count']])
  ])
  t.same(answers.map(({ status }) => status), [200, 200], 'who waits for a lock in vain is refused')
  t.same(await load.faults(next), [])
})

/** Dates everything in the directory so many seconds from now. */
function date (directory: string, seconds: number): void {
  const at = Date.now() / 1000 + seconds
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    try {
      utimesSync(join(directory, name), at, at)
    } catch (error) {
      // Locks come and go.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
}
