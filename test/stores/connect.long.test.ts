/** Stores made for express-session: the packages themselves behind the contract, and what they may do wrong. */
import { setTimeout as delay } from 'node:timers/promises'
import { inspect } from 'node:util'
import session from 'express-session'
import memorystore from 'memorystore'
import sessionFileStore from 'session-file-store'
import { RedisStore as ConnectRedis } from 'connect-redis'
import { createClient } from 'redis'
import t, { type Test } from 'tap'
import { type ConnectSession, type ConnectStore, fromConnectStore, type SessionStore, SessionStoreError } from '../../src/index.ts'
import { hasRedisServer, newRedisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { deferred } from '../http/support.ts'
import { until } from './clock.ts'
import { create, increment, newKey, readLiving, recordOf } from './conformance.ts'
import { conforms } from './support.ts'

const MINUTE = 60_000

function inFuture (milliseconds = MINUTE): Date {
  return new Date(Date.now() + milliseconds)
}

function fileStore (t: Test): ConnectStore {
  const FileStore = sessionFileStore(session)
  return new FileStore({ path: t.testdir(), retries: 0, reapInterval: -1, logFn: () => {} })
}

/** One that has nothing but what it has to have, and can be told to fail or to wait. */
class PlainStore implements ConnectStore {
  readonly sessions = new Map<string, string>()
  readonly calls: string[] = []
  /** What is waited for before an answer. */
  before: ((method: string) => unknown) | undefined

  get (sid: string, callback: (error: unknown, session?: object | null) => void): void {
    this.#later('get', callback, () => JSON.parse(this.sessions.get(sid) ?? 'null') as object | null)
  }

  set (sid: string, session: ConnectSession, callback: (error?: unknown) => void): void {
    this.#later('set', callback, () => { this.sessions.set(sid, JSON.stringify(session)) })
  }

  destroy (sid: string, callback: (error?: unknown) => void): void {
    this.#later('destroy', callback, () => { this.sessions.delete(sid) })
  }

  #later<T> (method: string, callback: (error?: unknown, answer?: T) => void, access: () => T): void {
    this.calls.push(method)
    Promise.resolve(this.before?.(method)).then(() => { callback(null, access()) }, callback)
  }
}

/** Tries again for as long as the store does not answer in time. */
async function answerInTime<T> (call: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof SessionStoreError)) throw error
    }
  }
}

const stores: Record<string, (t: Test) => ConnectStore> = {
  'express-session\'s MemoryStore': () => new session.MemoryStore(),
  memorystore: () => new (memorystore(session))({}),
  'session-file-store': fileStore,
  'a store that cannot touch': () => new PlainStore()
}

for (const [name, open] of Object.entries(stores)) {
  t.test(`${name} keeps the contract`, async t => {
    await conforms(t, async t => fromConnectStore(open(t)))
  })
}

t.test('connect-redis keeps the contract', { skip: await skipWithout('redis-server', hasRedisServer) }, async t => {
  const server = await newRedisServer(t)
  await server.start()
  const client = createClient({ url: server.url })
  t.teardown(() => { client.destroy() })
  await client.connect()
  await conforms(t, async () => fromConnectStore(new ConnectRedis({ client })))
  t.equal(client.isOpen, true, 'its client is left open')
})

t.test('connect-redis does not keep what has ended', { skip: await skipWithout('redis-server', hasRedisServer) }, async t => {
  const server = await newRedisServer(t)
  await server.start()
  const client = createClient({ url: server.url })
  t.teardown(() => { client.destroy() })
  await client.connect()
  const store = fromConnectStore(new ConnectRedis({ client }))
  const { key } = await create(store, 'payload', 90_000)
  const { key: ended } = await create(store, 'payload', 90_000)
  await store.destroy(ended, inFuture(20_000))
  // One second longer than the session, and rounded up.
  for (const [sid, seconds] of [[key, 90], [ended, 20]] as const) {
    const ttl = await client.ttl(`sess:${sid}`)
    t.ok(ttl >= seconds && ttl <= seconds + 2, `${ttl} seconds for ${seconds}`)
  }
})

t.test('stores of express-session\'s types can be given', async t => {
  const store: session.Store = new session.MemoryStore()
  t.equal(await fromConnectStore(store).read(newKey()), undefined)
})

t.test('the stored object has the fields from which such stores take a lifetime', async t => {
  const plain = new PlainStore()
  const { key } = await create(fromConnectStore(plain), 'payload', 90_000)
  const { cookie } = JSON.parse(plain.sessions.get(key) ?? '') as { cookie: { expires: string, originalMaxAge: number, maxAge: number } }
  for (const age of [cookie.originalMaxAge, cookie.maxAge, Date.parse(cookie.expires) - Date.now()]) t.ok(age > 80_000 && age <= 91_000, String(age))
})

