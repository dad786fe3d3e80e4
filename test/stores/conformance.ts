/**
 * What makes a driver a driver: the contract of SessionStore as a list of cases that every store has to pass. A case gets
 * an open store that nobody else uses, and throws when the store does something else than the contract says.
 *
 * None of them sleeps: what has expired was stored with a time that has passed, or is waited for.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { NewRecord, SessionStore, StoredRecord, StoreKey, Version } from '../../src/index.ts'

export interface Case {
  /** A sentence about a store. */
  readonly name: string
  readonly run: (store: SessionStore) => Promise<void>
}

const MINUTE = 60_000
/** Milliseconds after which a wait for something that has to come is given up. */
const PATIENCE = 5_000

export function newKey (): StoreKey {
  return randomBytes(32).toString('hex') as StoreKey
}

/** @param expiresIn milliseconds from now; negative for a record that has expired */
export function recordOf (payload: string, expiresIn = MINUTE): NewRecord {
  const now = Date.now()
  return { payload, createdAt: new Date(now - MINUTE), expiresAt: new Date(now + expiresIn) }
}

/** Writes a record under a new key. */
export async function create (store: SessionStore, payload = 'payload', expiresIn = MINUTE): Promise<{ key: StoreKey, version: Version }> {
  const key = newKey()
  const version = await store.compareAndSet(key, recordOf(payload, expiresIn), undefined)
  assert.equal(typeof version, 'number', 'a record could not be created')
  return { key, version: version as Version }
}

export async function readLiving (store: SessionStore, key: StoreKey): Promise<StoredRecord> {
  const record = await store.read(key)
  if (typeof record === 'object') return record
  throw new assert.AssertionError({ message: 'there is no living record', actual: record })
}

/** Adds 1 to a number, as a commit would: compare-and-set until there is no conflict. */
export async function increment (store: SessionStore, key: StoreKey): Promise<void> {
  for (;;) {
    const { payload, version, ...times } = await readLiving(store, key)
    const answer = await store.compareAndSet(key, { ...times, payload: String(Number(payload) + 1) }, version)
    if (answer !== 'conflict') return assert.equal(typeof answer, 'number')
  }
}

function inFuture (milliseconds = MINUTE): Date {
  return new Date(Date.now() + milliseconds)
}

const IN_PAST = new Date(Date.now() - 1)

const reading: Case[] = [
  {
    name: 'a key that was never written is missing',
    async run (store) {
      assert.equal(await store.read(newKey()), undefined)
    }
  },
  {
    name: 'what was created is read as it was',
    async run (store) {
      const key = newKey()
      const record = recordOf('{"data":{"user":"Ada"}}')
      const version = await store.compareAndSet(key, record, undefined)
      assert.deepEqual({ ...await readLiving(store, key) }, { ...record, version })
    }
  },
  {
    name: 'any text is a payload',
    async run (store) {
      for (const payload of ['', ' ', '\n\n', 'two\nlines', '"\'\\\0', 'ü€\u{1f600}', '\u{2028}', '{', 'x'.repeat(300_000)]) {
        const { key } = await create(store, payload)
        assert.equal((await readLiving(store, key)).payload, payload)
      }
    }
  },
  {
    name: 'records under different keys have nothing to do with each other',
    async run (store) {
      const first = await create(store, 'first')
      const second = await create(store, 'second')
      await store.compareAndSet(first.key, recordOf('first, changed'), first.version)
      await store.destroy(first.key, inFuture())
      assert.equal((await readLiving(store, second.key)).payload, 'second')
    }
  },
  {
    name: 'an expired record is missing, although nothing has swept it away',
    async run (store) {
      const { key } = await create(store, 'payload', -1)
      assert.equal(await store.read(key), undefined)
    }
  },
  {
    name: 'a record is missing from the moment on at which it expires',
    async run (store) {
      const key = newKey()
      const record = recordOf('payload', 50)
      await store.compareAndSet(key, record, undefined)
      const deadline = Date.now() + PATIENCE
      while (await store.read(key) !== undefined) {
        assert.ok(Date.now() < deadline, 'it is still there')
        await delay(5)
      }
      assert.ok(new Date() >= record.expiresAt, 'it has expired early')
    }
  }
]

