/**
 * Concurrent requests: another request on the same session begins and commits while the first is held open. For every
 * kind of change the outcome has what both did.
 */
import t from 'tap'
import type { Session } from '../../src/index.ts'
import { type Mutation, replay } from '../../src/session/mutations.ts'
import { emptyState } from '../../src/session/state.ts'
import type { Encoded } from '../../src/session/values.ts'
import { application, type Browser, stored } from './helpers.ts'

type Use = (session: Session) => unknown

interface Race {
  readonly before?: Use
  /** What the request that is held open does, before the other one begins. */
  readonly first: Use
  /** What the other request does; it ends before the first one does. */
  readonly second: Use
  /** What the session holds after both. */
  readonly after: Record<string, unknown>
}

/** Runs the second request while the first is in its handler, after its changes and before its commit. */
async function race (visitor: Browser, tab: Browser, first: Use, second: Use): Promise<void> {
  await visitor.visit(async session => {
    await first(session)
    await tab.visit(second)
  })
}

async function twoTabs (t: Tap, before: Use): Promise<[Browser, Browser]> {
  const { browser } = await application(t)
  const visitor = browser()
  await visitor.visit(before)
  return [visitor, browser(visitor.cookie)]
}

type Tap = Parameters<typeof application>[0]

const races: Record<string, Race> = {
  'puts of different keys both survive': {
    first: session => { session.put('a', 1) },
    second: session => { session.put('b', 2) },
    after: { begun: true, a: 1, b: 2 }
  },
  'of two puts of one key the last to commit wins': {
    first: session => { session.put('a', 'first') },
    second: session => { session.put('a', 'second') },
    after: { begun: true, a: 'first' }
  },
  'puts below one object both survive': {
    before: session => { session.put('user', { name: 'Ada' }) },
    first: session => { session.put('user.age', 36) },
    second: session => { session.put('user.city', 'London') },
    after: { begun: true, user: { name: 'Ada', age: 36, city: 'London' } }
  },
  'puts of several keys at once both survive': {
    first: session => { session.put({ a: 1, b: 1 }) },
    second: session => { session.put({ b: 2, c: 2 }) },
    after: { begun: true, a: 1, b: 1, c: 2 }
  },
  'a put is passed over where the other request has put something it cannot walk into': {
    before: session => { session.put('list', ['a']) },
    first: session => { session.put('list.0', 'A') },
    second: session => { session.put('list', new Map([[0, 'a']])) },
    after: { begun: true, list: new Map([[0, 'a']]) }
  },
  'increments add up': {
    before: session => { session.put('count', 10) },
    first: session => session.increment('count', 5),
    second: session => session.increment('count', 3),
    after: { begun: true, count: 18 }
  },
  'increments and decrements of a number that was not there add up': {
    first: session => session.increment('stats.count', 5),
    second: session => session.decrement('stats.count'),
    after: { begun: true, stats: { count: 4 } }
  },
  'an increment is passed over where the other request has put a text': {
    before: session => { session.put('count', 10) },
    first: session => {
      session.increment('count')
      session.put('a', 1)
    },
    second: session => { session.put('count', 'many') },
    after: { begun: true, count: 'many', a: 1 }
  },
  'pushes to one list all arrive': {
    before: session => { session.put('list', [0]) },
    first: session => {
      session.push('list', 1)
      session.push('list', 2)
    },
    second: session => { session.push('list', 3) },
    after: { begun: true, list: [0, 3, 1, 2] }
  },
  'a push is passed over where the other request has put something else than a list': {
    before: session => { session.put('list', [0]) },
    first: session => { session.push('list', 1) },
    second: session => { session.put('list', { not: 'a list' }) },
    after: { begun: true, list: { not: 'a list' } }
  },
  'forgetting leaves what the other request has put elsewhere': {
    before: session => { session.put({ a: 1, user: { name: 'Ada', age: 36 } }) },
    first: session => { session.forget(['a', 'user.age']) },
    second: session => { session.put('user.city', 'London') },
    after: { begun: true, user: { name: 'Ada', city: 'London' } }
  },
  'forgetting what the other request has forgotten is no fault': {
    before: session => { session.put({ a: 1, b: 2 }) },
    first: session => { session.forget('a') },
    second: session => { session.forget('a') },
    after: { begun: true, b: 2 }
  },
  'pull removes what the other request has changed meanwhile': {
    before: session => { session.put('a', 1) },
    first: session => session.pull('a'),
    second: session => { session.put('a', 2) },
    after: { begun: true }
  },
  'flush removes what the other request has put': {
    before: session => { session.put('a', 1) },
    first: session => {
      session.flush()
      session.put('c', 3)
    },
    second: session => { session.put('b', 2) },
    after: { c: 3 }
  },
  'a put after the other request\'s flush is there, and nothing else': {
    before: session => { session.put('a', 1) },
    first: session => { session.put('b', 2) },
    second: session => { session.flush() },
    after: { b: 2 }
  },
  'replace replaces what the other request has put': {
    before: session => { session.put('a', 1) },
    first: session => { session.replace({ 'c.d': 3 }) },
    second: session => { session.put('b', 2) },
    after: { 'c.d': 3 }
  },
  'remember leaves what the other request has made': {
    first: session => session.remember('made', () => 'first'),
    second: session => session.remember('made', () => 'second'),
    after: { begun: true, made: 'second' }
  },
  'remember makes what the other request has forgotten': {
    before: session => { session.put({ made: null, a: 1 }) },
    first: session => session.remember('made', () => 'first'),
    second: session => { session.forget('made') },
    after: { begun: true, a: 1, made: 'first' }
  },
  'what now() set is not stored by either': {
    before: session => { session.put('a', 1) },
    first: session => { session.now('a', 'first') },
    second: session => { session.put('b', 2) },
    after: { begun: true, a: 1, b: 2 }
  },
  'a change in place survives beside changes of other keys': {
    before: session => { session.put('cart', { items: ['a'] }) },
    first: session => { (session.get('cart') as { items: string[] }).items.push('b') },
    second: session => { session.put('b', 2) },
    after: { begun: true, cart: { items: ['a', 'b'] }, b: 2 }
  },
  'a change in place is a put of its key: the last to commit wins': {
    before: session => { session.put('cart', { items: ['a'] }) },
    first: session => { (session.get('cart') as { items: string[] }).items.push('b') },
    second: session => { session.put('cart.coupon', 'free') },
    after: { begun: true, cart: { items: ['a', 'b'] } }
  },
  'reading a value does not undo what the other request has done to it': {
    before: session => { session.put('cart', { items: ['a'] }) },
    first: session => {
      session.get('cart')
      session.put('a', 1)
    },
    second: session => { session.push('cart.items', 'b') },
    after: { begun: true, cart: { items: ['a', 'b'] }, a: 1 }
  }
}

