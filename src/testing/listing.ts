/**
 * Who a session belongs to, the lists of a user's sessions, and how many there are. For stores that can list. What one store has written is listed by
 * the other: a list has the sessions of all processes.
 */
import assert from 'node:assert/strict'
import type { ListedRecord, ListFilter, NewRecord, StoreKey, StoreWith } from '../stores/store.ts'
import { caseOf } from './case.ts'
import { atOnce, create, createRecord, inFuture, MINUTE, newKey, newUserId, readLiving, recordOf, until, versionIn } from './records.ts'

type ListingStore = StoreWith<'list'>
type Facts = Pick<NewRecord, 'userId' | 'ipAddress' | 'userAgent' | 'lastActivity'>

/** More pages than any case has records. */
const MOST_PAGES = 10_000

/** Ids that a driver might mistake for one another, or for something else. */
const USER_IDS = ['1', '10', 'a', 'A', 'a%', 'a_', '%', '*', '?', "o'hara", 'a:b', 'a/b', 'a b', '\\', '{a}', '{', 'ü', '\u{1f600}', 'null', 'undefined']

function ownedBy (userId: string | undefined, expiresIn = MINUTE): NewRecord {
  return { ...recordOf('payload', expiresIn), userId, lastActivity: new Date() }
}

function factsOf ({ userId, ipAddress, userAgent, lastActivity }: Facts): Facts {
  return { userId, ipAddress, userAgent, lastActivity }
}

/** All records that a filter finds, through as many pages as it takes. */
async function all (store: ListingStore, filter: ListFilter, limit = 100, between: (page: number, found: readonly ListedRecord[]) => Promise<void> = async () => {}): Promise<ListedRecord[]> {
  const found: ListedRecord[] = []
  let after: string | undefined
  for (let page = 0; page < MOST_PAGES; page++) {
    const { records, next } = await store.list(filter, { limit, after })
    assert.ok(records.length <= limit, `a page of at most ${limit} records has ${records.length}`)
    found.push(...records)
    if (next === undefined) return found
    after = next
    await between(page, found)
  }
  throw new assert.AssertionError({ message: `there is still a next page after ${MOST_PAGES}` })
}

async function keysOf (store: ListingStore, userId: string, limit?: number): Promise<StoreKey[]> {
  return (await all(store, { userId }, limit)).map(({ key }) => key).sort()
}

