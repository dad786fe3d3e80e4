/** Forms as browsers send them: what of a body is kept for the next request, and what is not. */
import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t from 'tap'
import { session } from '../../src/index.ts'
import { fieldsToKeep } from '../../src/session/form-input.ts'
import { Connection, visitor } from '../helpers/client.ts'
import { COOKIE, serve, type Teardown } from './support.ts'

type Attach = true | 'keyValues'

function routes (app: FastifyInstance): void {
  app.post('/form', async req => {
    session().flashInput(req.body)
    return 'kept'
  })
  app.get('/old', async () => session().old())
  app.get<{ Params: { field: string } }>('/old/:field', async req => ({ value: session().old(req.params.field) }))
}

async function serveForms (t: Teardown, attachFieldsToBody: Attach = true, server: FastifyServerOptions = {}): Promise<FastifyInstance> {
  return await serve(t, async app => {
    await app.register(formbody)
    await app.register(multipart, { attachFieldsToBody })
    routes(app)
  }, {}, server)
}

function form (fields: ReadonlyArray<readonly [name: string, value: string | Blob]>): FormData {
  const form = new FormData()
  for (const [name, value] of fields) {
    if (typeof value === 'string') form.append(name, value)
    else form.append(name, value, 'photo.png')
  }
  return form
}

const photo = new Blob([new Uint8Array(2 * 1024)], { type: 'image/png' })

for (const attach of [true, 'keyValues'] as const) {
  t.test(`@fastify/multipart with attachFieldsToBody: ${attach}`, async t => {
    await t.test('fields are kept as their values, and files left out', async t => {
      const ada = visitor(await serveForms(t, attach))
      const { status } = await ada.post('/form', form([['name', 'Ada'], ['photo', photo], ['tags', 'a'], ['tags', 'b'], ['blank', '']]))
      t.equal(status, 200)
      t.same((await ada.get('/old')).json, { name: 'Ada', tags: ['a', 'b'], blank: '' })
    })

    await t.test('several files of one field are left out, and a field of its name beside them kept', async t => {
      const ada = visitor(await serveForms(t, attach))
      await ada.post('/form', form([['name', 'Ada'], ['photos', photo], ['photos', photo], ['mixed', photo], ['mixed', 'text']]))
      t.same((await ada.get('/old')).json, { name: 'Ada', mixed: ['text'] })
    })

    await t.test('a photo larger than a session may be does not matter', async t => {
      const ada = visitor(await serveForms(t, attach, { bodyLimit: 4 * 1024 * 1024 }))
      const large = new Blob([new Uint8Array(2 * 1024 * 1024)], { type: 'image/png' })
      t.equal((await ada.post('/form', form([['photo', large], ['name', 'Ada']]))).status, 200)
      t.same((await ada.get('/old')).json, { name: 'Ada' })
    })

    await t.test('passwords and the CSRF token are left out', async t => {
      const ada = visitor(await serveForms(t, attach))
      await ada.post('/form', form([['name', 'Ada'], ['password', 'secret'], ['_token', 'token'], ['user[new_password]', 'secret']]))
      t.same((await ada.get('/old')).json, { name: 'Ada' })
    })

    await t.test('a form with nothing in it is kept as one', async t => {
      const ada = visitor(await serveForms(t, attach))
      await ada.post('/form', form([['name', 'Ada']]))
      t.equal((await ada.post('/form', form([]))).status, 200)
      t.same((await ada.get('/old')).json, {})
    })
  })
}

t.test('a body that is empty is an empty form', async t => {
  const ada = visitor(await serveForms(t))
  t.equal((await ada.post('/form')).status, 200)
  t.equal((await ada.post('/form', '', { 'content-type': 'application/x-www-form-urlencoded' })).status, 200)
  t.equal((await ada.post('/form', 'null', { 'content-type': 'application/json' })).status, 200)
  t.same((await ada.get('/old')).json, {})
})

t.test('a body that is no form is refused, and not shown', async t => {
  const ada = visitor(await serveForms(t))
  for (const body of ['["secret"]', '"secret"', '7']) {
    const { status, text } = await ada.post('/form', body, { 'content-type': 'application/json' })
    t.equal(status, 500)
    t.match(text, /ERR_SESSION_VALUE/)
    t.notMatch(text, /secret/)
  }
})

for (const [kind, body, type] of [
  ['JSON', '{ "name": "Ada", "constructor": "x", "prototype": "y" }', 'application/json'],
  ['urlencoded', 'name=Ada&constructor=x&prototype=y', 'application/x-www-form-urlencoded']
] as const) {
  t.test(`fields of a ${kind} body called constructor and prototype are fields`, async t => {
    const app = await serveForms(t, true, { onConstructorPoisoning: 'ignore' })
    const ada = visitor(app)
    t.equal((await ada.post('/form', body, { 'content-type': type })).status, 200)
    const raw = await Connection.open(app)
    raw.request('GET /old', { cookie: ada.cookieHeader })
    t.equal((await raw.answer()).body, '{"name":"Ada","constructor":"x","prototype":"y"}')
    raw.hangUp()
  })

  t.test(`a field of a ${kind} body called __proto__ is a field, and pollutes nothing`, async t => {
    const ada = visitor(await serveForms(t, true, { onProtoPoisoning: 'ignore' }))
    const poisoned = kind === 'JSON' ? '{ "__proto__": { "polluted": true }, "name": "Ada" }' : '__proto__=x&name=Ada'
    t.equal((await ada.post('/form', poisoned, { 'content-type': type })).status, 200)
    t.same((await ada.get('/old/__proto__')).json, { value: kind === 'JSON' ? { polluted: true } : 'x' })
    t.equal(({} as { polluted?: unknown }).polluted, undefined)
  })
}

