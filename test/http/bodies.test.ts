/** Sessions while a body is still on its way. */
import { once } from 'node:events'
import { createHash } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import t from 'tap'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { hasSession, session } from '../../src/index.ts'
import { Connection, visitor } from '../helpers/client.ts'
import { serve } from './support.ts'

function login (app: FastifyInstance): void {
  app.post<{ Params: { name: string } }>('/login/:name', async req => { session({ name: req.params.name }) })
}

t.test('session() finds the session of a body that arrives in pieces, with other visitors in between', async t => {
  const app = await serve(t, app => {
    login(app)
    app.addHook('preParsing', async (req, _reply, payload) => {
      payload.on('data', () => { app.server.emit('piece', req.url) })
      payload.pause()
      return payload
    })
    app.post('/slow', async req => ({ name: session('name'), body: req.body }))
    app.get('/name', async () => session('name'))
  })
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.post('/login/ada')
  await eve.post('/login/eve')

  const body = JSON.stringify({ text: 'in three pieces' })
  const pieces = [body.slice(0, 5), body.slice(5, 12), body.slice(12)]
  const connection = await Connection.open(app)
  connection.request('POST /slow', { cookie: ada.cookieHeader, 'content-type': 'application/json', 'content-length': String(body.length) })
  for (const piece of pieces) {
    const arrived = once(app.server, 'piece')
    connection.socket.write(piece)
    t.same(await arrived, ['/slow'])
    t.equal((await eve.get('/name')).text, 'eve')
  }
  t.same(JSON.parse((await connection.answer()).body), { name: 'ada', body: { text: 'in three pieces' } })
  connection.hangUp()
})

t.test('session() finds the session while the files of a multipart body stream in', async t => {
  const app = await serve(t, async app => {
    await app.register(multipart)
    login(app)
    app.post('/upload', async req => {
      const seen: unknown[] = []
      for await (const part of req.parts()) {
        if (part.type === 'field') {
          seen.push([part.fieldname, part.value, session('name')])
          continue
        }
        const hash = createHash('sha256')
        for await (const chunk of part.file) {
          hash.update(chunk as Buffer)
          if (session('name') !== 'ada') seen.push('another session in the middle of a file')
        }
        session().push('uploads', part.filename)
        await turn()
        seen.push([part.filename, hash.digest('hex'), session('name')])
      }
      return seen
    })
    app.get('/uploads', async () => session('uploads'))
  })
  const contents = ['a'.repeat(300_000), 'b'.repeat(200_000)]
  const [first, second] = contents.map(content => createHash('sha256').update(content).digest('hex'))
  const form = new FormData()
  form.append('title', 'two files')
  for (const [i, content] of contents.entries()) form.append('file', new Blob([content]), `${i}.txt`)

  const ada = visitor(app)
  await ada.post('/login/ada')
  t.same((await ada.post('/upload', form)).json, [['title', 'two files', 'ada'], ['0.txt', first, 'ada'], ['1.txt', second, 'ada']])
  t.same((await ada.get('/uploads')).json, ['0.txt', '1.txt'])
})

t.test('session() finds the session behind a multipart body that is parsed as a whole', async t => {
  const app = await serve(t, async app => {
    await app.register(multipart, { attachFieldsToBody: 'keyValues' })
    login(app)
    app.post('/form', async req => ({ name: session('name'), body: req.body }))
  })
  const form = new FormData()
  form.append('title', 'no files')
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.same((await ada.post('/form', form)).json, { name: 'ada', body: { title: 'no files' } })
})

t.test('a form whose input is refused is filled in again on the next page', async t => {
  const app = await serve(t, async app => {
    await app.register(formbody)
    app.post<{ Body: { email: string } }>('/form', async (req, reply) => {
      session().flashInput(req.body)
      return await reply.redirect('/form')
    })
    app.get('/form', async () => session().old('email', 'empty'))
  })
  const ada = visitor(app)
  const posted = await ada.post('/form', new URLSearchParams({ email: 'ada@example.com' }))
  t.equal(posted.status, 302)
  t.equal((await ada.get('/form')).text, 'ada@example.com')
  t.equal((await ada.get('/form')).text, 'empty')
})

t.test('req.session() finds the session in a parser of the application', async t => {
  const app = await serve(t, app => {
    login(app)
    app.addContentTypeParser('text/plain', { parseAs: 'string' }, async (req: FastifyRequest, body: string) => {
      await turn()
      return `${req.session('name', 'nobody')} wrote ${body}`
    })
    app.post('/', async req => [req.body, session('name')])
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.same((await ada.post('/', 'something')).json, ['ada wrote something', 'ada'])
})

t.test('a body that is too large leaves the session in reach of the error handler', async t => {
  const app = await serve(t, app => {
    login(app)
    app.setErrorHandler(async (error: { code?: string }) => [hasSession(), session('name'), error.code])
    app.post('/', { bodyLimit: 10 }, async () => 'never')
  })
  const ada = visitor(app)
  await ada.post('/login/ada')
  t.same((await ada.post('/', { text: 'more than ten bytes' })).json, [true, 'ada', 'FST_ERR_CTP_BODY_TOO_LARGE'])
})