const writing: Case[] = [
  {
    name: 'a write gives another version, which is the one to expect next',
    async run (store) {
      const { key, version } = await create(store, 'first')
      const second = await store.compareAndSet(key, recordOf('second'), version)
      assert.notEqual(second, version)
      assert.equal((await readLiving(store, key)).version, second)
      assert.equal(typeof await store.compareAndSet(key, recordOf('third'), second as Version), 'number')
      assert.equal((await readLiving(store, key)).payload, 'third')
    }
  },
  {
    name: 'a write with a version that is not the stored one is a conflict and changes nothing',
    async run (store) {
      const { key, version } = await create(store, 'first')
      await store.compareAndSet(key, recordOf('second'), version)
      assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'conflict')
      assert.equal((await readLiving(store, key)).payload, 'second')
    }
  },
  {
    name: 'the creation of what exists is a conflict and changes nothing',
    async run (store) {
      const { key, version } = await create(store, 'first')
      assert.equal(await store.compareAndSet(key, recordOf('another'), undefined), 'conflict')
      assert.deepEqual(await readLiving(store, key).then(({ payload, version }) => ({ payload, version })), { payload: 'first', version })
    }
  },
  {
    name: 'a write to what was never there finds it gone and creates nothing',
    async run (store) {
      const key = newKey()
      assert.equal(await store.compareAndSet(key, recordOf('late'), 1 as Version), 'gone')
      assert.equal(await store.read(key), undefined)
    }
  },
  {
    name: 'a write to what has expired finds it gone and does not bring it back',
    async run (store) {
      const { key, version } = await create(store, 'payload', -1)
      assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
      assert.equal(await store.read(key), undefined)
    }
  },
  {
    name: 'a write sets the expiry it says',
    async run (store) {
      const { key, version } = await create(store)
      const record = recordOf('payload', 7 * MINUTE)
      await store.compareAndSet(key, record, version)
      assert.deepEqual((await readLiving(store, key)).expiresAt, record.expiresAt)
    }
  },
  {
    name: 'a payload may grow and shrink from write to write',
    async run (store) {
      let { key, version } = await create(store, 'x')
      for (const length of [1_000, 100_000, 10, 300_000, 0, 5_000]) {
        version = await store.compareAndSet(key, recordOf('y'.repeat(length)), version) as Version
        assert.equal((await readLiving(store, key)).payload.length, length)
      }
    }
  },
  {
    name: 'of creations of one key at the same time one succeeds',
    async run (store) {
      const key = newKey()
      const answers = await Promise.all(Array.from({ length: 20 }, async (_, n) => await store.compareAndSet(key, recordOf(String(n)), undefined)))
      assert.equal(answers.filter(answer => answer === 'conflict').length, 19)
      assert.equal((await readLiving(store, key)).payload, String(answers.findIndex(answer => answer !== 'conflict')))
    }
  },
  {
    name: 'fifty compare-and-set loops at the same time lose nothing',
    async run (store) {
      const { key } = await create(store, '0')
      await Promise.all(Array.from({ length: 50 }, async () => { await increment(store, key) }))
      assert.equal((await readLiving(store, key)).payload, '50')
    }
  }
]

const touching: Case[] = [
  {
    name: 'touch moves the expiry, and neither the version nor anything else',
    async run (store) {
      const { key } = await create(store)
      const before = await readLiving(store, key)
      const expiresAt = inFuture(5 * MINUTE)
      assert.equal(await store.touch(key, expiresAt), true)
      assert.deepEqual({ ...await readLiving(store, key) }, { ...before, expiresAt })
    }
  },
  {
    name: 'a write that expects the version from before a touch succeeds',
    async run (store) {
      const { key, version } = await create(store)
      await store.touch(key, inFuture())
      assert.equal(typeof await store.compareAndSet(key, recordOf('changed'), version), 'number')
    }
  },
  {
    name: 'touch never brings back what is missing, has expired or was ended',
    async run (store) {
      const missing = newKey()
      const { key: expired } = await create(store, 'payload', -1)
      const { key: ended } = await create(store)
      await store.destroy(ended, inFuture())
      const { key: removed } = await create(store)
      await store.destroy(removed)
      for (const key of [missing, expired, ended, removed]) assert.equal(await store.touch(key, inFuture()), false)
      for (const key of [missing, expired, removed]) assert.equal(await store.read(key), undefined)
      assert.equal(await store.read(ended), 'gone')
    }
  }
]