t.test('a field that is called like a path of another is found by its whole name', async t => {
  const ada = visitor(await serveForms(t))
  await ada.post('/form', 'user.name=Ada&user%5Bname%5D=Grace', { 'content-type': 'application/x-www-form-urlencoded' })
  t.same((await ada.get('/old/user.name')).json, { value: 'Ada' })
  await ada.post('/form', 'user.name=Ada&user%5Bname%5D=Grace', { 'content-type': 'application/x-www-form-urlencoded' })
  t.same((await ada.get('/old/user%5Bname%5D')).json, { value: 'Grace' })
})

t.test('what is left out of old input is not in the cookie of the cookie driver either', async t => {
  const options = { driver: 'cookie', secret: 'a secret that is long enough for the cookie driver' } as const
  const app = await serve(t, routes, options)
  const ada = visitor(app)
  await ada.post('/form', { name: 'Ada', password: 'x'.repeat(5000) })
  t.ok([...ada.cookies.keys()].some(name => name.startsWith(COOKIE)))
  t.same((await ada.get('/old')).json, { name: 'Ada' })
})

t.test('fields that are left out', async t => {
  await t.test('have a name of a password, in whatever case and with whatever between the words', async t => {
    const names = ['password', 'Password', 'PASSWORD', 'password_confirmation', 'passwordConfirmation', 'password-confirmation',
      'current_password', 'currentPassword', 'new_password', 'newPassword', 'old_password', 'confirmPassword', 'repeat_password', '_token', '_csrf']
    for (const name of names) t.same(fieldsToKeep({ [name]: 'secret', other: 1 }), { other: 1 }, name)
  })

  await t.test('are found below other fields, in lists and in names that are paths', async t => {
    t.same(fieldsToKeep({ user: { password: 'secret', name: 'Ada' } }), { user: { name: 'Ada' } })
    t.same(fieldsToKeep({ users: [{ password: 'secret', name: 'Ada' }, { name: 'Grace' }] }), { users: [{ name: 'Ada' }, { name: 'Grace' }] })
    t.same(fieldsToKeep({ 'user.password': 'secret', 'user[password]': 'secret', 'password[]': ['secret'], 'users[0][password]': 'secret' }), {})
  })

  await t.test('are no others: whole names are compared', async t => {
    const input = { password_hint: 'x', token: 'x', passwords: 'x', tokens: { _tokens: 'x' }, csrf: 'x' }
    t.same(fieldsToKeep(input), input)
  })

  await t.test('are those that dontFlash names as well, by name or by path', async t => {
    const input = { card_number: '1', payment: { pin: '2', cvc: '3' }, cards: [{ cvc: '4', name: 'Ada' }], name: 'Ada' }
    t.same(fieldsToKeep(input, ['cardNumber', 'pin', 'cards.cvc']), { payment: { cvc: '3' }, cards: [{ name: 'Ada' }], name: 'Ada' })
    t.same(fieldsToKeep({ 'user[cards]': { 2: { cvc: '4' } } }, ['user.cards.cvc']), { 'user[cards]': { 2: {} } })
  })

  await t.test('are looked for in a form with a name of half a megabyte around many fields, too', async t => {
    const fields = Object.fromEntries(Array.from({ length: 9_990 }, (_, index) => [`f${index}`, 1]))
    const around = 'a.'.repeat(250_000)
    t.same(fieldsToKeep({ [around]: { ...fields, pin: 2 } }, ['card.pin', 'pin']), { [around]: fields })
  })

  await t.test('are bytes, files and streams', async t => {
    const { Readable } = await import('node:stream')
    const input = {
      name: 'Ada',
      buffer: Buffer.from('x'),
      bytes: new Uint8Array(1),
      buffered: new ArrayBuffer(1),
      blob: new Blob([]),
      file: new File([], 'x'),
      stream: Readable.from([]),
      web: new ReadableStream(),
      list: [Buffer.from('x')],
      nested: { photo: Buffer.from('x') }
    }
    t.same(fieldsToKeep(input), { name: 'Ada', nested: {} })
  })
})

t.test('a form of more than ten thousand fields is refused', t => {
  const fields = (count: number): object => Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, 1]))
  t.same(fieldsToKeep(fields(10_000)), fields(10_000))
  t.throws(() => fieldsToKeep(fields(10_001)), { code: 'ERR_SESSION_VALUE', message: /more than 10000 fields/ })
  t.throws(() => fieldsToKeep({ a: fields(9_999), b: 1 }), { code: 'ERR_SESSION_VALUE' })
  t.end()
})

t.test('what a form sent is not changed', async t => {
  const input = { user: { name: 'Ada', password: 'secret' }, list: [{ password: 'secret' }] }
  const before = structuredClone(input)
  fieldsToKeep(input)
  t.same(input, before)
})

t.test('a body of a class, as validation libraries make them, is a form', async t => {
  class Registration { readonly name = 'Ada'; readonly password = 'secret' }
  t.same(fieldsToKeep(new Registration()), { name: 'Ada' })
})

t.test('a body that is nested without end is refused as other values are', async t => {
  const app = await serveForms(t)
  const ada = visitor(app)
  const { status, text } = await ada.post('/form', `{"a":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, { 'content-type': 'application/json' })
  t.equal(status, 500)
  t.match(text, /nested more than 200 levels deep/)
  // What looks like a field of @fastify/multipart is taken for one, and is nested no deeper for that.
  const fields = '{"type":"field","fieldname":"a","fields":0,"value":'
  const lookalike = await ada.post('/form', `{"a":${fields.repeat(15_000)}1${'}'.repeat(15_000)}}`, { 'content-type': 'application/json' })
  t.equal(lookalike.status, 500)
  t.match(lookalike.text, /nested more than 200 levels deep/)
})
