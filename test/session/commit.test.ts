/** When and how a request's changes are written, and what happens when that does not go as hoped. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { MemoryStore, type Session, type StoredRecord } from '../../src/index.ts'
import { masked } from '../../src/session/token.ts'
import { application, type Application, type Browser, browserWith, living, once, stored, type Warning, watched, type WatchedStore } from './helpers.ts'

/** A store that is watched and a browser whose session is in it, with the calls that led there forgotten. */
async function begun (t: Test, options = {}): Promise<Application & { store: WatchedStore, visitor: Browser }> {
  const store = watched()
  const app = await application(t, { driver: store, ...options })
  const visitor = app.browser()
  await visitor.visit(session => { session.put({ begun: true, user: { name: 'Ada' } }) })
  store.calls.length = 0
  return { ...app, store, visitor }
}

function fail (): never {
  throw new Error('the store is away')
}

t.test('a request that', async t => {
  const idle: Record<string, Parameters<Browser['visit']>[0]> = {
    'only reads': session => session.get('user.name'),
    'reads objects': session => session.all(),
    'puts what is there': session => { session.put('user', { name: 'Ada' }) },
    'forgets what is not there': session => { session.forget(['missing', 'user.missing']) },
    'puts and forgets again': session => {
      session.put('a', 1)
      session.forget('a')
    },
    'increments by nothing what is there': session => {
      session.put('count', 1)
      session.increment('count', -1)
      session.forget('count')
    },
    'remembers what is there': session => session.remember('user', () => null),
    'sets something for itself only': session => { session.now('a', 1) }
  }
  for (const [what, use] of Object.entries(idle)) {
    await t.test(`${what} reads once and writes nothing`, async t => {
      const { store, visitor } = await begun(t)
      await visitor.visit(use)
      t.same(store.calls, ['read'])
      t.same(visitor.setCookie, [])
    })
  }

  await t.test('does not use its session does not read it', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(() => {})
    t.same(store.calls, [])
  })

  await t.test('changes its session writes once', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(session => {
      session.put('a', 1)
      session.increment('b')
      session.flash('c')
    })
    t.same(store.calls, ['read', 'compareAndSet'])
  })

  await t.test('changes its session without any other effect sets no cookie', async t => {
    const { visitor } = await begun(t)
    await visitor.visit(session => { session.put('a', 1) })
    t.same(visitor.setCookie, [])
  })

  await t.test('puts into a new session and takes it out again stores nothing', async t => {
    const store = watched()
    const visitor = (await application(t, { driver: store })).browser()
    await visitor.visit(session => {
      session.put('a', 1)
      session.pull('a')
    })
    t.same(store.calls, [])
    t.equal(visitor.cookie, undefined)
  })

  await t.test('throws is committed all the same', async t => {
    const { visitor } = await begun(t)
    await t.rejects(visitor.visit(session => {
      session.flash('error', 'what went wrong')
      throw new Error('handled')
    }), { message: 'handled' })
    t.match(await stored(visitor), { error: 'what went wrong' })
  })
})

t.test('a conflict', async t => {
  await t.test('is resolved by reading again, as often as it takes', async t => {
    const { store, visitor, browser } = await begun(t)
    const tab = browser(visitor.cookie)
    let conflicts = 5
    let isInside = false
    store.before = async method => {
      if (method !== 'compareAndSet' || isInside || conflicts === 0) return
      isInside = true
      conflicts--
      await tab.visit(session => session.increment('tab'))
      isInside = false
    }
    await visitor.visit(session => session.increment('visitor'))
    t.same(await stored(visitor), { begun: true, user: { name: 'Ada' }, tab: 5, visitor: 1 })
  })

  await t.test('that leaves nothing to change is over without another write', async t => {
    const { store, visitor, browser } = await begun(t)
    store.before = once('compareAndSet', async () => { await browser(visitor.cookie).visit(session => { session.put('a', 1) }) })
    await visitor.visit(session => { session.put('a', 1) })
    t.same(store.calls, ['read', 'compareAndSet', 'read', 'compareAndSet', 'read'])
  })

  await t.test('with what cannot be read any more drops the changes, with a warning', async t => {
    const { store, visitor, warnings } = await begun(t)
    store.before = once('compareAndSet', async () => { await damage(store) })
    await visitor.visit(session => { session.put('a', 1) })
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED' }, { code: 'AMBIENT_SESSION_DROPPED', keys: ['a'] }])
  })
})

t.test('a conflict with a commit whose session has ended by the time it is read again drops the changes', async t => {
  const { store, visitor, browser, warnings } = await begun(t)
  const tab = browser(visitor.cookie)
  store.before = once('compareAndSet', async () => {
    await tab.visit(session => { session.put('a', 'tab') })
    store.after = once('compareAndSet', async () => { await tab.visit(session => { session.invalidate() }) })
  })
  await visitor.visit(session => { session.put('a', 'visitor') })
  t.same(await living(store), [])
  t.match(warnings, [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['a'] }])
})

