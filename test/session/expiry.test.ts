/** Idle timeout, absolute timeout, and how seldom they cost a write. The clock is the test's own. */
import t, { type Test } from 'tap'
import type { SessionOptions } from '../../src/index.ts'
import { application, type Application, type Browser, watched, type WatchedStore } from './helpers.ts'

const MINUTE = 60_000

interface Setting extends Application {
  readonly store: WatchedStore
  readonly visitor: Browser
  /** Lets time pass. */
  readonly pass: (milliseconds: number) => void
}

/** An application with a session in it, at a time that stands still. */
async function begun (t: Test, options: SessionOptions): Promise<Setting> {
  let now = Date.parse('2026-01-31T12:00:00Z')
  t.intercept(Date, 'now', { value: () => now })
  const store = watched()
  const app = await application(t, { driver: store, ...options })
  const visitor = app.browser()
  await visitor.visit(session => { session.put('a', 1) })
  store.calls.length = 0
  return { ...app, store, visitor, pass: milliseconds => { now += milliseconds } }
}

t.test('idle timeout', async t => {
  await t.test('a session that is not used ends', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 30 })
    pass(30 * MINUTE)
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('a session ends not before that', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 30 })
    pass(30 * MINUTE - 1)
    t.same(await visitor.visit(session => session.all()), { a: 1 })
  })

  await t.test('a session that is used goes on', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 30 })
    for (let visit = 0; visit < 10; visit++) {
      pass(20 * MINUTE)
      t.same(await visitor.visit(session => session.all()), { a: 1 })
    }
  })

  await t.test('reading alone is use enough, and sends the cookie again', async t => {
    const { visitor, pass, store } = await begun(t, { lifetime: 30 })
    pass(20 * MINUTE)
    await visitor.visit(session => session.get('a'))
    t.same(store.calls, ['read', 'touch', 'read'])
    t.match(visitor.setCookie, [/Max-Age=1800/])
  })

  await t.test('reading in a request that is read-only is not', async t => {
    const { visitor, pass, store } = await begun(t, { lifetime: 30 })
    pass(20 * MINUTE)
    await visitor.visit(session => session.get('a'), { readonly: true })
    t.same(store.calls, ['read'])
  })

  await t.test('a change moves the expiry with its own write', async t => {
    const { visitor, pass, store } = await begun(t, { lifetime: 30 })
    pass(20 * MINUTE)
    await visitor.visit(session => { session.put('b', 2) })
    t.same(store.calls, ['read', 'compareAndSet'])
    t.match(visitor.setCookie, [/Max-Age=1800/])
    pass(29 * MINUTE)
    t.same(await visitor.visit(session => session.all()), { a: 1, b: 2 })
  })

  await t.test('a change without effect moves the expiry, too', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 30 })
    pass(20 * MINUTE)
    await visitor.visit(session => { session.put('a', 1) })
    pass(29 * MINUTE)
    t.same(await visitor.visit(session => session.all()), { a: 1 })
  })

  await t.test('a request that ends after the session has expired does not bring it back', async t => {
    const { visitor, pass, warnings } = await begun(t, { lifetime: 30 })
    await visitor.visit(session => {
      session.put('late', true)
      pass(30 * MINUTE)
    })
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['late'] }])
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('a request that only reads and ends after the session has expired does not bring it back either', async t => {
    const { visitor, pass, warnings } = await begun(t, { lifetime: 30 })
    await visitor.visit(session => {
      session.get('a')
      pass(30 * MINUTE)
    })
    t.same(warnings, [])
    t.same(visitor.setCookie, [])
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('a lifetime that was made shorter holds for what was stored before, from its next change on', async t => {
    const { visitor, pass, store } = await begun(t, { lifetime: 30 })
    const { browser } = await application(t, { driver: store, lifetime: 5 })
    const again = browser(visitor.cookie)
    await again.visit(session => { session.put('b', 2) })
    pass(5 * MINUTE)
    t.same(await again.visit(session => session.all()), {})
  })
})

t.test('renewal costs a write now and then only', async t => {
  await t.test('not within a minute', async t => {
    const { visitor, pass, store } = await begun(t, { lifetime: 120 })
    pass(MINUTE - 1)
    await visitor.visit(session => session.get('a'))
    t.same(store.calls, ['read'])
    t.same(visitor.setCookie, [])
    pass(1)
    await visitor.visit(session => session.get('a'))
    t.same(store.calls, ['read', 'read', 'touch', 'read'])
  })

  await t.test('and with short lifetimes after a twentieth of them', async t => {
    const { visitor, pass, store } = await begun(t, { lifetime: 10 })
    pass(MINUTE / 2 - 1)
    await visitor.visit(session => session.get('a'))
    t.same(store.calls, ['read'])
    pass(1)
    await visitor.visit(session => session.get('a'))
    t.same(store.calls, ['read', 'read', 'touch', 'read'])
  })

  await t.test('a change in between leaves the expiry as it is', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 120 })
    const before = await visitor.visit(({ expiresAt }) => expiresAt)
    pass(MINUTE - 1)
    await visitor.visit(session => { session.put('b', 2) })
    t.same(visitor.setCookie, [])
    t.same(await visitor.visit(({ expiresAt }) => expiresAt), before)
  })

  await t.test('the new expiry is seen within the request after save', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 120 })
    pass(10 * MINUTE)
    t.ok(await visitor.visit(async session => {
      const before = session.expiresAt?.getTime() ?? 0
      await session.save()
      return (session.expiresAt?.getTime() ?? 0) - before === 10 * MINUTE
    }))
  })
})

t.test('absolute timeout', async t => {
  await t.test('ends a session whatever its use', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 30, absoluteLifetime: 60 })
    for (let visit = 0; visit < 3; visit++) {
      pass(19 * MINUTE)
      await visitor.visit(session => session.increment('visits'))
    }
    pass(3 * MINUTE - 1)
    t.match(await visitor.visit(session => session.all()), { visits: 3 })
    pass(1)
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('counts from the beginning also after a new id', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 60, absoluteLifetime: 60 })
    pass(59 * MINUTE)
    await visitor.visit(session => { session.regenerate() })
    t.match(await visitor.visit(session => session.all()), { a: 1 })
    pass(MINUTE)
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('holds for sessions that are older than its being set', async t => {
    const { visitor, pass, store } = await begun(t, { lifetime: 120 })
    pass(10 * MINUTE)
    const { browser } = await application(t, { driver: store, lifetime: 120, absoluteLifetime: 10 })
    t.same(await browser(visitor.cookie).visit(session => session.all()), {})
  })

  await t.test('shortens the cookie to what is left', async t => {
    const { visitor, pass } = await begun(t, { lifetime: 30, absoluteLifetime: 60 })
    pass(29 * MINUTE)
    await visitor.visit(session => session.get('a'))
    pass(16 * MINUTE)
    await visitor.visit(session => session.get('a'))
    t.match(visitor.setCookie, [/Max-Age=900/])
  })
})