t.test('data', async t => {
  for (const [sentence, { before = () => {}, first, second, after }] of Object.entries(races)) {
    await t.test(sentence, async t => {
      const [visitor, tab] = await twoTabs(t, async session => {
        session.put('begun', true)
        await before(session)
      })
      await race(visitor, tab, first, second)
      t.strictSame(await stored(visitor), after)
    })
  }
})

for (const key of ['form', 'toString']) {
  t.test(`what was put in place into the object that flash data had made is stored when the flash data is forgotten, under '${key}'`, async t => {
    const visitor = (await application(t)).browser()
    await visitor.visit(session => { session.flash(`${key}.note`, 'sent') })
    await visitor.visit(session => {
      (session.get(key) as { own?: number }).own = 1
      session.forget(`${key}.note`)
    })
    t.same(await stored(visitor), { [key]: { own: 1 } })
  })
}

t.test('a change in place that was saved is not written again over what another request has put since', async t => {
  const [visitor, tab] = await twoTabs(t, session => { session.put('cart', { items: 1 }) })
  await visitor.visit(async session => {
    (session.get('cart') as { items: number }).items = 2
    await session.save()
    await tab.visit(other => { other.put('cart', { items: 3 }) })
    session.put('a', 1)
  })
  t.same(await stored(visitor), { cart: { items: 3 }, a: 1 })
})