t.test('a new id whose copy is ended between two attempts drops the changes, and blames no store', async t => {
  const { store, visitor, browser, warnings } = await begun(t)
  const tab = browser(visitor.cookie)
  const before = new Set(store.keys)
  store.after = once('compareAndSet', async () => {
    await tab.visit(session => { session.put('tab', 1) })
    for (const key of store.keys) if (!before.has(key)) await store.destroy(key)
  })
  await visitor.visit(session => {
    session.regenerate()
    session.put('late', true)
  })
  t.match(warnings, [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['(csrf token)', 'late'] }])
  t.match(await stored(tab), { begun: true, tab: 1 })
})

/** Puts something unreadable in the place of the only session there is, as another process would. */
async function damage (store: WatchedStore): Promise<void> {
  const [key] = store.keys
  const [record] = await living(store)
  if (key === undefined || record === undefined) throw new Error('there is no session')
  await store.compareAndSet(key, { ...record, payload: '"not a session"' }, record.version)
}

t.test('maxBytes', async t => {
  await t.test('a session beyond it fails the request, and what is stored stays as it is', async t => {
    const { visitor } = await begun(t, { maxBytes: 200 })
    await t.rejects(visitor.visit(session => { session.put('large', 'x'.repeat(200)) }), { message: /^500: .*ERR_SESSION_TOO_LARGE/ })
    t.same(await stored(visitor), { begun: true, user: { name: 'Ada' } })
  })

  await t.test('counts bytes, not characters', async t => {
    const text = JSON.stringify({ data: { text: 'ü'.repeat(10) } })
    const visitor = (await application(t, { maxBytes: Buffer.byteLength(text) })).browser()
    await visitor.visit(session => { session.put('text', 'ü'.repeat(10)) })
    await visitor.visit(async session => {
      session.put('text', 'ü'.repeat(11))
      await t.rejects(session.save(), { code: 'ERR_SESSION_TOO_LARGE', bytes: Buffer.byteLength(text) + 2, maxBytes: Buffer.byteLength(text) })
      await session.reload()
      t.equal(session.get('text'), 'ü'.repeat(10))
    })
  })

  await t.test('the rest can be saved after what is too large has been taken out', async t => {
    const { visitor } = await begun(t, { maxBytes: 200 })
    await visitor.visit(async session => {
      session.increment('count')
      session.put('large', 'x'.repeat(200))
      await t.rejects(session.save(), { code: 'ERR_SESSION_TOO_LARGE' })
      session.forget('large')
      await session.save()
    })
    t.same(await stored(visitor), { begun: true, user: { name: 'Ada' }, count: 1 })
  })
})

t.test('a store that fails', async t => {
  await t.test('fails the request', async t => {
    const { store, visitor } = await begun(t)
    store.before = fail
    await t.rejects(visitor.visit(session => { session.put('a', 1) }), { message: /^500: .*the store is away/ })
  })

  await t.test('loses nothing of what is saved again with more', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(session => { session.put({ a: 1, b: 1, c: 1 }) })
    await visitor.visit(async session => {
      session.put('a', 2)
      store.before = once('compareAndSet', fail)
      await t.rejects(session.save())
      session.put('b', 2)
      await session.save()
    })
    // By another process, which remembers nothing of it.
    const elsewhere = (await application(t, { driver: store })).browser(visitor.cookie)
    t.match(await stored(elsewhere), { a: 2, b: 2, c: 1 })
  })

  await t.test('is told with the names of what was not saved', async t => {
    const { store, visitor, warnings } = await begun(t)
    await visitor.visit(session => { session.flash('status', 'saved') })
    store.before = fail
    await t.rejects(visitor.visit(session => { session.regenerate() }))
    const unsaved = warnings.filter(({ code }) => code === 'AMBIENT_SESSION_UNSAVED')
    t.match(unsaved, [{ keys: ['(csrf token)', '(flash data)', '(session id)'] }])
  })

  await t.test('leaves changes uncommitted, and a second save stores them exactly once', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(session => { session.flash('flashed', 'before') })
    await visitor.visit(async session => {
      session.increment('count')
      session.push('list', 1)
      ;(session.get('user') as { name: string }).name = 'Grace'
      store.before = fail
      await t.rejects(session.save(), { message: 'the store is away' })
      await t.rejects(session.save(), { message: 'the store is away' })
      store.before = () => {}
      session.increment('count')
      await session.save()
    })
    t.same(await stored(visitor), { begun: true, user: { name: 'Grace' }, count: 2, list: [1] })
  })

  await t.test('is asked once more at the end of the request', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(async session => {
      session.increment('count')
      store.before = once('compareAndSet', fail)
      await t.rejects(session.save(), { message: 'the store is away' })
    })
    t.match(await stored(visitor), { count: 1 })
  })

  await t.test('leaves a new session new until it is stored', async t => {
    const store = watched()
    const visitor = (await application(t, { driver: store })).browser()
    await visitor.visit(async session => {
      session.increment('count')
      store.before = once('compareAndSet', fail)
      await t.rejects(session.save(), { message: 'the store is away' })
      t.equal(session.isNew, true)
    })
    t.same(await stored(visitor), { count: 1 })
  })

  await t.test('after it has written a new session does not stand in the way of the second save', async t => {
    const store = watched()
    const visitor = (await application(t, { driver: store })).browser()
    await visitor.visit(async session => {
      session.increment('count')
      store.after = once('compareAndSet', fail)
      await t.rejects(session.save(), { message: 'the store is away' })
    })
    t.same(await stored(visitor), { count: 1 })
    t.equal((await living(store)).length, 1)
  })

  for (const method of ['compareAndSet', 'destroy'] as const) {
    await t.test(`at ${method} leaves a session that was to move where it is, and a second save moves it`, async t => {
      const { store, visitor, browser } = await begun(t)
      const before = visitor.cookie
      await visitor.visit(async session => {
        session.regenerate()
        session.increment('count')
        store.before = once(method, fail)
        await t.rejects(session.save(), { message: 'the store is away' })
        t.same(await stored(browser(before)), { begun: true, user: { name: 'Ada' } })
        await session.save()
      })
      t.not(visitor.cookie, before)
      t.same(await stored(visitor), { begun: true, user: { name: 'Ada' }, count: 1 })
      t.equal((await living(store)).length, 1)
    })
  }

  await t.test('leaves a session that was to end alive, and a second save ends it', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(async session => {
      session.invalidate()
      session.put('after', true)
      store.before = once('destroy', fail)
      await t.rejects(session.save(), { message: 'the store is away' })
      await session.save()
    })
    t.same(await stored(visitor), { after: true })
    t.equal((await living(store)).length, 1)
  })

  await t.test('between the end of a session and the beginning of the next leaves the beginning to the second save', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(async session => {
      session.invalidate()
      session.increment('count')
      store.before = once('compareAndSet', fail)
      await t.rejects(session.save(), { message: 'the store is away' })
      await session.save()
    })
    t.same(await stored(visitor), { count: 1 })
  })

  for (const answer of ['conflict', 'gone'] as const) {
    await t.test(`by answering '${answer}' to the creation of a session is at fault`, async t => {
      const inner = new MemoryStore()
      const driver = Object.assign(watched(inner), { compareAndSet: () => answer })
      const visitor = (await application(t, { driver })).browser()
      await t.rejects(visitor.visit(session => { session.put('a', 1) }), { message: /^503: .*ERR_SESSION_STORE.*creation/ })
    })
  }

  await t.test("by answering 'conflict' for ever is at fault, and keeps no request for ever", async t => {
    const driver = watched(new MemoryStore())
    const visitor = (await application(t, { driver })).browser()
    await visitor.visit(session => { session.put('a', 1) })
    driver.compareAndSet = () => 'conflict'
    await t.rejects(visitor.visit(session => { session.put('a', 2) }), { message: /^503: .*ERR_SESSION_STORE.*'conflict' 1000 times in a row/ })
  })
})

