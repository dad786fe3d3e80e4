/** @fastify/multipart: what handles the parts of an upload has the session of its visitor. */
import { AsyncResource } from 'node:async_hooks'
import { pipeline } from 'node:stream/promises'
import multipart, { type FastifyMultipartAttachFieldsToBodyOptions, type FastifyMultipartOptions } from '@fastify/multipart'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { hasSession, session } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { serve } from '../http/support.ts'

type Options = FastifyMultipartOptions | FastifyMultipartAttachFieldsToBodyOptions

/** What a handler notes of an upload: whose it is, and how long. */
function note (part: string, length: number): void {
  session().push('uploads', `${part} of ${session('name') as string}: ${length}`)
}

const ways: Record<string, { options?: Options, routes: (app: FastifyInstance) => void }> = {
  'req.parts()': {
    routes (app) {
      app.post('/upload', async req => {
        for await (const part of req.parts()) {
          if (part.type === 'file') note(part.filename, (await part.toBuffer()).length)
          else note(part.fieldname, String(part.value).length)
        }
      })
    }
  },
  'req.file(), piped': {
    routes (app) {
      app.post('/upload', async req => {
        const part = await req.file()
        if (part === undefined) throw new Error('no file')
        let length = 0
        await pipeline(part.file, async chunks => { for await (const chunk of chunks) length += (chunk as Buffer).length })
        note(part.filename, length)
      })
    }
  },
  attachFieldsToBody: {
    options: {
      attachFieldsToBody: 'keyValues',
      async onFile (part) { note(part.filename, (await part.toBuffer()).length) }
    },
    routes (app) {
      app.post<{ Body: Record<string, unknown> }>('/upload', async req => { note('title', String(req.body.title).length) })
    }
  }
}

for (const [name, { options = {}, routes }] of Object.entries(ways)) {
  t.test(`${name}: two uploads at once are noted in their own sessions`, async t => {
    const app = await application(t, options, routes)
    const [ada, eve] = [visitor(app), visitor(app)]
    await ada.get('/in/ada')
    await eve.get('/in/eve')
    const answers = await Promise.all([ada.post('/upload', form('ada.txt', 200_000)), eve.post('/upload', form('eve.txt', 100_000))])
    t.same(answers.map(({ status }) => status), [200, 200], answers.map(({ text }) => text).join())
    const fields = (whose: string) => name.startsWith('req.file') ? [] : [`title of ${whose}: 3`]
    t.same((await ada.get('/uploads')).json, ['ada.txt of ada: 200000', ...fields('ada')].sort())
    t.same((await eve.get('/uploads')).json, ['eve.txt of eve: 100000', ...fields('eve')].sort())
  })
}

t.test('in a listener of a part\'s stream session() is refused, and req.session and a bound listener are right', async t => {
  const app = await application(t, {}, app => {
    app.post('/upload', async req => {
      const part = await req.file()
      const seen: unknown[] = []
      part?.file.resume()
      await new Promise<void>(resolve => {
        part?.file.on('end', AsyncResource.bind(() => { seen.push(session('name')) }))
        part?.file.on('end', () => { seen.push(hasSession(), req.session.name); resolve() })
      })
      return seen
    })
  })
  const [ada, eve] = [visitor(app), visitor(app)]
  await ada.get('/in/ada')
  await eve.get('/in/eve')
  for (const [name, browser] of Object.entries({ ada, eve })) t.same((await browser.post('/upload', form('a.txt', 200_000))).json, [name, false, name])
})

t.test('old input of a form with an upload is its fields, without the file', async t => {
  const app = await application(t, { attachFieldsToBody: 'keyValues' }, app => {
    app.post<{ Body: Record<string, unknown> }>('/upload', async (req, reply) => {
      session().flashInput(req.body)
      return reply.redirect('/old', 303)
    })
    app.get('/old', async () => session().old())
  })
  const ada = visitor(app)
  const { status, text } = await ada.post('/upload', form('ada.txt', 10))
  t.equal(status, 303, text)
  t.same((await ada.get('/old')).json, { title: 'tea' })
})

/** The names that the table of docs/session.md#back-with-errors-and-input has. */
const text = { type: 'string', minLength: 4 }
const titles = { keyValues: { title: text }, true: { title: { type: 'object', properties: { value: text } } } }

for (const [way, properties] of Object.entries(titles)) {
  t.test(`errors of a schema have its names with attachFieldsToBody: ${way}`, async t => {
    const app = await application(t, { attachFieldsToBody: way === 'true' ? true : 'keyValues' }, app => {
      const schema = { body: { type: 'object', required: ['title', 'text'], properties } }
      app.post('/upload', { schema, config: { session: { flashValidation: true } } }, () => 'stored')
      app.get('/', () => ({ errors: session('errors'), old: session().old() }))
    })
    const ada = visitor(app)
    const send = async (fields: Record<string, string>): Promise<unknown> => {
      const form = new FormData()
      for (const [name, value] of Object.entries(fields)) form.set(name, value)
      t.equal((await ada.post('/upload', form, { accept: 'text/html' })).status, 303)
      return (await ada.get('/')).json
    }
    const name = way === 'true' ? 'title.value' : 'title'
    t.same(await send({ title: 'tea', text: 'green' }), {
      errors: { [name]: ['must NOT have fewer than 4 characters'] }, old: { title: 'tea', text: 'green' }
    })
    t.same(await send({ text: 'green' }), { errors: { title: ["must have required property 'title'"] }, old: { text: 'green' } })
  })
}

async function application (t: Test, options: Options, routes: (app: FastifyInstance) => void) {
  return await serve(t, async app => {
    await app.register(multipart, options as FastifyMultipartOptions)
    app.get<{ Params: { name: string } }>('/in/:name', async req => { session({ name: req.params.name }) })
    app.get('/uploads', async () => (session('uploads') as string[]).sort())
    routes(app)
  })
}

function form (name: string, bytes: number): FormData {
  const form = new FormData()
  form.set('title', 'tea')
  form.set('file', new Blob(['x'.repeat(bytes)], { type: 'text/plain' }), name)
  return form
}
