/** What one request sees and changes of a session, others see when it is stored, and not before. */
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { session, SessionStoreError } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { Gate, serve } from './support.ts'
import { SpyStore } from './stores.ts'

interface Said {
  readonly n: number
  readonly o: { readonly list: readonly number[] }
}

/** Of a session that has been written by another request of this process. */
const FILLINGS = { short: 'x', long: 'x'.repeat(5_000) }

function routes (app: FastifyInstance): void {
  app.post('/begin/:filling', async req => { session({ filling: FILLINGS[(req.params as { filling: 'short' | 'long' }).filling], n: 0, o: { list: [0] } }) })
  app.post('/change', async () => { change() })
  app.get('/', async () => look())
}

function change (): void {
  session().increment('n')
  session().push('o.list', session('n'))
}

/** A copy: what is handed out itself changes with the session. */
function look (): Said {
  return structuredClone(session().only(['n', 'o'])) as unknown as Said
}

for (const filling of ['short', 'long']) {
  for (const isSynchronous of [true, false]) {
    const which = `a ${filling} session, on a store that answers ${isSynchronous ? 'at once' : 'later'}`
    const driver = (): SpyStore => new SpyStore(isSynchronous)

    t.test(`what a request changes is its own until it is stored: ${which}`, async t => {
      const [reading, readingOne, writing] = [new Gate(), new Gate(), new Gate()]
      const app = await serve(t, app => {
        routes(app)
        app.get('/slowly', async () => {
          const before = look()
          await reading.pass()
          return [before, look()]
        })
        app.get('/n/slowly', async () => {
          const before = session('n')
          await readingOne.pass()
          return [before, session('n')]
        })
        app.post('/slowly', async () => {
          change()
          await writing.pass()
          return look()
        })
      }, { driver: driver() })
      const ada = visitor(app)
      await ada.post(`/begin/${filling}`)
      await ada.post('/change')
      const old = { n: 1, o: { list: [0, 1] } }
      const changed = { n: 2, o: { list: [0, 1, 2] } }
      const reader = ada.get('/slowly')
      const readerOfOne = ada.get('/n/slowly')
      await Promise.all([reading.reached, readingOne.reached])
      const writer = ada.post('/slowly')
      await writing.reached
      t.same((await ada.get('/')).json, old, 'who comes meanwhile does not see it')
      t.same((await ada.get('/')).json, old)
      writing.open()
      t.same((await writer).json, changed)
      reading.open()
      readingOne.open()
      t.same((await reader).json, [old, old], 'nor does who began before, also when it is stored')
      t.same((await readerOfOne).json, [1, 1])
      t.same((await ada.get('/')).json, changed)
    })

    t.test(`of two that change it at the same time nothing is lost: ${which}`, async t => {
      const gates = [new Gate(), new Gate()]
      const app = await serve(t, app => {
        routes(app)
        app.post('/slowly/:which', async req => {
          const before = look()
          change()
          await gates[Number((req.params as { which: string }).which)]?.pass()
          return [before, look()]
        })
      }, { driver: driver() })
      const ada = visitor(app)
      await ada.post(`/begin/${filling}`)
      await ada.post('/change')
      const both = gates.map((_, which) => ada.post(`/slowly/${which}`))
      for (const gate of gates) await gate.reached
      for (const gate of gates) gate.open()
      for (const answer of await Promise.all(both)) t.same(answer.json, [{ n: 1, o: { list: [0, 1] } }, { n: 2, o: { list: [0, 1, 2] } }])
      t.same((await ada.get('/')).json, { n: 3, o: { list: [0, 1, 2, 2] } })
    })

    t.test(`what could not be stored is seen by nobody: ${which}`, async t => {
      const store = driver()
      const app = await serve(t, routes, { driver: store })
      const ada = visitor(app)
      await ada.post(`/begin/${filling}`)
      await ada.post('/change')
      store.before = method => {
        if (method === 'compareAndSet') throw new SessionStoreError('full')
      }
      t.equal((await ada.post('/change')).status, 503)
      store.before = undefined
      t.same((await ada.get('/')).json, { n: 1, o: { list: [0, 1] } })
    })
  }
}

t.test('what is put into a session that was saved empty is no one else\'s', async t => {
  const app = await serve(t, app => {
    app.post('/', async () => {
      await session().save()
      session({ secret: 1 })
      await session().save()
      session().increment('secret')
    })
    app.post('/anew', async () => {
      session({ secret: 1 })
      session().flush()
      await session().save()
      session({ secret: 2 })
    })
    app.get('/', async () => session().all())
  })
  for (const path of ['/', '/anew']) {
    const ada = visitor(app)
    await ada.post(path)
    t.same((await ada.get('/')).json, { secret: 2 })
    t.same((await visitor(app).get('/')).json, {})
    await visitor(app).post('/anew')
    t.same((await ada.get('/')).json, { secret: 2 })
  }
})

t.test('what is put after a session was ended is no one else\'s', async t => {
  const app = await serve(t, app => {
    app.post('/', async () => { session({ secret: 1 }) })
    app.post('/end', async () => {
      session().invalidate()
      await session().save()
      session({ secret: 2 })
    })
    app.get('/', async () => session().all())
  })
  const ada = visitor(app)
  await ada.post('/')
  await ada.post('/end')
  t.same((await ada.get('/')).json, { secret: 2 })
  t.same((await visitor(app).get('/')).json, {})
})

t.test('to put what is there already changes nothing, for the one who does and for others', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.post('/same', async () => {
      session({ n: 1 })
      await session().save()
      session().increment('n')
      session({ n: 1 })
    })
  })
  const ada = visitor(app)
  await ada.post('/begin/short')
  await ada.post('/change')
  for (let times = 0; times < 3; times++) {
    await ada.post('/same')
    t.same((await ada.get('/')).json, { n: 1, o: { list: [0, 1] } })
  }
})

t.test('a path that is not allowed leaves no trace in what is remembered', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.post('/proto', async () => {
      session().forget('__proto__.x')
      try {
        session().increment('__proto__')
      } catch {}
      session().increment('n')
    })
    app.post('/nan', async () => { session({ q: NaN }) })
    app.get('/path', async () => session('o.list'))
  })
  const ada = visitor(app)
  await ada.post('/begin/short')
  t.equal((await ada.post('/proto')).status, 200)
  t.same((await ada.get('/path')).json, [0])
  t.equal((await ada.post('/nan')).status, 200)
  t.equal((await ada.post('/proto')).status, 200)
  t.same((await ada.get('/')).json, { n: 2, o: { list: [0] } })
})
