/** @fastify/sse: it writes the headers itself, so what a stream stores is saved before its first event. */
import { fastifySSE } from '@fastify/sse'
import t, { type Test } from 'tap'
import { runWithSession, session } from '../../src/index.ts'
import { originOf, visitor, type Visitor } from '../helpers/client.ts'
import { COOKIE, Gate, Log, serve } from '../http/support.ts'

async function application (t: Test, log = new Log()) {
  const gates = { ada: new Gate(), eve: new Gate() }
  const app = await serve(t, async app => {
    await app.register(fastifySSE)
    app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
    app.get('/change', async () => { session().put('changed', true) })
    app.get('/all', async () => session().all())
    app.get('/events', { sse: 'only' }, async (req, reply) => {
      session().increment('streams')
      await session().save()
      const name = session('name') as 'ada' | 'eve'
      await reply.sse.send({ data: name })
      await gates[name].pass()
      await reply.sse.send({ data: await runWithSession(req, () => { session().increment('events'); return session('changed', false) }) })
    })
    app.get('/late', { sse: 'only' }, async (_req, reply) => {
      await reply.sse.send({ data: 'hello' })
      session({ late: true })
    })
    app.get('/first', { sse: 'only' }, async (_req, reply) => {
      session({ name: 'ada' })
      await session().save()
      await reply.sse.send({ data: 'hello' })
    })
  }, {}, { logger: log })
  return { app, gates }
}

async function stream (browser: Visitor, app: Parameters<typeof originOf>[0], path = '/events') {
  const response = await fetch(originOf(app) + path, { headers: { cookie: browser.cookieHeader, accept: 'text/event-stream' } })
  return { headers: response.headers, text: response.text() }
}

t.test('two streams at once show their own visitors, and see what requests store meanwhile', async t => {
  const { app, gates } = await application(t)
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.get('/in/ada')
  await eve.get('/in/eve')
  const [adas, eves] = await Promise.all([stream(ada, app), stream(eve, app)])
  await Promise.all([gates.ada.reached, gates.eve.reached])
  await ada.get('/change')
  gates.eve.open()
  gates.ada.open()
  t.equal(await adas.text, 'data: "ada"\n\ndata: true\n\n')
  t.equal(await eves.text, 'data: "eve"\n\ndata: false\n\n')
  t.same((await ada.get('/all')).json, { name: 'ada', changed: true, streams: 1, events: 1 })
})

t.test('a session that begins in a stream is saved before the first event, with its cookie in the headers', async t => {
  const { app } = await application(t)
  const ada = visitor(app)
  const { headers, text } = await stream(ada, app, '/first')
  t.equal(await text, 'data: "hello"\n\n')
  const [line = ''] = headers.getSetCookie()
  t.match(line, `${COOKIE}=`)
  ada.cookies.set(COOKIE, line.slice(COOKIE.length + 1, line.indexOf(';')))
  t.same((await ada.get('/all')).json, { name: 'ada' })
})

t.test('what is changed after the first event and not saved is reported, and no session begins of it', async t => {
  const log = new Log()
  const { app } = await application(t, log)
  const ada = visitor(app)
  const { headers, text } = await stream(ada, app, '/late')
  t.equal(await text, 'data: "hello"\n\n')
  t.same(headers.getSetCookie(), [])
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_UNSAVED', keys: ['late'] }])
})