t.test('moving to a new id', async t => {
  await t.test('writes the new record before it ends the old one', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(session => { session.regenerate() })
    t.same(store.calls, ['read', 'compareAndSet', 'destroy'])
  })

  await t.test('keeps what another request commits in between', async t => {
    const { store, visitor, browser } = await begun(t)
    const tab = browser(visitor.cookie)
    store.before = once('destroy', async () => { await tab.visit(session => { session.put('meanwhile', true) }) })
    await visitor.visit(session => {
      session.regenerate()
      session.increment('count')
    })
    t.same(await stored(visitor), { begun: true, user: { name: 'Ada' }, meanwhile: true, count: 1 })
    t.equal((await living(store)).length, 1)
  })

  await t.test('of a session that another request ends in between leaves nothing behind', async t => {
    const { store, visitor, browser, warnings } = await begun(t)
    const tab = browser(visitor.cookie)
    store.before = once('destroy', async () => { await tab.visit(session => { session.invalidate() }) })
    await visitor.visit(session => {
      session.migrate()
      session.put('a', 1)
    })
    t.same(await living(store), [])
    t.same(visitor.setCookie, [])
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['a'] }])
  })

  await t.test('of a session that another request moves in between leaves that one\'s', async t => {
    const { store, visitor, browser } = await begun(t)
    const tab = browser(visitor.cookie)
    store.before = once('destroy', async () => { await tab.visit(session => { session.migrate() }) })
    await visitor.visit(session => { session.migrate() })
    t.same(visitor.setCookie, [])
    t.same(await stored(tab), { begun: true, user: { name: 'Ada' } })
    t.equal((await living(store)).length, 1)
  })

  await t.test('of a session that cannot be read any more by then leaves nothing behind', async t => {
    const { store, visitor, warnings } = await begun(t)
    store.before = once('destroy', async () => { await damage(store) })
    await visitor.visit(session => {
      session.migrate()
      session.put('a', 1)
    })
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED' }, { code: 'AMBIENT_SESSION_DROPPED' }])
    t.match(await living(store), [{ payload: '"not a session"' }])
  })

  await t.test('twice in one request ends both old ids', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(async session => {
      session.regenerate()
      await session.save()
      session.regenerate()
    })
    t.same(await stored(visitor), { begun: true, user: { name: 'Ada' } })
    t.equal((await living(store)).length, 1)
  })
})

