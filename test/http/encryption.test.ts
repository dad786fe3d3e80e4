/** Sessions that are encrypted where they are kept. */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { FastifyInstance } from 'fastify'
import { type NewRecord, session, type SessionOptions } from '../../src/index.ts'
import { visitor } from '../helpers/client.ts'
import { Log, serve } from './support.ts'
import { SpyStore } from './stores.ts'

const [SECRET, NEXT_SECRET] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]

/** A store whose payloads can be looked at. */
class OpenStore extends SpyStore {
  readonly payloads: string[] = []

  override compareAndSet (...[key, record, expected]: Parameters<SpyStore['compareAndSet']>): ReturnType<SpyStore['compareAndSet']> {
    this.payloads.push((record satisfies NewRecord).payload)
    return super.compareAndSet(key, record, expected)
  }
}

function routes (app: FastifyInstance): void {
  app.post('/login', async () => { session({ email: 'ada@example.com' }) })
  app.get('/email', async () => session('email', 'nobody'))
}

async function shop (t: Parameters<typeof serve>[0], driver: SpyStore, options: SessionOptions, log = new Log()): Promise<FastifyInstance> {
  return await serve(t, routes, { driver, ...options }, { logger: log })
}

t.test('what an encrypted session holds cannot be read in the store', async t => {
  const driver = new OpenStore()
  const ada = visitor(await shop(t, driver, { encrypt: true, secret: SECRET }))
  await ada.post('/login')
  t.equal((await ada.get('/email')).text, 'ada@example.com')
  t.equal(driver.payloads.length, 1)
  t.notMatch(driver.payloads[0], /ada|email/)
})

t.test('a session encrypted with an older secret is still read', async t => {
  const driver = new OpenStore()
  const ada = visitor(await shop(t, driver, { encrypt: true, secret: SECRET }))
  await ada.post('/login')
  const after = visitor(await shop(t, driver, { encrypt: true, secret: [NEXT_SECRET, SECRET] }))
  t.equal((await after.get('/email', { cookie: ada.cookieHeader })).text, 'ada@example.com')
})

t.test('a session that cannot be decrypted any more counts as missing, and is reported', async t => {
  const driver = new OpenStore()
  const log = new Log()
  const ada = visitor(await shop(t, driver, { secret: SECRET }))
  await ada.post('/login')
  const after = visitor(await shop(t, driver, { encrypt: true, secret: SECRET }, log))
  t.equal((await after.get('/email', { cookie: ada.cookieHeader })).text, 'nobody')
  t.match(await log.warnings(1), [{ code: 'AMBIENT_SESSION_DAMAGED', key: /^[0-9a-f]{64}$/ }])
})