t.test('flash data', async t => {
  const flashed: Use = session => {
    session.put('begun', true)
    session.flash('status', 'old')
    session.flash('other', 'old')
  }
  const read: Use = session => session.get('begun')

  await t.test('ageing forgets the flashes this request saw, and not one flashed since', async t => {
    const [visitor, tab] = await twoTabs(t, flashed)
    await race(visitor, tab, read, session => { session.flash('status', 'new') })
    t.same(await visitor.visit(session => session.all()), { begun: true, status: 'new' })
    t.same(await visitor.visit(session => session.all()), { begun: true })
  })

  await t.test('two requests that saw the same flash age it once', async t => {
    const [visitor, tab] = await twoTabs(t, flashed)
    await race(visitor, tab, session => {
      t.equal(session.get('status'), 'old')
    }, session => {
      t.equal(session.get('status'), 'old')
    })
    t.same(await stored(visitor), { begun: true })
  })

  await t.test('flashes of concurrent requests all live until the next one', async t => {
    const [visitor, tab] = await twoTabs(t, session => { session.put('begun', true) })
    await race(visitor, tab, session => { session.flash('a', 1) }, session => { session.flash('b', 2) })
    t.same(await visitor.visit(session => session.all()), { begun: true, a: 1, b: 2 })
    t.same(await visitor.visit(session => session.all()), { begun: true })
  })

  await t.test('ageing leaves what another request has made lasting', async t => {
    const [visitor, tab] = await twoTabs(t, flashed)
    await race(visitor, tab, read, session => { session.put('status', 'lasting') })
    await visitor.visit(read)
    t.same(await stored(visitor), { begun: true, status: 'lasting' })
  })

  await t.test('what reflash keeps is not there once a concurrent request has seen it as its next', async t => {
    const [visitor, tab] = await twoTabs(t, flashed)
    await race(visitor, tab, session => { session.reflash() }, session => session.get('begun'))
    t.same(await stored(visitor), { begun: true })
  })

  await t.test('reflash leaves alone what another request has flashed', async t => {
    const [visitor, tab] = await twoTabs(t, flashed)
    await race(visitor, tab, session => { session.reflash() }, session => {
      session.reflash()
      session.flash('status', 'new')
    })
    t.same(await visitor.visit(session => session.all()), { begun: true, status: 'new', other: 'old' })
  })

  await t.test('keep keeps the named ones while another request changes data', async t => {
    const [visitor, tab] = await twoTabs(t, flashed)
    await race(visitor, tab, session => { session.keep('status') }, session => {
      session.reflash()
      session.put('a', 1)
    })
    t.same(await visitor.visit(session => session.all()), { begun: true, a: 1, status: 'old' })
    t.same(await visitor.visit(session => session.all()), { begun: true, a: 1 })
  })

  await t.test('keep of what now() set survives another request\'s commit', async t => {
    const [visitor, tab] = await twoTabs(t, session => { session.put('begun', true) })
    await race(visitor, tab, session => {
      session.now('status', 'working')
      session.keep('status')
    }, session => { session.put('a', 1) })
    t.same(await visitor.visit(session => session.all()), { begun: true, a: 1, status: 'working' })
    t.same(await stored(visitor), { begun: true, a: 1 })
  })
})

t.test('old input', async t => {
  const begin: Use = session => { session.put('begun', true) }

  await t.test('flashed by the last of two requests is the one there is', async t => {
    const [visitor, tab] = await twoTabs(t, begin)
    await race(visitor, tab, session => { session.flashInput({ form: 'first' }) }, session => { session.flashInput({ form: 'second' }) })
    t.same(await visitor.visit(session => session.old()), { form: 'first' })
  })

  await t.test('survives another request\'s change of data', async t => {
    const [visitor, tab] = await twoTabs(t, begin)
    await race(visitor, tab, session => { session.flashInput({ form: 'first' }) }, session => { session.put('a', 1) })
    t.same(await visitor.visit(session => [session.old(), session.all()]), [{ form: 'first' }, { begun: true, a: 1 }])
  })

  await t.test('is aged by the request that saw it, and not when it was flashed since', async t => {
    const [visitor, tab] = await twoTabs(t, session => { session.flashInput({ form: 'old' }) })
    await race(visitor, tab, session => session.old(), session => { session.flashInput({ form: 'new' }) })
    t.same(await visitor.visit(session => session.old()), { form: 'new' })
  })
})