t.test('a session can be ended after the response has begun, for that the browser needs not be told', async t => {
  const store = watched()
  const { app, browser } = await application(t, { driver: store })
  app.get('/stream', async (request, reply) => {
    reply.hijack()
    reply.raw.writeHead(200)
    request.session().invalidate()
    await request.session().save()
    reply.raw.end('ended')
  })
  const visitor = browser()
  await visitor.visit(session => { session.put('a', 1) })
  const { body } = await app.inject({ url: '/stream', cookies: { ambient_session: visitor.cookie ?? '' } })
  t.equal(body, 'ended')
  t.same(await living(store), [])
})

t.test('what is done after the response', async t => {
  /** What is warned of after a change to the session of a request that is over. */
  async function warningsAfter (t: Test, change: (session: Session) => unknown): Promise<Warning[]> {
    const { visitor, warnings, store } = await begun(t)
    const session = await visitor.visit(session => {
      session.get('begun')
      return session
    })
    await nextTurn()
    await change(session)
    await nextTurn()
    await nextTurn()
    t.match(await living(store), [{ payload: /"begun":true/ }])
    return warnings
  }

  await t.test('is told, once and with its names, when it is not saved', async t => {
    t.match(await warningsAfter(t, session => {
      session.put('a', 1)
      session.regenerate()
    }), [{ code: 'AMBIENT_SESSION_UNSAVED', keys: ['a', '(csrf token)', '(session id)'] }])
  })

  await t.test('is not told when it is saved', async t => {
    t.same(await warningsAfter(t, async session => {
      session.put('a', 1)
      await session.save()
    }), [])
  })
})

t.test('what is done while a commit is under way', async t => {
  await t.test('is stored by the next one', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(async session => {
      store.before = once('compareAndSet', () => { session.put('b', 2) })
      session.put('a', 1)
      await session.save()
    })
    t.same(await stored(visitor), { begun: true, user: { name: 'Ada' }, a: 1, b: 2 })
  })

  await t.test('is stored in the order it was done, however many saves run at once', async t => {
    const { visitor } = await begun(t)
    await visitor.visit(async session => {
      await Promise.all([1, 2, 3].map(async n => {
        session.push('list', n)
        await session.save()
      }))
    })
    t.match(await stored(visitor), { list: [1, 2, 3] })
  })

  for (const origin of ['a new', 'a stored'] as const) {
    const begin = async (t: Test): Promise<{ store: WatchedStore, visitor: Browser }> => {
      if (origin === 'a stored') return await begun(t)
      const store = watched()
      return { store, visitor: (await application(t, { driver: store })).browser() }
    }

    await t.test(`moves ${origin} session, if it is a new id`, async t => {
      const { store, visitor } = await begin(t)
      const id = await visitor.visit(async session => {
        store.before = once('compareAndSet', () => { session.migrate() })
        session.put('a', 1)
        await session.save()
        return session.id
      })
      t.equal(visitor.cookie, id)
      t.match(await stored(visitor), { a: 1 })
      t.equal((await living(store)).length, 1)
    })

    await t.test(`ends ${origin} session, if it is that`, async t => {
      const { store, visitor } = await begin(t)
      await visitor.visit(async session => {
        store.before = once('compareAndSet', () => { session.invalidate() })
        session.put('a', 1)
        await session.save()
      })
      t.equal(visitor.cookie, undefined)
      t.same(await living(store), [])
    })
  }

  await t.test('moves a session again that is just moving', async t => {
    const { store, visitor } = await begun(t)
    const id = await visitor.visit(async session => {
      store.before = once('compareAndSet', () => { session.migrate() })
      session.migrate()
      await session.save()
      return session.id
    })
    t.equal(visitor.cookie, id)
    t.match(await stored(visitor), { begun: true })
    t.equal((await living(store)).length, 1)
  })
})

t.test('a late request, whose session was ended while it was under way,', async t => {
  const endings: Record<string, Parameters<Browser['visit']>[0]> = {
    invalidated: session => { session.invalidate() },
    regenerated: session => { session.regenerate() }
  }
  for (const [ended, end] of Object.entries(endings)) {
    await t.test(`stores nothing and sets no cookie when it was ${ended}`, async t => {
      const { store, visitor, browser } = await begun(t)
      const late = browser(visitor.cookie)
      await late.visit(async session => {
        session.put('late', true)
        await visitor.visit(end)
      })
      t.same(late.setCookie, [])
      t.notMatch((await living(store)).map(({ payload }) => payload).join('\n'), 'late')
    })
  }

  await t.test('is reported with the names of what it changed, and the key and not the id', async t => {
    const { visitor, browser, warnings } = await begun(t)
    const late = browser(visitor.cookie)
    const { id, key } = await late.visit(async session => {
      session.put('user.name', 'Grace')
      session.increment('count')
      session.flush()
      session.token()
      session.setPreviousUrl('/late')
      session.setLifetime(5)
      session.flashInput({ secret: 'value' })
      const cart = { items: 1 }
      session.put('cart', cart)
      cart.items = 2
      await visitor.visit(other => { other.invalidate() })
      return { id: session.id, key: session.key }
    })
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DROPPED', key, keys: ['user.name', 'count', '(all data)', '(csrf token)', '(previous url)', '(lifetime)', '(old input)', 'cart'] }])
    t.equal(warnings.length, 1)
    t.notMatch(JSON.stringify(warnings), id)
    t.notMatch(JSON.stringify(warnings), 'Grace')
  })

  await t.test('is not reported when it only read', async t => {
    const { visitor, browser, warnings } = await begun(t)
    await visitor.visit(session => { session.flash('status', 'saved') })
    const late = browser(visitor.cookie)
    await late.visit(async session => {
      session.get('status')
      await visitor.visit(other => { other.invalidate() })
    })
    t.same(warnings, [])
  })

  await t.test('is not brought back by invalidating it again', async t => {
    const { store, visitor, browser } = await begun(t)
    const late = browser(visitor.cookie)
    await late.visit(async session => {
      session.invalidate()
      session.put('late', true)
      await visitor.visit(other => { other.invalidate() })
    })
    t.same(late.setCookie, [])
    t.same(await living(store), [])
  })

  await t.test('stays detached after saving', async t => {
    const { store, visitor, browser } = await begun(t)
    const late = browser(visitor.cookie)
    await late.visit(async session => {
      session.put('late', 1)
      await visitor.visit(other => { other.invalidate() })
      await t.rejects(session.save(), { code: 'ERR_SESSION_ENDED', statusCode: 409 })
      t.equal(session.isEnded, true)
      session.put('late', 2)
      session.regenerate()
    })
    t.same(late.setCookie, [])
    t.same(await living(store), [])
  })
})

