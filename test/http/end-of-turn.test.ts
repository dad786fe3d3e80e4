/** Commits of one turn of the event loop, which a store can have made together at its end. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import Fastify from 'fastify'
import t from 'tap'
import type { Test } from 'tap'
import ambientSession, { hasSession, MemoryStore, session } from '../../src/index.ts'
import type { NewRecord, StoreKey, Version } from '../../src/index.ts'
import { EndOfTurn } from '../../src/http/end-of-turn.ts'
import { Connection, visitor } from '../helpers/client.ts'
import { serve } from './support.ts'

/** A store in memory that wants its writes in groups, and notes in which order things happen. */
class GroupingStore extends MemoryStore {
  override readonly writesInGroups = true
  readonly events: string[] = []
  onWrite: (() => void) | undefined

  override compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined, place?: object): Version | 'conflict' | 'gone' {
    this.events.push('write')
    this.onWrite?.()
    return super.compareAndSet(key, record, expected, place)
  }
}

interface Clock {
  /** Milliseconds. */
  now: number
}

/** Has everything take no time but what the test says. */
function clockOf (t: Test): Clock {
  const clock = { now: 0 }
  t.intercept(performance, 'now', { value: () => clock.now })
  return clock
}

t.test('all are written before any of them is answered', async t => {
  clockOf(t)
  const driver = new GroupingStore()
  const app = await serve(t, app => {
    app.addHook('onResponse', async () => { driver.events.push('answer') })
    app.post('/', async () => { session().increment('n') })
  }, { driver })
  await Promise.all([1, 2, 3].map(async () => await app.inject({ method: 'POST', url: '/' })))
  t.same(driver.events, ['write', 'write', 'write', 'answer', 'answer', 'answer'])
})

t.test('two requests on one session conflict, and both are there', async t => {
  const driver = new GroupingStore()
  const app = await serve(t, app => {
    app.post('/', async () => { session().increment('n') })
    app.get('/', async () => session('n'))
  }, { driver })
  const ada = visitor(app)
  await ada.post('/')
  driver.events.length = 0
  await Promise.all([1, 2, 3].map(async () => await ada.post('/')))
  t.equal((await ada.get('/')).text, '4')
})

t.test('what fails is an error of its own request only', async t => {
  const driver = new GroupingStore()
  const app = await serve(t, app => { app.post('/', async () => { session().increment('n') }) }, { driver })
  let writes = 0
  driver.onWrite = () => { if (++writes === 2) throw new Error('this one fails') }
  const responses = await Promise.all([1, 2, 3].map(async () => await app.inject({ method: 'POST', url: '/' })))
  t.same(responses.map(({ statusCode }) => statusCode), [200, 500, 200])
})

t.test('each is made, and answered, in the flow of its own request', async t => {
  clockOf(t)
  const driver = new GroupingStore()
  const seen: string[] = []
  const app = await serve(t, app => {
    app.addHook('onSend', async () => { seen.push(`sent ${String(session('name'))}`) })
    app.post('/:name', async req => { session({ name: (req.params as { name: string }).name }) })
  }, { driver })
  driver.onWrite = () => { seen.push(`written ${hasSession() ? String(session('name')) : 'nowhere'}`) }
  await Promise.all(['Ada', 'Grace'].map(async name => await app.inject({ method: 'POST', url: `/${name}` })))
  t.same(seen, ['written Ada', 'written Grace', 'sent Ada', 'sent Grace'])
})

t.test('what is put after the answer was given, in the same turn, is stored', async t => {
  const driver = new GroupingStore()
  const app = await serve(t, app => {
    app.post('/', (_req, reply) => {
      session({ a: 1 })
      void reply.send('done')
      session({ b: 2 })
    })
    app.get('/', async () => session().all())
  }, { driver })
  const ada = visitor(app)
  await ada.post('/')
  t.same((await ada.get('/')).json, { a: 1, b: 2 })
})

t.test('when the application closes, what waits is written first', async t => {
  const driver = new GroupingStore()
  const app = Fastify()
  await app.register(ambientSession, { driver })
  let closing: Promise<undefined> | undefined
  app.post('/', (_req, reply) => {
    session({ a: 1 })
    void reply.send('done')
    driver.close = () => { driver.events.push('close') }
    closing = app.close()
  })
  const { statusCode } = await app.inject({ method: 'POST', url: '/' })
  await closing
  t.equal(statusCode, 200)
  t.same(driver.events, ['write', 'close'])
})

t.test('each is answered in its own flow, also as far as other storages go', async t => {
  clockOf(t)
  const storage = new AsyncLocalStorage<string>()
  const driver = new GroupingStore()
  const seen: string[] = []
  const see = (where: string): void => { seen.push(`${where} ${String(storage.getStore())}`) }
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  app.addHook('onRequest', (req, _reply, done) => { storage.run(req.url, done) })
  await app.register(ambientSession, { driver })
  app.addHook('onSend', async () => { see('sent') })
  app.post('/:name', async () => { session().increment('n') })
  driver.onWrite = () => { see('written') }
  await Promise.all(['/ada', '/grace'].map(async url => await app.inject({ method: 'POST', url })))
  t.same(seen, ['written /ada', 'written /grace', 'sent /ada', 'sent /grace'])
})

