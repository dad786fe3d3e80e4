/** The sessions of one turn of the event loop are written together, before any of its responses leaves. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { session } from '../../src/index.ts'
import { Connection, visitor } from '../helpers/client.ts'
import type { RawAnswer } from '../helpers/client.ts'
import { fault, replaceInFs } from '../stores/faults.ts'
import { serve } from './support.ts'

/** A browser's connection, and the cookie that it sends. */
class Tab {
  readonly connection: Connection
  readonly #cookie: string

  constructor (connection: Connection, cookie: string) {
    this.connection = connection
    this.#cookie = cookie
  }

  send (path: string): void {
    this.connection.request(`GET ${path}`, { cookie: this.#cookie })
  }

  async get (path: string): Promise<RawAnswer> {
    this.send(path)
    return await this.connection.answer()
  }
}

/** Tabs of so many browsers, each with a session of its own in which `n` is 1. */
async function browsers (t: Test, app: FastifyInstance, count: number): Promise<Tab[]> {
  const tabs: Tab[] = []
  for (let n = 0; n < count; n++) {
    const browser = visitor(app)
    await browser.get('/count')
    tabs.push(...await tabsOf(t, app, browser.cookieHeader, 1))
  }
  return tabs
}

async function tabsOf (t: Test, app: FastifyInstance, cookie: string, count: number): Promise<Tab[]> {
  return await Promise.all(Array.from({ length: count }, async () => {
    const connection = await Connection.open(app)
    t.teardown(() => { connection.hangUp() })
    const tab = new Tab(connection, cookie)
    await tab.get('/look')
    return tab
  }))
}

/** @returns what happened to each request, all of which have come before the event loop looks at any of them */
async function sendAll (tabs: readonly Tab[], path: string): Promise<PromiseSettledResult<string>[]> {
  for (const tab of tabs) tab.send(path)
  return await Promise.allSettled(tabs.map(async ({ connection }) => (await connection.answer()).body))
}

interface Watched {
  readonly app: FastifyInstance
  /** What happened in which order: `write` for each write to a session file, and what the test adds. */
  readonly events: string[]
  /** Sockets of the requests that were answered. */
  readonly sockets: Socket[]
  /** Has the writes fail whose number, from here on, is given; all of them with `true`. */
  readonly fail: (which: readonly number[] | boolean) => void
}

/** A server of sessions on files, by which `/count` adds one to `n`, and what it writes. */
async function watched (t: Test, after = (_req: FastifyRequest, _reply: FastifyReply): void => {}): Promise<Watched> {
  // No turn takes long by this clock.
  t.intercept(performance, 'now', { value: () => 0 })
  const events: string[] = []
  const sockets: Socket[] = []
  let failing: readonly number[] | boolean = false
  let writes = 0
  replaceInFs(t, 'writeSync', original => (...args) => {
    events.push('write')
    if (failing === true || (Array.isArray(failing) && failing.includes(writes++))) throw fault('EIO')
    return original(...args)
  })
  const app = await serve(t, app => {
    app.get('/look', async () => String(session('n')))
    app.get('/count', (req, reply) => {
      session().increment('n')
      void reply.send(String(session('n')))
      sockets.push(req.raw.socket)
      events.push('sent')
      after(req, reply)
    })
  }, { driver: 'file', files: t.testdir() })
  const fail = (which: readonly number[] | boolean): void => {
    failing = which
    writes = 0
  }
  return { app, events, sockets, fail }
}

t.test('all sessions of a turn are written after its last request, and before any of its responses leaves', async t => {
  const { app, events, sockets } = await watched(t)
  const three = await browsers(t, app, 3)
  events.length = sockets.length = 0
  let held: number[] = []
  replaceInFs(t, 'writeSync', original => (...args) => {
    held = [...held, ...sockets.map(({ writableCorked }) => writableCorked)]
    return original(...args)
  })
  await sendAll(three, '/count')
  t.same(events, ['sent', 'sent', 'sent', 'write', 'write', 'write'])
  t.same(held, Array(9).fill(1))
  for (const tab of three) t.equal((await tab.get('/look')).body, '2')
})

t.test('of a session that is used again in the same turn every change is written before the next request sees it', async t => {
  const { app, events } = await watched(t)
  const browser = visitor(app)
  await browser.get('/count')
  const three = await tabsOf(t, app, browser.cookieHeader, 3)
  events.length = 0
  const answers = await sendAll(three, '/count')
  t.same(answers.map(answer => (answer as PromiseFulfilledResult<string>).value).sort(), ['2', '3', '4'])
  t.same(events, ['sent', 'write', 'sent', 'write', 'sent', 'write'])
})

t.test('a session is written at once', async t => {
  await t.test('where somebody begins to listen to the response while it is held back', async t => {
    const { app, events } = await watched(t, (_req, reply) => {
      reply.raw.on('finish', () => {})
      events.push('listened')
    })
    const [tab] = await browsers(t, app, 1)
    events.length = 0
    await tab?.get('/count')
    t.same(events, ['sent', 'write', 'listened'])
  })

  await t.test('where somebody listens to it before', async t => {
    const { app, events } = await watched(t)
    app.server.prependListener('request', (_request, response: ServerResponse) => { response.on('close', () => {}) })
    const [tab] = await browsers(t, app, 1)
    events.length = 0
    await tab?.get('/count')
    t.same(events, ['write', 'sent'])
  })
})

t.test('what is put off when the process exits is written before', async t => {
  const files = t.testdir()
  const index = new URL('../../src/index.ts', import.meta.url).href
  const program = `
    import Fastify from 'fastify'
    import ambientSession, { session } from '${index}'
    const app = Fastify()
    await app.register(ambientSession, { driver: 'file', files: '${files}', sweep: false })
    app.get('/:end', (req, reply) => {
      session().increment('n')
      reply.send('done')
      if (req.params.end === 'exit') process.exit()
    })
    console.log(await app.listen({ port: 0, host: '127.0.0.1' }))`
  const child = spawn(process.execPath, [...process.execArgv, '--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill() })
  const exit = once(child, 'exit')
  const [origin] = await once(child.stdout, 'data') as [Buffer]
  const browser = visitor(String(origin).trim())
  await browser.get('/begin')
  t.equal((await browser.get('/exit')).text, 'done')
  await exit
  const [name = ''] = readdirSync(files).filter(name => !name.startsWith('.'))
  t.match(readFileSync(join(files, name), 'latin1'), '{"n":2}')
})

t.test('a request whose session cannot be written with the others', async t => {
  await t.test('is not answered, and the others are', async t => {
    const { app, fail } = await watched(t)
    const three = await browsers(t, app, 3)
    fail([1])
    const warned = once(process, 'warning')
    const answers = await sendAll(three, '/count')
    t.match(answers, [
      { status: 'fulfilled', value: '2' },
      { status: 'rejected', reason: { message: 'the connection was closed; received so far: ""' } },
      { status: 'fulfilled', value: '2' }
    ])
    t.match(await warned, [{ code: 'AMBIENT_SESSION_UNSAVED', message: /connection was closed/ }])
  })

  await t.test('has changed nothing', async t => {
    const { app, fail } = await watched(t)
    const browser = visitor(app)
    await browser.get('/count')
    const [failing, other] = await tabsOf(t, app, browser.cookieHeader, 2) as [Tab, Tab]
    fail(true)
    t.match(await sendAll([failing], '/count'), [{ status: 'rejected' }])
    t.equal((await other.get('/look')).body, '1')
    fail(false)
    t.equal((await other.get('/count')).body, '2')
  })

  await t.test('has the next ones fail with an answer, as long as that lasts', async t => {
    const { app, fail } = await watched(t)
    const [first, ...others] = await browsers(t, app, 3) as [Tab, Tab, Tab]
    fail(true)
    t.match(await sendAll([first], '/count'), [{ status: 'rejected' }])
    for (const tab of others) t.match(await tab.get('/count'), { status: 503, body: /ERR_SESSION_STORE/ })
    fail(false)
    for (const tab of others) t.equal((await tab.get('/count')).body, '2')
  })
})