t.test('user and origin of a session are kept', async t => {
  const store = fromConnectStore(new PlainStore())
  const facts = { userId: 'ada', ipAddress: '192.0.2.1', userAgent: 'a browser', lastActivity: new Date() }
  const key = newKey()
  await store.compareAndSet(key, { ...recordOf('payload'), ...facts }, undefined)
  t.match(await readLiving(store, key), facts)
  const lastActivity = inFuture()
  await store.touch(key, inFuture(), lastActivity)
  t.match(await readLiving(store, key), { ...facts, lastActivity })
})

t.test('a tombstone is no more than why, since when and until when', async t => {
  const plain = new PlainStore()
  const store = fromConnectStore(plain)
  const { key } = await create(store, 'a secret')
  const until = inFuture()
  await store.destroy(key, until, undefined, 'regenerated')
  const { ambient } = JSON.parse(plain.sessions.get(key) ?? '') as { ambient: Record<string, unknown> }
  t.match(ambient, { reason: 'regenerated', since: Number, expiresAt: until.getTime() })
  t.equal(Object.keys(ambient).length, 3)
})

t.test('a tombstone that does not say since when it stands refuses all the same what comes too late', async t => {
  const plain = new PlainStore()
  const store = fromConnectStore(plain)
  const key = newKey()
  plain.sessions.set(key, JSON.stringify({ ambient: { reason: 'ended', expiresAt: inFuture().getTime() } }))
  t.match(await store.read(key), { reason: 'ended', since: Date })
  t.equal(await store.compareAndSet(key, recordOf('late'), undefined), 'gone')
})

t.test('a value of another package under the key counts as missing', async t => {
  const plain = new PlainStore()
  const store = fromConnectStore(plain)
  for (const foreign of ['{"cookie":{},"user":"ada"}', '{"ambient":{}}', '{"ambient":{"expiresAt":9999999999999}}', '{"ambient":null}', 'null', '"text"']) {
    const key = newKey()
    plain.sessions.set(key, foreign)
    t.equal(await store.read(key), undefined, foreign)
  }
})

t.test('an operation that waits for its session does not delay other sessions', async t => {
  const plain = new PlainStore()
  const store = fromConnectStore(plain)
  const slow = await create(store)
  const quick = await create(store)
  const gate = deferred()
  plain.before = () => gate.promise
  const waiting = store.touch(slow.key, inFuture())
  plain.before = undefined
  t.equal(await store.touch(quick.key, inFuture()), true)
  gate.resolve()
  t.equal(await waiting, true)
})

t.test('two processes on one store overwrite each other, as the documentation says', async t => {
  const plain = new PlainStore()
  const processes = [fromConnectStore(plain), fromConnectStore(plain)] as const
  const { key } = await create(processes[0], '0')
  await Promise.all(Array.from({ length: 50 }, async (_, n) => { await increment(processes[n % 2 === 0 ? 0 : 1], key) }))
  t.ok(Number((await readLiving(processes[0], key)).payload) < 50)
})

t.test('faults', async t => {
  const actions: Record<string, (store: SessionStore, key: ReturnType<typeof newKey>) => unknown> = {
    read: (store, key) => store.read(key),
    compareAndSet: (store, key) => store.compareAndSet(key, recordOf('new'), undefined),
    touch: (store, key) => store.touch(key, inFuture()),
    destroy: (store, key) => store.destroy(key)
  }

  for (const [name, act] of Object.entries(actions)) {
    await t.test(`${name} of a store that fails is a SessionStoreError, without what was to be written`, async t => {
      const plain = new PlainStore()
      const failure = Object.assign(new Error('connection lost'), { code: 'ECONNRESET', command: { args: ['a value'] } })
      plain.before = () => Promise.reject(failure)
      const error = await Promise.resolve(act(fromConnectStore(plain), newKey())).then(() => undefined, (error: unknown) => error)
      t.ok(error instanceof SessionStoreError)
      t.match(error, {
        statusCode: 503, message: 'the session store has failed', cause: { message: /\(connection lost\)/, cause: { message: 'connection lost', code: 'ECONNRESET' } }
      })
      t.notMatch(inspect(error, { depth: 10, showHidden: true }), 'a value')
    })
  }

  await t.test('a write whose directory has gone is one, too, and not a missing session', async t => {
    const plain = new PlainStore()
    plain.before = method => method === 'set' ? Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' })) : undefined
    await t.rejects(create(fromConnectStore(plain)), { code: 'ERR_SESSION_STORE' })
  })

  await t.test('a store that throws, fails without an error or only in its promise is one, too', async t => {
    const throwing = new PlainStore()
    throwing.get = () => { throw new Error('not connected') }
    const speechless = new PlainStore()
    speechless.get = (_sid, answer) => { answer('no') }
    const promising = new PlainStore()
    promising.get = (): unknown => Promise.reject(new Error('not connected'))
    for (const store of [throwing, speechless, promising]) {
      await t.rejects(async () => await fromConnectStore(store).read(newKey()), { code: 'ERR_SESSION_STORE' })
    }
  })

  await t.test('after a fault the next one gets its turn', async t => {
    const plain = new PlainStore()
    const store = fromConnectStore(plain)
    const { key, version } = await create(store)
    let isFirst = true
    plain.before = method => {
      if (method !== 'set' || !isFirst) return
      isFirst = false
      return Promise.reject(new Error('once'))
    }
    const [first, second] = await Promise.allSettled([store.compareAndSet(key, recordOf('first'), version), store.compareAndSet(key, recordOf('second'), version)])
    t.match([first, second], [{ status: 'rejected' }, { status: 'fulfilled' }])
    t.equal((await readLiving(store, key)).payload, 'second')
  })
})