t.test('token and previous URL', async t => {
  await t.test('the first token made stays', async t => {
    const [visitor, tab] = await twoTabs(t, session => { session.put('begun', true) })
    let second: string | undefined
    await race(visitor, tab, session => session.token(), session => { second = session.token() })
    t.equal(await visitor.visit(session => session.token()), second)
  })

  await t.test('a regenerated token takes the place of another request\'s', async t => {
    const [visitor, tab] = await twoTabs(t, session => { session.put('begun', true) })
    let first: string | undefined
    await race(visitor, tab, session => {
      session.regenerateToken()
      first = session.token()
    }, session => { session.token() })
    t.equal(await visitor.visit(session => session.token()), first)
  })

  await t.test('the previous URL is the one set by the last to commit', async t => {
    const [visitor, tab] = await twoTabs(t, session => { session.put('begun', true) })
    await race(visitor, tab, session => { session.setPreviousUrl('/first') }, session => {
      session.setPreviousUrl('/second')
      session.put('a', 1)
    })
    t.same(await visitor.visit(session => [session.previousUrl(), session.all()]), ['/first', { begun: true, a: 1 }])
  })
})

t.test('fifty requests at once, on one session', async t => {
  await t.test('keep all fifty keys, and count to fifty', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => { session.put('begun', true) })
    let arrived = 0
    let release = (): void => {}
    const allHere = new Promise<void>(resolve => { release = resolve })
    await Promise.all(Array.from({ length: 50 }, async (_, index) => {
      await browser(visitor.cookie).visit(async session => {
        session.put(`key${index}`, index)
        session.increment('count')
        if (++arrived === 50) release()
        await allHere
      })
    }))
    const data = await stored(visitor)
    t.equal(data['count'], 50)
    t.equal(Object.keys(data).length, 52)
  })
})

t.test('a change that cannot be replayed for another reason than what it finds is not passed over', async t => {
  const damaged: Mutation = { op: 'put', path: 'a', value: '{' as Encoded }
  t.throws(() => { replay(emptyState(), [damaged]) }, SyntaxError)
})

t.test('flash data that is changed in place is gone all the same, once another request has seen it', async t => {
  const [visitor, tab] = await twoTabs(t, session => { session.flash('errors', ['b', 'a']) })
  await race(visitor, tab, session => { (session.get('errors') as string[]).sort() }, session => session.get('errors'))
  t.same(await visitor.visit(session => session.all()), {})
})

t.test('flash data that is changed in place after a save is gone all the same', async t => {
  const [visitor] = await twoTabs(t, session => { session.flash('errors', ['b', 'a']) })
  await visitor.visit(async session => {
    const errors = session.get('errors') as string[]
    await session.save()
    errors.sort()
  })
  t.same(await visitor.visit(session => session.all()), {})
})

t.test('flash data that is changed in place is flash data in its changed form for the request that has flashed it', async t => {
  const [visitor] = await twoTabs(t, session => {
    session.flash('errors', ['b', 'a'])
    ;(session.get('errors') as string[]).sort()
  })
  t.same(await visitor.visit(session => session.get('errors')), ['a', 'b'])
  t.same(await visitor.visit(session => session.all()), {})
})

t.test('reflash() after a save keeps only what is still flash data', async t => {
  const [visitor] = await twoTabs(t, session => {
    session.flash({ status: 'saved', seen: true, other: 1 })
  })
  await visitor.visit(async session => {
    session.put('status', 'for good')
    session.pull('seen')
    await session.save()
    session.reflash()
  })
  t.same(await visitor.visit(session => session.all()), { status: 'for good', other: 1 })
  t.same(await visitor.visit(session => session.all()), { status: 'for good' })
})

t.test('what a request flashes is there for the next one, although it has saved and reloaded it', async t => {
  const [visitor] = await twoTabs(t, session => { session.put('visits', 1) })
  await visitor.visit(async session => {
    session.flash('status', 'hello')
    session.flashInput({ name: 'ada' })
    await session.save()
    await session.reload()
    session.increment('visits')
  })
  t.same(await visitor.visit(session => [session.get('status'), session.old('name')]), ['hello', 'ada'])
  t.same(await visitor.visit(session => [session.get('status'), session.old('name')]), [undefined, undefined])
})

for (const [what, values] of [['a name', { theme: 'dark', constructor: 'x' }], ['a path', { theme: 'dark', 'list.foo': 1 }]] as const) {
  t.test(`of several values nothing is put where ${what} is refused`, async t => {
    const [visitor] = await twoTabs(t, session => { session.put('list', [1]) })
    await visitor.visit(session => {
      t.throws(() => { session.put(values) }, { name: 'SessionValueError' })
      t.throws(() => { session.flash(values) }, { name: 'SessionValueError' })
    })
    t.same(await visitor.visit(session => session.all()), { list: [1] })
  })
}