t.test('a request that comes with the id of a session ended a moment ago', async t => {
  await t.test('gets an empty session, nothing of which is stored', async t => {
    const { store, visitor, browser, warnings } = await begun(t)
    const late = browser(visitor.cookie)
    await visitor.visit(session => { session.regenerate() })
    await late.visit(session => {
      t.same(session.all(), {})
      session.put('late', true)
    })
    t.same(late.setCookie, [])
    t.equal((await living(store)).length, 1)
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DROPPED', keys: ['late'] }])
  })

  await t.test('begins a new session where grace is 0', async t => {
    const { store, visitor, browser } = await begun(t, { grace: 0 })
    const late = browser(visitor.cookie)
    await visitor.visit(session => { session.invalidate() })
    await late.visit(session => { session.put('new', true) })
    t.ok(late.cookie)
    t.equal((await living(store)).length, 1)
  })
})

t.test('a request that is read-only', async t => {
  const changes: Record<string, Parameters<Browser['visit']>[0]> = {
    put: session => { session.put('a', 1) },
    forget: session => { session.forget('begun') },
    flush: session => { session.flush() },
    increment: session => session.increment('a'),
    push: session => { session.push('a', 1) },
    flash: session => { session.flash('a', 1) },
    now: session => { session.now('a', 1) },
    keep: session => { session.keep() },
    regenerate: session => { session.regenerate() },
    invalidate: session => { session.invalidate() },
    'the first token': session => session.token(),
    'a change in place': session => { (session.get('user') as { name: string }).name = 'Grace' }
  }
  for (const [what, change] of Object.entries(changes)) {
    await t.test(`is refused ${what}`, async t => {
      const { store, visitor } = await begun(t)
      await t.rejects(visitor.visit(change, { readonly: true }), what === 'a change in place' ? TypeError : { code: 'ERR_SESSION_READONLY' })
      t.same(await stored(visitor), { begun: true, user: { name: 'Ada' } })
      t.notOk(store.calls.includes('compareAndSet'))
    })
  }

  await t.test('does not keep the same data from being changed by others', async t => {
    const { visitor } = await begun(t)
    await visitor.visit(session => session.all(), { readonly: true })
    await visitor.visit(session => { (session.get('user') as { name: string }).name = 'Grace' })
    t.match(await stored(visitor), { user: { name: 'Grace' } })
  })
})

t.test('what one request does to what it read is not seen by another before it is committed', async t => {
  const { visitor, browser } = await begun(t)
  await visitor.visit(async session => {
    (session.get('user') as { name: string }).name = 'Grace'
    session.put('user.age', 36)
    t.same(await stored(browser(visitor.cookie)), { begun: true, user: { name: 'Ada' } })
  })
})

t.test('a stored session that cannot be read', async t => {
  await t.test('costs the visitor the session, with a warning, and not the request', async t => {
    const { store, visitor, warnings } = await begun(t)
    const before = visitor.cookie
    await damage(store)
    await visitor.visit(session => {
      t.same(session.all(), {})
      session.put('new', true)
    })
    t.not(visitor.cookie, before)
    t.same(await stored(visitor), { new: true })
    t.match(warnings, [{ code: 'AMBIENT_SESSION_DAMAGED', key: [...store.keys][0] }])
  })
})

t.test('the null driver lets applications run and keeps nothing', async t => {
  const visitor = await browserWith(t, { a: 1 }, { driver: 'null' })
  t.same(await stored(visitor), {})
  await visitor.visit(async session => {
    session.put('b', 2)
    await session.save()
    session.put('c', 3)
  })
  t.same(await stored(visitor), {})
})