t.test('a store that does not answer', async t => {
  await t.test('is a SessionStoreError after the timeout', async t => {
    const plain = new PlainStore()
    plain.before = () => new Promise(() => {})
    const store = fromConnectStore(plain, { timeout: 20 })
    await t.rejects(async () => await store.read(newKey()), { code: 'ERR_SESSION_STORE', statusCode: 503, message: 'the session store did not answer in time', cause: { message: /within 20 ms/ } })
    await t.rejects(async () => await store.touch(newKey(), inFuture()), { code: 'ERR_SESSION_STORE' })
  })

  await t.test('in time when it is asked for a session is not told to write it', async t => {
    const plain = new PlainStore()
    const store = fromConnectStore(plain, { timeout: 20 })
    const { key, version } = await create(store, 'before')
    const gate = deferred()
    plain.before = method => method === 'get' ? gate.promise : undefined
    await t.rejects(async () => await store.compareAndSet(key, recordOf('late'), version), { code: 'ERR_SESSION_STORE' })
    await t.rejects(async () => await store.compareAndSet(key, recordOf('waiting'), version), { code: 'ERR_SESSION_STORE' })
    plain.calls.length = 0
    gate.resolve()
    t.equal(typeof await store.compareAndSet(key, recordOf('in time'), version), 'number')
    t.same(plain.calls, ['get', 'set'], 'the two that came too late have not been tried')
    t.equal((await readLiving(store, key)).payload, 'in time')
  })

  await t.test('but is still writing keeps its turn, so that the write cannot land on a later one', async t => {
    const plain = new PlainStore()
    const store = fromConnectStore(plain, { timeout: 50 })
    const { key, version } = await create(store, 'before')
    const gate = deferred()
    plain.before = method => method === 'set' ? gate.promise : undefined
    await t.rejects(async () => await store.compareAndSet(key, recordOf('late'), version), { code: 'ERR_SESSION_STORE' })
    plain.before = undefined
    const next = store.compareAndSet(key, recordOf('next'), version)
    gate.resolve()
    t.equal(await next, 'conflict')
    t.equal((await readLiving(store, key)).payload, 'late')
  })

  for (const lost of ['get', 'set', 'destroy']) {
    await t.test(`and never answers a ${lost} loses its turn after ten times the timeout, so that the session can be changed again`, async t => {
      const plain = new PlainStore()
      const store = fromConnectStore(plain, { timeout: 10 })
      const { key, version } = await create(store, 'before')
      const begin = performance.now()
      plain.before = method => method === lost ? new Promise(() => {}) : undefined
      const change = lost === 'destroy' ? store.destroy(key) : store.compareAndSet(key, recordOf('lost'), version)
      await t.rejects(async () => await change, { code: 'ERR_SESSION_STORE' })
      plain.before = undefined
      const next = await answerInTime(() => store.compareAndSet(key, recordOf('next'), version))
      t.ok(performance.now() - begin >= 99, 'not before that, since the answer may only be late')
      t.equal(typeof next, 'number')
      t.equal((await readLiving(store, key)).payload, 'next')
      t.equal(await store.destroy(key), 'destroyed')
    })
  }

  await t.test('does not keep the process alive', async t => {
    const plain = new PlainStore()
    const store = fromConnectStore(plain, { timeout: 10 })
    const { key } = await create(store)
    plain.before = () => new Promise(() => {})
    const timers = process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
    await t.rejects(async () => await store.touch(key, inFuture()), { code: 'ERR_SESSION_STORE' })
    t.ok(process.getActiveResourcesInfo().filter(name => name === 'Timeout').length <= timers)
  })

  await t.test('has the longest turn that there is, if its timeout is the longest', async t => {
    const plain = new PlainStore()
    const store = fromConnectStore(plain, { timeout: 2 ** 31 - 1 })
    const { key, version } = await create(store, 'before')
    const gate = deferred()
    plain.before = method => method === 'set' ? gate.promise : undefined
    const first = store.compareAndSet(key, recordOf('first'), version)
    const second = store.compareAndSet(key, recordOf('second'), version)
    await until(() => plain.calls.length >= 4)
    await delay(2)
    t.same(plain.calls, ['get', 'set', 'get', 'set'], 'the second one waits: a number too large for a timer would be a millisecond')
    gate.resolve()
    t.same([await first, await second], [2, 'conflict'])
  })
})
