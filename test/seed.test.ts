/** The sentences of the document this package began with, one by one; all over real sockets where it speaks of requests. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import t, { type Test } from 'tap'
import ambientSession, { session, type Session } from '../src/index.ts'
import '../src/global.ts'
import { type Answer, visitor, type Visitor } from './helpers/client.ts'

type Handler = (request: FastifyRequest) => unknown

/** An application with these GET routes, listening. Session files go to a directory of the test's own. */
async function serve (t: Test, routes: Record<string, Handler>, files = t.testdir()): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(ambientSession, { files })
  for (const [path, handler] of Object.entries(routes)) app.get(path, async request => ({ result: await handler(request) }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app
}

async function result (answer: Promise<Answer>): Promise<unknown> {
  return ((await answer).json as { result: unknown }).result
}

/** A visitor whose session holds the values. */
async function visitorWith (app: FastifyInstance): Promise<Visitor> {
  const client = visitor(app)
  await client.get('/fill')
  return client
}

t.test('Introduction', async t => {
  await t.test('information about the user is stored across multiple requests', async t => {
    const client = visitor(await serve(t, {
      '/fill': req => { req.session().put('user', { name: 'Ada' }) },
      '/user': req => req.session().get('user')
    }))
    await client.get('/fill')
    t.same(await result(client.get('/user')), { name: 'Ada' })
    t.same(await result(client.get('/user')), { name: 'Ada' })
  })

  await t.test('one user\'s information is not another\'s', async t => {
    const app = await serve(t, {
      '/fill': req => { req.session().put('user', 'Ada') },
      '/user': req => req.session().get('user', 'nobody')
    })
    await visitorWith(app)
    t.equal(await result(visitor(app).get('/user')), 'nobody')
  })

  await t.test('it is placed in a persistent store, from which a restarted server reads it', async t => {
    const files = t.testdir()
    const routes: Record<string, Handler> = {
      '/fill': req => { req.session().put('user', 'Ada') },
      '/user': req => req.session().get('user')
    }
    const before = await serve(t, routes, files)
    const { cookieHeader } = await visitorWith(before)
    await before.close()
    const after = await serve(t, routes, files)
    t.equal(await result(visitor(after).get('/user', { cookie: cookieHeader })), 'Ada')
  })
})

t.test('Configuration', async t => {
  await t.test('is stored at config/session.ts', async t => {
    t.chdir(t.testdir({ config: { 'session.ts': 'export default { cookie: "from_the_file" as string }' } }))
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(ambientSession)
    app.get('/', req => { req.session().put('key', 'value'); return 'done' })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const client = visitor(app)
    await client.get('/')
    t.same([...client.cookies.keys()], ['from_the_file'])
  })

  await t.test('uses the file driver and storage/framework/sessions unless told otherwise', async t => {
    const cwd = t.testdir()
    t.chdir(cwd)
    const app = Fastify()
    t.teardown(async () => { await app.close() })
    await app.register(ambientSession)
    app.get('/', req => { req.session().put('key', 'value'); return 'done' })
    await app.listen({ port: 0, host: '127.0.0.1' })
    await visitor(app).get('/')
    const files = readdirSync(join(cwd, 'storage/framework/sessions')).filter(name => !name.startsWith('.'))
    t.equal(files.length, 1)
  })

  await t.test('asks for a folder that is writable, and says so at the start when it is not', async t => {
    const directory = t.testdir({ storage: 'a file where the folder should be' })
    const app = Fastify()
    await t.rejects(async () => { await app.register(ambientSession, { files: join(directory, 'storage/sessions') }) },
      { code: 'ERR_SESSION_STORE', message: join(directory, 'storage/sessions') })
  })

  await t.test('makes the folder when it is missing', async t => {
    const files = join(t.testdir(), 'storage/framework/sessions')
    await serve(t, {}, files)
    t.ok(existsSync(files))
  })
})

t.test('Retrieving data', async t => {
  const fill: Handler = req => { req.session().put({ key: 'value', user: { name: 'Ada' } }) }

  await t.test('req.session() gives the session in a route action', async t => {
    const client = await visitorWith(await serve(t, { '/fill': fill, '/profile': req => typeof req.session().all }))
    t.equal(await result(client.get('/profile')), 'function')
  })

  await t.test('and in a controller method', async t => {
    class UserController {
      profile (req: FastifyRequest): unknown {
        return req.session().get('user.name')
      }
    }
    const controller = new UserController()
    const client = await visitorWith(await serve(t, { '/fill': fill, '/profile': req => controller.profile(req) }))
    t.equal(await result(client.get('/profile')), 'Ada')
  })

  await t.test('all() gets the whole session object', async t => {
    const client = await visitorWith(await serve(t, { '/fill': fill, '/profile': req => req.session().all() }))
    t.same(await result(client.get('/profile')), { key: 'value', user: { name: 'Ada' } })
  })

  await t.test('get() retrieves a piece of data', async t => {
    const client = await visitorWith(await serve(t, { '/fill': fill, '/profile': req => req.session().get('key') }))
    t.equal(await result(client.get('/profile')), 'value')
  })

  await t.test('the global helper that was missing works, without an import and far from the route', async t => {
    async function greet (): Promise<string> {
      await new Promise(resolve => { setImmediate(resolve) })
      return `hello ${String(globalThis.session('user.name'))}`
    }
    const client = await visitorWith(await serve(t, { '/fill': fill, '/profile': async () => await greet() }))
    t.equal(await result(client.get('/profile')), 'hello Ada')
  })

  await t.test('the global helper and req.session() are the same session', async t => {
    const client = await visitorWith(await serve(t, { '/fill': fill, '/same': req => req.session() === session() && globalThis.session === session }))
    t.equal(await result(client.get('/same')), true)
  })

  await t.test('concurrent requests do not get each other\'s session from the global helper', async t => {
    const app = await serve(t, {
      '/fill': req => { req.session().put('name', (req.query as { name: string }).name) },
      '/name': async () => {
        const before = session('name')
        await new Promise(resolve => { setImmediate(resolve) })
        return [before, session('name')]
      }
    })
    const clients = await Promise.all(['Ada', 'Grace', 'Edsger'].map(async name => {
      const client = visitor(app)
      await client.get(`/fill?name=${name}`)
      return client
    }))
    t.same(await Promise.all(clients.map(client => result(client.get('/name')))), [['Ada', 'Ada'], ['Grace', 'Grace'], ['Edsger', 'Edsger']])
  })
})

t.test('Storing data', async t => {
  for (const [name, helper] of Object.entries<(req: FastifyRequest) => Session>({
    'req.session()': req => req.session(),
    'session()': () => session()
  })) {
    await t.test(`${name}.put stores data`, async t => {
      const client = await visitorWith(await serve(t, {
        '/fill': req => { helper(req).put('key', 'value') },
        '/key': req => req.session().get('key')
      }))
      t.equal(await result(client.get('/key')), 'value')
    })
  }
})

t.test('Determining if an item exists', async t => {
  const routes: Record<string, Handler> = {
    '/fill': req => { req.session().put({ present: 'value', nothing: null }) },
    '/has': req => req.session().has((req.query as { key: string }).key),
    '/exists': req => req.session().exists((req.query as { key: string }).key)
  }

  await t.test('has returns true if the item is present and is not null', async t => {
    const client = await visitorWith(await serve(t, routes))
    t.equal(await result(client.get('/has?key=present')), true)
    t.equal(await result(client.get('/has?key=nothing')), false)
    t.equal(await result(client.get('/has?key=missing')), false)
  })

  await t.test('exists returns true even if its value is null', async t => {
    const client = await visitorWith(await serve(t, routes))
    t.equal(await result(client.get('/exists?key=present')), true)
    t.equal(await result(client.get('/exists?key=nothing')), true)
    t.equal(await result(client.get('/exists?key=missing')), false)
  })
})

t.test('Deleting data', async t => {
  const routes: Record<string, Handler> = {
    '/fill': req => { req.session().put({ key1: 1, key2: 2, key3: 3 }) },
    '/forget': req => { req.session().forget(['key1', 'key2']) },
    '/flush': req => { req.session().flush() },
    '/all': req => req.session().all()
  }

  await t.test('forget removes pieces of data from the session', async t => {
    const client = await visitorWith(await serve(t, routes))
    await client.get('/forget')
    t.same(await result(client.get('/all')), { key3: 3 })
  })

  await t.test('flush removes all data from the session', async t => {
    const client = await visitorWith(await serve(t, routes))
    await client.get('/flush')
    t.same(await result(client.get('/all')), {})
  })
})
