/** Data that lives for one more request, from request to request. */
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { Gate, serve } from './support.ts'

function routes (app: FastifyInstance): void {
  app.post<{ Params: { status: string } }>('/flash/:status', async req => { session().flash('status', req.params.status) })
  app.get('/status', async () => session('status', 'none'))
  app.get('/elsewhere', async () => 'no session here')
  app.post('/reflash', async () => { session().reflash() })
}

t.test('a flash is there for the next request and gone after it', async t => {
  const app = await serve(t, routes)
  const ada = visitor(app)
  await ada.post('/flash/saved')
  t.equal((await ada.get('/status')).text, 'saved')
  t.equal((await ada.get('/status')).text, 'none')
})

t.test('a flash is there for the rest of its own request, too', async t => {
  const app = await serve(t, app => {
    app.get('/', async () => { session().flash('status', 'now'); return session('status') })
  })
  t.equal((await visitor(app).get('/')).text, 'now')
})

t.test('a request that does not use the session leaves flash data for the next one', async t => {
  const app = await serve(t, routes)
  const ada = visitor(app)
  await ada.post('/flash/saved')
  await ada.get('/elsewhere')
  t.equal((await ada.get('/status')).text, 'saved')
})

t.test('reflash() keeps it for one more request', async t => {
  const app = await serve(t, routes)
  const ada = visitor(app)
  await ada.post('/flash/saved')
  await ada.post('/reflash')
  t.equal((await ada.get('/status')).text, 'saved')
  t.equal((await ada.get('/status')).text, 'none')
})

t.test('a flash survives an error on the way to the page that shows it', async t => {
  const app = await serve(t, app => {
    routes(app)
    app.setErrorHandler(async (error: Error, _req, reply) => {
      session().flash('status', error.message)
      return await reply.redirect('/status')
    })
    app.post('/fails', async () => { throw new Error('sorry') })
  })
  const ada = visitor(app)
  t.equal((await ada.post('/fails')).status, 302)
  t.equal((await ada.get('/status')).text, 'sorry')
})

t.test('a request that ages a flash does not eat the one that another request has flashed meanwhile', async t => {
  const gate = new Gate()
  const app = await serve(t, app => {
    routes(app)
    app.get('/slow', async () => { const status = session('status'); await gate.pass(); return status })
  })
  const ada = visitor(app)
  await ada.post('/flash/first')
  const slow = ada.get('/slow')
  await gate.reached
  await ada.post('/flash/second')
  gate.open()
  t.equal((await slow).text, 'first')
  t.equal((await ada.get('/status')).text, 'second')
  t.equal((await ada.get('/status')).text, 'none')
})

t.test('two requests that see the same flash at once both see it, and it is gone', async t => {
  const gate = new Gate()
  const app = await serve(t, app => {
    routes(app)
    app.get('/slow', async () => { const status = session('status'); await gate.pass(); return status })
  })
  const ada = visitor(app)
  await ada.post('/flash/saved')
  const slow = ada.get('/slow')
  await gate.reached
  t.equal((await ada.get('/status')).text, 'saved')
  gate.open()
  t.equal((await slow).text, 'saved')
  t.equal((await ada.get('/status')).text, 'none')
})

t.test('of errors that were flashed one by one nothing is left behind', async t => {
  const app = await serve(t, app => {
    app.post('/form', async (_req, reply) => {
      session().flash('errors.email', 'missing')
      session().flash('errors.name', 'too long')
      return await reply.redirect('/form')
    })
    app.get('/form', async () => session().has('errors') ? session('errors') : 'no errors')
  })
  const ada = visitor(app)
  await ada.post('/form')
  t.same((await ada.get('/form')).json, { email: 'missing', name: 'too long' })
  t.equal((await ada.get('/form')).text, 'no errors')
})
