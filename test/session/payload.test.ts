/** `encrypt`: what the store keeps is sealed, and opens for nobody but this application and this session. */
import { Signer } from '@fastify/cookie'
import t from 'tap'
import { isRecord, MemoryStore, type SessionOptions, type StoredRecord, type StoreKey } from '../../src/index.ts'
import { sealedPayload } from '../../src/session/payload.ts'
import { application, browserWith, living, stored, watched } from './helpers.ts'

type Tap = Parameters<typeof application>[0]

const secret = 'a secret of thirty-two characters'
const nextSecret = 'another one, of as many characters'
const data = { user: 'Ada Lovelace', since: new Date(0), list: ['ü', '\u{1f600}'] }

/** What is in the store after a session with the data has been kept in it. */
async function sealedRecord (t: Tap, options: SessionOptions = {}): Promise<{ key: StoreKey, record: StoredRecord }> {
  const store = watched()
  await browserWith(t, data, { driver: store, encrypt: true, secret, ...options })
  const [key] = store.keys
  const [record] = await living(store)
  if (key === undefined || record === undefined) throw new Error('nothing was stored')
  return { key, record }
}

t.test('an encrypted session comes back as it was', async t => {
  const visitor = await browserWith(t, data, { encrypt: true, secret })
  t.strictSame(await stored(visitor), data)
})

t.test('an encrypted session can be changed', async t => {
  const visitor = await browserWith(t, data, { encrypt: true, secret })
  await visitor.visit(session => { session.put('user', 'Grace') })
  await visitor.visit(session => { session.regenerate() })
  t.match(await stored(visitor), { user: 'Grace' })
})

t.test('an encrypted payload tells neither keys nor values', async t => {
  const { record: { payload } } = await sealedRecord(t)
  const bytes = Buffer.from(payload.replace('aes-256-gcm:', ''), 'base64').toString('latin1')
  for (const text of ['user', 'Ada', 'data', 'list']) t.notOk(payload.includes(text) || bytes.includes(text), text)
})

t.test('the same session sealed twice gives two payloads', async t => {
  const { record } = await sealedRecord(t)
  const { record: again } = await sealedRecord(t)
  t.not(record.payload, again.payload)
})

t.test('without encrypt the payload is readable text', async t => {
  const { record: { payload } } = await sealedRecord(t, { encrypt: false })
  t.match(payload, /"user":"Ada Lovelace"/)
})

t.test('a change without effect writes nothing although sealing never gives the same text twice', async t => {
  const store = watched()
  const visitor = await browserWith(t, data, { driver: store, encrypt: true, secret })
  store.calls.length = 0
  await visitor.visit(session => { session.put('user', data.user) })
  t.same(store.calls, ['read'])
})

t.test('a payload moved under another session\'s key does not open', async t => {
  const driver = new MemoryStore()
  const { browser, warnings } = await application(t, { driver, encrypt: true, secret })
  const [ada, eve] = [browser(), browser()]
  const [adasKey, evesKey] = [
    await ada.visit(session => { session.put('user', 'Ada'); return session.key }),
    await eve.visit(session => { session.put('user', 'Eve'); return session.key })
  ]
  const [from, to] = [driver.read(adasKey), driver.read(evesKey)]
  if (!isRecord(from) || !isRecord(to)) throw new Error('nothing was stored')
  driver.compareAndSet(evesKey, { ...to, payload: from.payload }, to.version)
  t.same(await stored(eve), {})
  t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED', key: evesKey }])
})

/** What a visitor finds who comes back after the application was started anew with other options. */
async function restarted (t: Tap, before: SessionOptions, after: SessionOptions): Promise<{ data: unknown, codes: string[], payload: string | undefined }> {
  const driver = watched(new MemoryStore())
  const visitor = (await application(t, { driver, ...before })).browser()
  await visitor.visit(session => { session.replace(data) })
  const { browser, warnings } = await application(t, { driver, ...after })
  // Not the cookie's signature is what is asked here.
  const { id } = await visitor.visit(({ id }) => ({ id }))
  const again = browser(signedBy(after, id))
  const found = await again.visit(session => session.all())
  await again.visit(session => { session.put('again', true) })
  return { data: found, codes: warnings.map(({ code }) => code), payload: (await living(driver)).at(-1)?.payload }
}

function signedBy ({ secret }: SessionOptions, id: string): string {
  return new Signer([secret ?? []].flat().map(String)).sign(id)
}

t.test('after a rotation of secrets sessions of the old one open, and are sealed with the new one when they change', async t => {
  const { data: found, codes, payload = '' } = await restarted(t, { encrypt: true, secret }, { encrypt: true, secret: [nextSecret, secret] })
  t.strictSame(found, data)
  t.same(codes, [])
  t.match(payload, 'aes-256-gcm:')
})

t.test('what was sealed with the new secret does not need the old one', async t => {
  const key = 'a'.repeat(64) as StoreKey
  const payload = sealedPayload([nextSecret, secret]).seal('text', key)
  t.equal(sealedPayload([nextSecret]).open(payload, key), 'text')
  t.equal(sealedPayload([secret]).open(payload, key), undefined)
})

for (const [what, before, after] of [
  ['another secret', { encrypt: true, secret }, { encrypt: true, secret: nextSecret }],
  ['encrypt taken off', { encrypt: true, secret }, { secret }],
  ['encrypt put on', { secret }, { encrypt: true, secret }]
] as const) {
  t.test(`${what} costs the session, with a warning in each request that meets it, and not the request`, async t => {
    const { data: found, codes } = await restarted(t, before, after)
    t.same(found, {})
    t.same(codes, ['AMBIENT_SESSION_DAMAGED', 'AMBIENT_SESSION_DAMAGED'])
  })
}

t.test('any damage is noticed', async t => {
  const { key, record: { payload } } = await sealedRecord(t)
  const format = sealedPayload([secret])
  const bytes = Buffer.from(payload.slice('aes-256-gcm:'.length), 'base64')
  t.type(format.open(payload, key), 'string')
  for (let index = 0; index < bytes.length; index++) {
    const damaged = Buffer.from(bytes)
    damaged.writeUInt8(damaged.readUInt8(index) ^ 1, index)
    if (format.open(`aes-256-gcm:${damaged.toString('base64')}`, key) !== undefined) t.fail(`byte ${index} can be changed`)
  }
  for (let length = 0; length < bytes.length; length++) {
    if (format.open(`aes-256-gcm:${bytes.toString('base64', 0, length)}`, key) !== undefined) t.fail(`it can be cut to ${length} bytes`)
  }
})

t.test('sealing without a secret is a mistake', async t => {
  t.throws(() => sealedPayload([]), RangeError)
})