t.test('one that throws keeps nobody else from being answered', async t => {
  const endOfTurn = new EndOfTurn()
  const answered: string[] = []
  const fail = (): never => { throw new Error('cannot be answered') }
  const tasks = ['a', 'b', 'c'].map(name => ({ work: () => {}, answer: () => { name === 'b' ? fail() : answered.push(name) } }))
  for (const task of tasks) endOfTurn.add(task)
  t.throws(() => { endOfTurn.finish() }, { message: 'cannot be answered' })
  t.same(answered, ['a', 'c'])
})

t.test('what comes up while others are answered is done in the next turn', async t => {
  const endOfTurn = new EndOfTurn()
  const events: string[] = []
  const second = { work: () => { events.push('second') }, answer: () => {} }
  endOfTurn.add({ work: () => { events.push('first') }, answer: () => { endOfTurn.add(second) } })
  await nextTurn()
  t.same(events, ['first'])
  await nextTurn()
  t.same(events, ['first', 'second'])
})

t.test('the event loop is let go in between where there is a lot to do', async t => {
  const clock = clockOf(t)
  const endOfTurn = new EndOfTurn()
  const events: string[] = []
  const work = (name: string): void => {
    events.push(name)
    clock.now += 1
  }
  for (const name of ['a', 'b']) endOfTurn.add({ work: () => { work(name) }, answer: () => { events.push(`answer ${name}`) } })
  await nextTurn()
  t.same(events, ['a', 'answer a'])
  await nextTurn()
  t.same(events, ['a', 'answer a', 'b', 'answer b'])
})

t.test('in a turn that takes long, nobody waits for longer than the next one takes', async t => {
  const events: string[] = []
  const app = await serve(t, app => {
    app.addHook('onResponse', async () => { events.push('answered') })
    app.get('/', (_req, reply) => {
      const end = performance.now() + 2
      while (performance.now() < end);
      events.push('handled')
      void reply.send(session('n', 'nothing'))
    })
  }, { driver: new GroupingStore() })
  const connections = await Promise.all([1, 2, 3, 4].map(async () => await Connection.open(app)))
  for (const connection of connections) {
    t.teardown(() => { connection.hangUp() })
    connection.request('GET /')
    await connection.answer()
  }
  events.length = 0
  // They have all come before the event loop looks at any of them.
  for (const connection of connections) connection.request('GET /')
  await Promise.all(connections.map(async connection => await connection.answer()))
  t.same(events, ['handled', 'handled', 'answered', 'answered', 'handled', 'handled', 'answered', 'answered'])
})

t.test('requests that change nothing wait as well, and on routes without a session they do not', async t => {
  clockOf(t)
  const driver = new GroupingStore()
  const app = await serve(t, app => {
    app.addHook('onResponse', async req => { driver.events.push(`answer ${req.url}`) })
    app.get('/nothing', async () => 'nothing')
    app.get('/none', { config: { session: false } }, async () => 'none')
    app.post('/', async () => { session().increment('n') })
  }, { driver })
  await Promise.all([app.inject('/nothing'), app.inject('/none'), app.inject({ method: 'POST', url: '/' })])
  t.same(driver.events, ['answer /none', 'write', 'answer /nothing', 'answer /'])
})

t.test('a session that is first used after the answer was given, in the same turn, is stored and the browser told', async t => {
  const app = await serve(t, app => {
    app.post('/', (_req, reply) => {
      void reply.send('done')
      session({ late: 1 })
    })
    app.get('/', async () => session().all())
  }, { driver: new GroupingStore() })
  const ada = visitor(app)
  t.equal((await ada.post('/')).headers.get('vary'), 'Cookie')
  t.same((await ada.get('/')).json, { late: 1 })
})

t.test('where each comes alone in its turn, most are not held back', async t => {
  const endOfTurn = new EndOfTurn()
  const task = { work: () => {}, answer: () => {} }
  for (let n = 0; n < 8; n++) {
    t.ok(endOfTurn.isWorthwhile(), 'until that is known')
    endOfTurn.add(task)
    await nextTurn()
  }
  const held = Array.from({ length: 65 }, () => endOfTurn.isWorthwhile())
  t.same(held.indexOf(true), 64, 'now and then one is, to see')
  endOfTurn.add(task)
  await nextTurn()
  t.notOk(endOfTurn.isWorthwhile(), 'it was alone, too')
})

t.test('as soon as two come in one turn again, all are held back', async t => {
  const endOfTurn = new EndOfTurn()
  const task = { work: () => {}, answer: () => {} }
  for (let n = 0; n < 8; n++) {
    endOfTurn.add(task)
    await nextTurn()
  }
  for (let n = 0; n < 64; n++) endOfTurn.isWorthwhile()
  endOfTurn.add(task)
  endOfTurn.add(task)
  await nextTurn()
  endOfTurn.add(task)
  await nextTurn()
  t.ok(endOfTurn.isWorthwhile())
})