export const listing = [
  caseOf('list', 'user, address, user agent and last activity are read as they were written, and gone when they are written no more', async ({ store, other }) => {
    const record = { ...ownedBy(newUserId()), ipAddress: '2001:db8::1', userAgent: 'Mozilla/5.0 (ü; "x") \u{1f600}' }
    const { key, version } = await createRecord(store, record)
    assert.deepEqual(factsOf(await readLiving(other, key)), factsOf(record))
    await store.compareAndSet(key, recordOf('payload'), version)
    assert.deepEqual(factsOf(await readLiving(other, key)), factsOf({}))
  }),
  caseOf('list', 'touch moves the last activity that it is given, and leaves the user as it is', async ({ store, other }) => {
    const record = { ...ownedBy(newUserId()), ipAddress: '192.0.2.1' }
    const { key } = await createRecord(store, record)
    const lastActivity = inFuture(1000)
    await store.touch(key, inFuture(2 * MINUTE), lastActivity)
    assert.deepEqual(factsOf(await readLiving(other, key)), factsOf({ ...record, lastActivity }))
    await store.touch(key, inFuture(3 * MINUTE))
    assert.deepEqual(factsOf(await readLiving(other, key)), factsOf({ ...record, lastActivity }))
  }),
  caseOf('list', 'a list has a record as it is, but for its payload', async ({ store, other }) => {
    const record = { ...ownedBy(newUserId()), ipAddress: '192.0.2.1', userAgent: 'a browser' }
    const { key } = await createRecord(store, record)
    const expiresAt = inFuture(3 * MINUTE)
    const lastActivity = inFuture(1000)
    await store.touch(key, expiresAt, lastActivity)
    const [listed, ...others] = await all(other, { userId: record.userId })
    assert.deepEqual(others, [])
    assert.ok(listed !== undefined, 'the record is missing')
    assert.ok(!('payload' in listed), 'the payload is in the list')
    const { version } = await readLiving(store, key)
    assert.deepEqual(
      { key: listed.key, version: listed.version, createdAt: listed.createdAt, expiresAt: listed.expiresAt, ...factsOf(listed) },
      { key, version, createdAt: record.createdAt, expiresAt, ...factsOf({ ...record, lastActivity }) }
    )
  }),
  caseOf('list', 'the list of a user has all living sessions of that user, and no others', async ({ store, other }) => {
    const [userId, another] = [newUserId(), newUserId()]
    const keys = await atOnce(5, async n => (await createRecord(n % 2 === 0 ? store : other, ownedBy(userId))).key)
    await createRecord(store, ownedBy(another))
    await create(store)
    assert.deepEqual(await keysOf(other, userId), keys.sort())
    assert.deepEqual(await keysOf(other, newUserId()), [])
  }),
  caseOf('list', 'any text is the id of a user, and no two are the same', async ({ store, other }) => {
    const prefix = newUserId()
    const expected = new Map<string, StoreKey>()
    for (const userId of USER_IDS.map(id => prefix + id).concat(prefix, 'x'.repeat(200) + prefix)) {
      expected.set(userId, (await createRecord(store, ownedBy(userId))).key)
    }
    for (const [userId, key] of expected) assert.deepEqual(await keysOf(other, userId), [key], `the list of ${JSON.stringify(userId)}`)
  }),
  caseOf('list', 'a list has nothing that has expired, was ended or was removed', async ({ store, other }) => {
    const userId = newUserId()
    await createRecord(store, ownedBy(userId, -1))
    const { key: ended } = await createRecord(store, ownedBy(userId))
    await store.destroy(ended, inFuture())
    const { key: removed } = await createRecord(store, ownedBy(userId))
    await store.destroy(removed)
    const { key: living } = await createRecord(store, ownedBy(userId))
    const expiring = ownedBy(userId, 50)
    await createRecord(store, expiring)
    await until(() => new Date() >= expiring.expiresAt, 'the clock stands still')
    assert.deepEqual(await keysOf(other, userId), [living])
    const keys = (await all(other, {})).map(({ key }) => key)
    assert.ok(keys.includes(living) && !keys.includes(ended) && !keys.includes(removed), 'the list of all has something else')
  }),
  caseOf('list', 'a session is in the list of the user it has now', async ({ store, other }) => {
    const [before, after] = [newUserId(), newUserId()]
    let { key, version } = await create(store)
    for (const userId of [before, after]) {
      version = versionIn(await store.compareAndSet(key, ownedBy(userId), version))
      assert.deepEqual(await keysOf(other, userId), [key])
    }
    assert.deepEqual(await keysOf(other, before), [])
    await store.compareAndSet(key, ownedBy(undefined), version)
    assert.deepEqual(await keysOf(other, after), [])
  }),
  caseOf('list', 'a write that does not succeed changes no list', async ({ store, other }) => {
    const [owner, late] = [newUserId(), newUserId()]
    const { key, version } = await createRecord(store, ownedBy(owner))
    await store.compareAndSet(key, ownedBy(owner), version)
    assert.equal(await store.compareAndSet(key, ownedBy(late), version), 'conflict')
    assert.equal(await store.compareAndSet(key, ownedBy(late), undefined), 'conflict')
    assert.equal(await store.compareAndSet(newKey(), ownedBy(late), version), 'gone')
    assert.deepEqual(await keysOf(other, late), [])
    assert.deepEqual(await keysOf(other, owner), [key])
  }),
  caseOf('list', 'a session stays in its user\'s list for as long as touches keep it alive', async ({ store, other }) => {
    const userId = newUserId()
    const record = ownedBy(userId, 500)
    const { key } = await createRecord(store, record)
    await store.touch(key, inFuture())
    await until(() => new Date() > record.expiresAt, 'the clock stands still')
    assert.deepEqual(await keysOf(other, userId), [key])
  }),
  caseOf('list', 'the list of all has the sessions without a user, too', async ({ store, other }) => {
    const { key: owned } = await createRecord(store, ownedBy(newUserId()))
    const { key: anonymous } = await create(store)
    const keys = (await all(other, {})).map(({ key }) => key)
    for (const key of [owned, anonymous]) assert.equal(keys.filter(found => found === key).length, 1)
  }),
  caseOf('list', 'a long list comes in pages, each record in one of them', async ({ store, other }) => {
    const userId = newUserId()
    const keys = (await atOnce(11, async n => (await createRecord(n % 2 === 0 ? store : other, ownedBy(userId))).key)).sort()
    for (const limit of [1, 3, 11, 100]) assert.deepEqual(await keysOf(other, userId, limit), keys, `in pages of ${limit}`)
    const found = (await all(other, {}, 4)).map(({ key }) => key).filter(key => keys.includes(key))
    assert.deepEqual(found.sort(), keys)
  }),
  caseOf('list', 'a record that lives while its pages are asked for is in one of them, whatever comes and goes meanwhile', async ({ store, other }) => {
    const userId = newUserId()
    const staying = (await atOnce(12, async () => (await createRecord(store, ownedBy(userId))).key)).sort()
    for (const filter of [{ userId }, {}]) {
      const leaving = new Set(await atOnce(6, async () => (await createRecord(store, ownedBy(userId))).key))
      const found = await all(other, filter, 2, async (page, found) => {
        // One that has been listed already, if there is one: a store that counts records passes over the next one for it.
        const listed = found.find(({ key }) => leaving.has(key))?.key
        const [going, touched] = [listed ?? [...leaving][0], staying[page]]
        // So many pages are enough: a list of all may be longer than what this case has made.
        if (going === undefined || touched === undefined) return
        if (listed === undefined) await createRecord(store, ownedBy(userId))
        leaving.delete(going)
        await store.destroy(going)
        // A touch may change a store's order, which must neither hide a record nor show it twice.
        await store.touch(touched, inFuture(2 * MINUTE), new Date())
      })
      const seen = found.map(({ key }) => key).filter(key => staying.includes(key))
      assert.deepEqual(seen.sort(), staying, filter.userId === undefined ? 'in the list of all' : 'in the list of the user')
    }
  }),
  caseOf('list', 'sessions that begin and end at the same time leave a right list', async ({ store, other }) => {
    const userId = newUserId()
    const created = await atOnce(20, n => createRecord(n % 4 < 2 ? store : other, ownedBy(userId)))
    await Promise.all(created.map(async ({ key, version }, n) => {
      if (n % 2 === 0) await store.destroy(key, inFuture())
      else await store.compareAndSet(key, ownedBy(userId), version)
    }))
    assert.deepEqual(await keysOf(other, userId), created.filter((_, n) => n % 2 === 1).map(({ key }) => key).sort())
  }),
  caseOf('count', 'as many records are counted as would be listed', async ({ store, other }) => {
    const userId = newUserId()
    const [ended] = await atOnce(20, async n => await createRecord(n % 2 === 0 ? store : other, ownedBy(userId)))
    await createRecord(store, ownedBy(userId, -1))
    await create(store)
    await createRecord(store, ownedBy(newUserId()))
    assert.equal(await other.count({ userId }), 20)
    if (ended !== undefined) await store.destroy(ended.key, inFuture())
    assert.equal(await other.count({ userId }), 19)
    assert.equal(await other.count({ userId: newUserId() }), 0)
    // What other cases have left may expire in between.
    await until(async () => await other.count({}) === (await all(other as ListingStore, {})).length, 'the count of all is not what the list of all has')
  })
]