const destroying: Case[] = [
  {
    name: 'destroy with a tombstone leaves the key gone: it cannot be written, created or touched',
    async run (store) {
      const { key, version } = await create(store)
      assert.equal(await store.destroy(key, inFuture()), 'destroyed')
      assert.equal(await store.read(key), 'gone')
      assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
      assert.equal(await store.compareAndSet(key, recordOf('late'), undefined), 'gone')
      assert.equal(await store.read(key), 'gone')
    }
  },
  {
    name: 'a tombstone that stands is left standing',
    async run (store) {
      const { key, version } = await create(store)
      await store.destroy(key, inFuture())
      assert.equal(await store.destroy(key), 'gone')
      assert.equal(await store.destroy(key, IN_PAST), 'gone')
      assert.equal(await store.destroy(key, inFuture(), version), 'gone')
      assert.equal(await store.read(key), 'gone')
    }
  },
  {
    name: 'a tombstone whose time has passed leaves the key missing, and free',
    async run (store) {
      const { key } = await create(store)
      await store.destroy(key, IN_PAST)
      assert.equal(await store.read(key), undefined)
      assert.equal(typeof await store.compareAndSet(key, recordOf('new'), undefined), 'number')
      assert.equal((await readLiving(store, key)).payload, 'new')
    }
  },
  {
    name: 'destroy without a tombstone leaves the key missing, and free',
    async run (store) {
      const { key, version } = await create(store)
      assert.equal(await store.destroy(key), 'destroyed')
      assert.equal(await store.read(key), undefined)
      assert.equal(await store.compareAndSet(key, recordOf('late'), version), 'gone')
      assert.equal(typeof await store.compareAndSet(key, recordOf('new'), undefined), 'number')
    }
  },
  {
    name: 'destroy of the expected version ends it',
    async run (store) {
      const { key, version } = await create(store)
      assert.equal(await store.destroy(key, inFuture(), version), 'destroyed')
      assert.equal(await store.read(key), 'gone')
    }
  },
  {
    name: 'destroy of another version is a conflict and changes nothing',
    async run (store) {
      const { key, version } = await create(store, 'first')
      const second = await store.compareAndSet(key, recordOf('second'), version)
      assert.equal(await store.destroy(key, inFuture(), version), 'conflict')
      assert.equal(await store.destroy(key, undefined, version), 'conflict')
      assert.deepEqual(await readLiving(store, key).then(({ payload, version }) => [payload, version]), ['second', second])
    }
  },
  {
    name: 'destroy of what is missing or has expired finds it gone, and makes no tombstone',
    async run (store) {
      const missing = newKey()
      const { key: expired, version } = await create(store, 'payload', -1)
      assert.equal(await store.destroy(missing, inFuture()), 'gone')
      assert.equal(await store.destroy(expired, inFuture()), 'gone')
      assert.equal(await store.destroy(expired, inFuture(), version), 'gone')
      for (const key of [missing, expired]) assert.equal(await store.read(key), undefined)
    }
  },
  {
    name: 'of a write and the destruction of one version at the same time one succeeds',
    async run (store) {
      for (let round = 0; round < 10; round++) {
        const { key, version } = await create(store)
        const [written, destroyed] = await Promise.all([
          store.compareAndSet(key, recordOf('changed'), version),
          store.destroy(key, inFuture(), version)
        ])
        assert.ok(typeof written === 'number' ? destroyed === 'conflict' : written === 'gone' && destroyed === 'destroyed')
      }
    }
  }
]