t.test('what JSON has no word for and was handed out', async t => {
  const kinds: Record<string, { value: () => unknown, change: (value: never) => void, after: unknown }> = {
    'a Date': { value: () => new Date(0), change: (date: Date) => { date.setTime(1) }, after: new Date(1) },
    'a Map': { value: () => new Map([['a', 1]]), change: (map: Map<string, number>) => { map.set('b', 2) }, after: new Map([['a', 1], ['b', 2]]) },
    'a Set': { value: () => new Set(['a']), change: (set: Set<string>) => { set.add('b') }, after: new Set(['a', 'b']) },
    'a Buffer': { value: () => Buffer.from('ada'), change: (buffer: Buffer) => { buffer[0] = 65 }, after: Buffer.from('Ada') },
    'a URL': { value: () => new URL('http://a.example/'), change: (url: URL) => { url.pathname = '/b' }, after: new URL('http://a.example/b') }
  }
  for (const [what, { value, change, after }] of Object.entries(kinds)) {
    await t.test(`${what}: is not written where it is unchanged, and stored where it was changed in place`, async t => {
      const { store, visitor } = await begun(t)
      await visitor.visit(session => { session.put('held', value()) })
      store.calls.length = 0
      await visitor.visit(session => session.get('held'))
      t.same(store.calls, ['read'])
      await visitor.visit(session => { change(session.get('held') as never) })
      t.same(store.calls, ['read', 'read', 'compareAndSet'])
      t.same(await visitor.visit(session => session.get('held')), after)
    })
  }

  await t.test('is refused where it was changed to something that cannot be stored, with its path', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(session => { session.put('held', new Map([['a', 1]])) })
    store.calls.length = 0
    await t.rejects(visitor.visit(session => { (session.get('held') as Map<string, unknown>).set('b', () => {}) }), /500.*held.*function/)
    t.same(store.calls, ['read'])
    t.same(await visitor.visit(session => session.get('held')), new Map([['a', 1]]))
  })
})

t.test('an object that the application puts and goes on changing', async t => {
  interface Cart { items: number, tags?: string[] }
  const uses: Record<string, { use: (session: Session) => unknown, after: unknown }> = {
    'is stored as it was put': { use: session => { session.put('cart', { items: 1 }) }, after: { items: 1 } },
    'is stored as it was changed after it was put': {
      use: session => {
        const cart: Cart = { items: 1 }
        session.put('cart', cart)
        cart.items = 2
      },
      after: { items: 2 }
    },
    'is stored as it was changed back to after a save': {
      use: async session => {
        const cart: Cart = { items: 1 }
        session.put('cart', cart)
        cart.items = 2
        await session.save()
        cart.items = 1
      },
      after: { items: 1 }
    },
    'is stored as it was changed by a path, and is then read again': {
      use: session => {
        const cart: Cart = { items: 1, tags: [] }
        session.put('cart', cart)
        cart.tags?.push('a')
        session.increment('cart.items')
        session.push('cart.tags', 'b')
        ;(session.get('cart') as Cart).tags?.push('c')
      },
      after: { items: 2, tags: ['a', 'b', 'c'] }
    },
    'is stored as it was changed by a path although it is frozen': {
      use: session => {
        session.put('cart', Object.freeze({ items: 1 }))
        session.increment('cart.items')
      },
      after: { items: 2 }
    },
    'is stored with what JSON has no word for, once that is in it': {
      use: session => {
        const cart: Record<string, unknown> = { items: 1 }
        session.put('cart', cart)
        cart['since'] = new Date(0)
      },
      after: { items: 1, since: new Date(0) }
    },
    'is not stored when it was forgotten, and is when it was put again': {
      use: session => {
        const cart: Cart = { items: 1 }
        session.put('cart', cart)
        session.forget('cart')
        cart.items = 3
        session.put('cart', cart)
        cart.items = 4
      },
      after: { items: 4 }
    },
    'is not stored when something else was put in its place': {
      use: session => {
        const cart: Cart = { items: 1 }
        session.put('cart', cart)
        session.put('cart', 'none')
        cart.items = 5
      },
      after: 'none'
    }
  }
  for (const [what, { use, after }] of Object.entries(uses)) {
    await t.test(what, async t => {
      const { visitor } = await begun(t)
      await visitor.visit(use)
      t.same(await visitor.visit(session => session.get('cart')), after)
    })
  }

  await t.test('is refused with all the rest where that is nested too deep as a whole', async t => {
    const { visitor } = await begun(t)
    await t.rejects(visitor.visit(session => {
      const cart = { items: {} }
      session.put('cart', cart)
      cart.items = nested(450)
    }), /500.*nested/)
    t.same(await visitor.visit(session => session.get('cart')), undefined)
  })

  await t.test('is stored as it was changed back to after a save that failed', async t => {
    const { store, visitor } = await begun(t)
    await visitor.visit(session => { session.put('cart', { items: 1 }) })
    await visitor.visit(async session => {
      const cart = session.get('cart') as Cart
      cart.items = 2
      store.before = once('compareAndSet', fail)
      await t.rejects(session.save())
      cart.items = 1
    })
    t.same(await visitor.visit(session => session.get('cart')), { items: 1 })
  })
})

