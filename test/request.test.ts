/** The global helper request(): the current request anywhere below a handler. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import type { FastifyRequest } from 'fastify'
import { request, runWithSession, session, SessionContextError } from '../src/index.ts'
import { visitor } from './helpers/client.ts'
import { deferred, Gate, serve } from './http/support.ts'

async function locale (): Promise<string> {
  await turn()
  return String(request().headers['accept-language'])
}

t.test('request() is the request, several calls and awaits deep, each visitor their own', async t => {
  const app = await serve(t, app => { app.get<{ Params: { name: string } }>('/:name', async req => [await locale(), request() === req]) })
  const answers = await Promise.all(['de', 'fr', 'en'].map(async language => (await visitor(app).get(`/${language}`, { 'accept-language': language })).json))
  t.same(answers, [['de', true], ['fr', true], ['en', true]])
})

t.test('request() is there in hooks, in the error handler, and on a route without a session', async t => {
  const seen: string[] = []
  const app = await serve(t, app => {
    app.addHook('preHandler', async () => { seen.push(`preHandler ${request().url}`) })
    app.addHook('onResponse', async () => { await turn(); seen.push(`onResponse ${request().url}`) })
    app.setErrorHandler(async () => { seen.push(`error ${request().url}`); return 'handled' })
    app.get('/', { config: { session: false } }, async () => { throw new Error('failed') })
  })
  t.equal((await visitor(app).get('/')).text, 'handled')
  while (seen.length < 3) await turn()
  t.same(seen, ['preHandler /', 'error /', 'onResponse /'])
})

t.test('outside a request, and once the response has closed, request() says what to do', async t => {
  t.throws(() => request(), { name: 'SessionContextError', message: /^request\(\) was called outside a request\./ })
  const [gate, closed, seen] = [new Gate(), deferred(), deferred<unknown>()]
  const app = await serve(t, app => {
    app.get('/', async (_req, reply) => {
      reply.raw.on('close', closed.resolve)
      void gate.pass().then(() => request()).then(seen.resolve, seen.resolve)
      return 'x'
    })
  })
  await visitor(app).get('/')
  await closed.promise
  gate.open()
  t.match(await seen.promise, { name: 'SessionContextError', message: /response has closed/ })
})

t.test('a job has no request, and the messages of a socket have theirs', async t => {
  const requests: FastifyRequest[] = []
  const app = await serve(t, app => { app.get('/', async req => { requests.push(req); session({ a: 1 }) }) })
  await visitor(app).get('/')
  const [req] = requests as [FastifyRequest]
  t.throws(() => runWithSession({ a: 1 }, () => request()), SessionContextError)
  t.equal(await runWithSession(req, () => request().url), '/')
})