const sweeping: Case[] = [
  {
    name: 'sweep removes expired records and tombstones, says how many, and leaves the living',
    async run (store) {
      const { key: living } = await create(store, 'living', 10 * MINUTE)
      await create(store, 'expired', MINUTE)
      const { key: ended } = await create(store, 'ended', 10 * MINUTE)
      await store.destroy(ended, inFuture(MINUTE))
      const { key: endedLater } = await create(store, 'ended', MINUTE)
      await store.destroy(endedLater, inFuture(10 * MINUTE))
      assert.equal(await store.sweep?.(inFuture(2 * MINUTE), 100), 2)
      assert.equal(await store.sweep?.(inFuture(2 * MINUTE), 100), 0)
      assert.equal((await readLiving(store, living)).payload, 'living')
      assert.equal(await store.read(endedLater), 'gone')
    }
  },
  {
    name: 'sweep removes no more than it is told to',
    async run (store) {
      for (let n = 0; n < 5; n++) await create(store, 'expired', -1)
      const now = new Date()
      const removed = [await store.sweep?.(now, 2), await store.sweep?.(now, 2), await store.sweep?.(now, 2), await store.sweep?.(now, 2)]
      assert.deepEqual(removed, [2, 2, 1, 0])
    }
  },
  {
    name: 'sweep spares what was given a longer life',
    async run (store) {
      const { key } = await create(store)
      await store.touch(key, inFuture(10 * MINUTE))
      assert.equal(await store.sweep?.(inFuture(5 * MINUTE), 100), 0)
      await readLiving(store, key)
    }
  }
]

const LEASE = MINUTE

const locking: Case[] = [
  {
    name: 'a lock is held by one at a time, in the order they came',
    async run (store) {
      const key = newKey()
      const order: string[] = []
      let holders = 0
      await Promise.all(['first', 'second', 'third', 'fourth'].map(async name => {
        const unlock = await store.lock?.(key, { lease: LEASE, wait: PATIENCE })
        assert.equal(++holders, 1)
        order.push(name)
        await delay(1)
        holders--
        await unlock?.()
      }))
      assert.deepEqual(order, ['first', 'second', 'third', 'fourth'])
    }
  },
  {
    name: 'locks of different keys do not wait for each other',
    async run (store) {
      const unlocks = await Promise.all([newKey(), newKey()].map(async key => await store.lock?.(key, { lease: LEASE, wait: 0 })))
      for (const unlock of unlocks) await unlock?.()
    }
  },
  {
    name: 'who waits in vain gets a SessionLockTimeoutError, and the lock later',
    async run (store) {
      const key = newKey()
      const unlock = await store.lock?.(key, { lease: LEASE, wait: 0 })
      const begin = Date.now()
      await assert.rejects(async () => await store.lock?.(key, { lease: LEASE, wait: 30 }), { code: 'ERR_SESSION_LOCK_TIMEOUT', statusCode: 423 })
      assert.ok(Date.now() - begin >= 29, 'it did not wait')
      await unlock?.()
      const again = await store.lock?.(key, { lease: LEASE, wait: PATIENCE })
      await again?.()
    }
  },
  {
    name: 'who has given up waiting does not get the lock',
    async run (store) {
      const key = newKey()
      const unlock = await store.lock?.(key, { lease: LEASE, wait: 0 })
      const impatient = assert.rejects(async () => await store.lock?.(key, { lease: LEASE, wait: 1 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
      const patient = store.lock?.(key, { lease: LEASE, wait: PATIENCE })
      await impatient
      await unlock?.()
      await (await patient)?.()
    }
  },
  {
    name: 'a lock lets go by itself when its lease has run out',
    async run (store) {
      const key = newKey()
      await store.lock?.(key, { lease: 20, wait: 0 })
      const unlock = await store.lock?.(key, { lease: LEASE, wait: PATIENCE })
      await unlock?.()
    }
  },
  {
    name: 'letting go twice, or after the lease has run out, does not take the lock from its next holder',
    async run (store) {
      const key = newKey()
      const late = await store.lock?.(key, { lease: 20, wait: 0 })
      const unlock = await store.lock?.(key, { lease: LEASE, wait: PATIENCE })
      await late?.()
      await late?.()
      await assert.rejects(async () => await store.lock?.(key, { lease: LEASE, wait: 30 }), { code: 'ERR_SESSION_LOCK_TIMEOUT' })
      await unlock?.()
    }
  },
  {
    name: 'a lock does not keep anybody from reading and writing',
    async run (store) {
      const { key } = await create(store, '0')
      const unlock = await store.lock?.(key, { lease: LEASE, wait: 0 })
      await increment(store, key)
      await unlock?.()
      assert.equal((await readLiving(store, key)).payload, '1')
    }
  }
]

/** The cases for a store, without those for optional methods that it does not have. */
export function casesFor (store: SessionStore): readonly Case[] {
  return [
    ...reading, ...writing, ...touching, ...destroying,
    ...store.sweep === undefined ? [] : sweeping,
    ...store.lock === undefined ? [] : locking
  ]
}