t.test('an object of the application that two visitors are given is not changed by a path', async t => {
  const ways: Record<string, (session: Session, cart: object) => unknown> = {
    put: (session, cart) => { session.put('cart', cart) },
    'put with others': (session, cart) => { session.put({ cart }) },
    replace: (session, cart) => { session.replace({ cart }) },
    remember: (session, cart) => session.remember('cart', () => cart),
    flash: (session, cart) => { session.flash('cart', cart) },
    now: (session, cart) => { session.now('cart', cart) },
    'put below a key': (session, cart) => { session.put('cart.of', cart) },
    push: (session, cart) => { session.push('cart', cart) }
  }
  for (const [way, give] of Object.entries(ways)) {
    await t.test(way, async t => {
      const { browser } = await application(t)
      const EMPTY = { items: [] as string[], note: '' }
      await browser().visit(session => {
        give(session, EMPTY)
        const prefix = way === 'push' ? 'cart.0' : way === 'put below a key' ? 'cart.of' : 'cart'
        session.push(`${prefix}.items`, 'a present')
        session.put(`${prefix}.note`, 'to Bob')
        session.forget(`${prefix}.items.0`)
        session.push(`${prefix}.items`, 'another one')
        t.match(session.get(prefix), { note: 'to Bob', items: ['another one'] })
      })
      t.same(EMPTY, { items: [], note: '' })
    })
  }
})

t.test('a session of more text than is remembered is kept as any other, while it grows and when it has shrunk again', async t => {
  const { visitor } = await begun(t)
  for (const length of [100, 20_000, 30_000, 100, 20_000]) {
    const text = 'x'.repeat(length)
    await visitor.visit(session => { session.put('text', text) })
    t.equal(await visitor.visit(session => session.get('text')), text)
    await visitor.visit(session => session.increment('count'))
  }
  t.equal(await visitor.visit(session => session.get('count')), 5)

  const another = await browserWith(t, { text: 'y'.repeat(20_000) })
  t.same(await stored(another), { text: 'y'.repeat(20_000) }, 'and so is one that is long from the beginning')
})

t.test('a path of a hundred names is a path as any other, and a longer one is refused where it is written', async t => {
  const { visitor } = await begun(t)
  const path = Array.from({ length: 100 }, (_, n) => `n${n}`).join('.')
  await visitor.visit(session => {
    session.put(path, nested(200))
    session.flash(`of.${path.slice(3)}`, nested(200))
    // As a form names its fields: refused before anything is made on the way.
    const longer = [`${path}.more`, 'a.'.repeat(1_000_000)]
    for (const name of longer) {
      const refused = { code: 'ERR_SESSION_VALUE', message: /has more than 100 names between its dots$/ }
      t.throws(() => { session.put(name, 1) }, refused)
      t.throws(() => { session.flash(name, 1) }, refused)
      t.throws(() => { session.push(name, 1) }, refused)
      t.throws(() => session.increment(name), refused)
      session.forget(name)
      t.equal(session.get(name), undefined)
    }
  })
  t.same(await visitor.visit(session => session.get(path)), nested(200))
  await visitor.visit(session => { session.forget(path) })
  t.equal(await visitor.visit(session => session.has(path)), false)
})

/** An object in an object, and so on: so many. */
function nested (depth: number): object {
  let value = {}
  for (let level = 1; level < depth; level++) value = { in: value }
  return value
}

t.test('what is stored is what the session held, for a process that remembers nothing of it', async t => {
  const uses: Record<string, readonly [use: (session: Session) => void, expected: Record<string, unknown>]> = {
    'a key that looks like a tag': [session => { session.put('$x', 1) }, { $x: 1 }],
    'one that is a tag': [session => { session.put('$date', '2026-01-31T12:00:00.000Z') }, { $date: '2026-01-31T12:00:00.000Z' }],
    'one below another key': [session => { session.put('o.$x', 1) }, { o: { $x: 1 } }],
    'one that is flashed': [session => { session.flash('$m', 'hi') }, { $m: 'hi' }]
  }
  for (const [what, [use, expected]] of Object.entries(uses)) {
    await t.test(what, async t => {
      const { store, browser, warnings } = await application(t, { driver: new MemoryStore() })
      const visitor = browser()
      await visitor.visit(use)
      t.same(await stored((await application(t, { driver: store })).browser(visitor.cookie)), expected)
      t.same(warnings, [])
    })
  }

  await t.test('a key that looks like a tag, when all that was beside it has been forgotten', async t => {
    const { store, browser } = await application(t, { driver: new MemoryStore() })
    const visitor = browser()
    await visitor.visit(session => { session.put('o', { y: 1, $x: 2 }) })
    await visitor.visit(session => { session.forget('o.y') })
    t.same(await stored((await application(t, { driver: store })).browser(visitor.cookie)), { o: { $x: 2 } })
  })

  await t.test('a text that somebody has written by hand', async t => {
    const store = new MemoryStore()
    const { browser } = await application(t, { driver: store })
    const visitor = browser()
    const key = await visitor.visit(session => {
      session.put('a', 1)
      return session.key
    })
    const record = store.read(key) as StoredRecord
    store.compareAndSet(key, { ...record, payload: '{"data":{"a": 1,"n":{"a":1}}}' }, record.version)
    await visitor.visit(session => { session.increment('a') })
    t.same(await stored((await application(t, { driver: store })).browser(visitor.cookie)), { a: 2, n: { a: 1 } })
  })
})

t.test('old input is what it was when it was flashed, whatever is done to the object afterwards', async t => {
  const visitor = (await application(t)).browser()
  await visitor.visit(async session => {
    const body: Record<string, unknown> = { name: 'Ada', city: 'London' }
    session.flashInput(body)
    delete body['city']
    body['when'] = new Date(0)
    await session.save()
    body['name'] = 'Grace'
  })
  t.same(await visitor.visit(session => session.old()), { name: 'Ada', city: 'London' })
})

t.test('old input that was seen and saved away is kept by reflash() all the same', async t => {
  const visitor = (await application(t)).browser()
  await visitor.visit(session => { session.flashInput({ name: 'Ada' }) })
  await visitor.visit(async session => {
    t.same(session.old(), { name: 'Ada' })
    await session.save()
    session.reflash()
  })
  t.same(await visitor.visit(session => session.old()), { name: 'Ada' })
  t.same(await visitor.visit(session => session.old()), {})
})

t.test('a number of no kind is refused by what it is', async t => {
  const visitor = (await application(t)).browser()
  const nothing = Object.create(null) as number
  await t.rejects(visitor.visit(session => session.increment('count', nothing)), { message: /can be changed by a finite number only, not by an object$/ })
})

t.test('a masked token is exactly one: what is as long and has other characters in it is none', async t => {
  const visitor = (await application(t)).browser()
  await visitor.visit(session => {
    const token = masked(session.token())
    t.equal(session.hasToken(token), true)
    // Each of these takes bytes away, an odd number of them or an even one.
    for (const wrong of ['!', '!!', '!!!', '!!!!']) t.equal(session.hasToken(wrong + token.slice(wrong.length)), false)
  })
})

t.test('what is kept and then changed is not changed for a request at the same time', async t => {
  const visitor = (await application(t)).browser()
  await visitor.visit(session => { session.flash('list', ['a']) })
  let isChanged = (): void => {}
  const changed = new Promise<void>(resolve => { isChanged = resolve })
  const reading = visitor.visit(async session => {
    t.ok(session.has('list'))
    await changed
    return session.get('list')
  }, { readonly: true })
  await visitor.visit(async session => {
    await session.save()
    session.keep('list')
    session.push('list', 'b')
    isChanged()
  })
  t.same(await reading, ['a'])
})

t.test('a put that is refused changes nothing', async t => {
  const visitor = (await application(t)).browser()
  await visitor.visit(session => { session.put('count', 5) })
  await visitor.visit(session => {
    t.throws(() => { session.put('count.__proto__', 1) }, { code: 'ERR_SESSION_VALUE' })
    session.put('other', 1)
  })
  t.same(await stored(visitor), { count: 5, other: 1 })
})

t.test('a session that is changed, and then ended, while it gets a new id stays ended', async t => {
  const inner = new MemoryStore()
  const store = watched(inner)
  const visitor = (await application(t, { driver: store })).browser()
  const key = await visitor.visit(session => {
    session.put('a', 1)
    return session.key
  })
  store.before = method => {
    if (method !== 'destroy') return
    const record = inner.read(key) as StoredRecord
    inner.compareAndSet(key, { ...record, payload: '{"data":{"a":2}}' }, record.version)
    store.before = () => {}
  }
  // Before the session is read again.
  store.after = method => {
    if (method !== 'destroy') return
    store.after = () => {}
    inner.destroy(key, new Date(Date.now() + 60_000))
  }
  await visitor.visit(session => { session.regenerate() })
  t.same(inner.list({}, { limit: 9 }).records, [])
})

t.test('a session that is invalidated while it is stored does not get back what could not be stored', async t => {
  const store = watched()
  const visitor = (await application(t, { driver: store })).browser()
  await visitor.visit(session => { session.put('begun', true) })
  store.before = once('compareAndSet', fail)
  await visitor.visit(async session => {
    session.put('user', 'ada')
    const saved = session.save()
    session.invalidate()
    await t.rejects(saved)
    session.put('theme', 'dark')
  })
  t.same(await stored(visitor), { theme: 'dark' })
})

t.test('a session that gets another new id while it is ended keeps what was put after its end', async t => {
  const visitor = (await application(t, { driver: watched() })).browser()
  await visitor.visit(session => { session.put('begun', true) })
  await visitor.visit(async session => {
    session.invalidate()
    session.put('a', 1)
    const saved = session.save()
    session.regenerate()
    await saved
    session.put('b', 2)
  })
  t.same(await stored(visitor), { a: 1, b: 2 })
})

t.test('a new id that could not be stored is stored by the next commit', async t => {
  const store = watched()
  const visitor = (await application(t, { driver: store })).browser()
  const before = await visitor.visit(session => { session.put('a', 1); return session.id })
  store.before = once('compareAndSet', fail)
  await visitor.visit(async session => {
    session.regenerate()
    await t.rejects(session.save())
    t.equal(session.isNew, true)
  })
  t.not(visitor.cookie, before)
  t.match(await stored(visitor), { a: 1 })
  t.equal((await living(store)).length, 1)
})
