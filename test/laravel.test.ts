/**
 * What Laravel's documentation says of sessions, member by member of the Session class, with the edges. A `visit` is one
 * whole request; what one visit leaves, the next one finds.
 */
import t from 'tap'
import { type Session, SessionValueError } from '../src/index.ts'
import { application, browser, browserWith, stored, watched } from './session/helpers.ts'

const aUser = { user: { name: 'Ada', roles: ['admin', 'author'] }, theme: 'dark', nothing: null }

t.test('get', async t => {
  await t.test('retrieves a value', async t => {
    const visitor = await browserWith(t, aUser)
    t.equal(await visitor.visit(session => session.get('theme')), 'dark')
  })

  await t.test('gives undefined for a missing key', async t => {
    const visitor = await browserWith(t, aUser)
    t.equal(await visitor.visit(session => session.get('missing')), undefined)
  })

  await t.test('gives the default for a missing key', async t => {
    const visitor = await browserWith(t, aUser)
    t.equal(await visitor.visit(session => session.get('missing', 'default')), 'default')
  })

  await t.test('calls a closure for the default', async t => {
    const visitor = await browserWith(t, aUser)
    t.equal(await visitor.visit(session => session.get('missing', () => 'made')), 'made')
  })

  await t.test('does not call the closure when the value is there', async t => {
    const visitor = await browserWith(t, aUser)
    t.equal(await visitor.visit(session => session.get('theme', () => { throw new Error('called') })), 'dark')
  })

  await t.test('does not store the default', async t => {
    const visitor = await browserWith(t, aUser)
    await visitor.visit(session => session.get('missing', { made: true }))
    t.same(await stored(visitor), aUser)
  })

  await t.test('gives a stored null, and not the default for it', async t => {
    const visitor = await browserWith(t, aUser)
    t.equal(await visitor.visit(session => session.get('nothing', 'default')), null)
  })

  await t.test('walks into objects along dots', async t => {
    const visitor = await browserWith(t, aUser)
    t.equal(await visitor.visit(session => session.get('user.name')), 'Ada')
  })

  await t.test('walks into lists by index', async t => {
    const visitor = await browserWith(t, aUser)
    t.same(await visitor.visit(session => ['user.roles.1', 'user.roles.2', 'user.roles.01', 'user.roles.length'].map(path => session.get(path))),
      ['author', undefined, undefined, undefined])
  })

  await t.test('gives the default where a path ends early or leads through a text', async t => {
    const visitor = await browserWith(t, aUser)
    t.same(await visitor.visit(session => ['user.age', 'theme.length', 'nothing.at', 'nobody.name', 'user.'].map(path => session.get(path, 'default'))),
      Array.from({ length: 5 }, () => 'default'))
  })

  await t.test('reads an exact key with a dot in it before it walks', async t => {
    const visitor = await browserWith(t, { 'user.name': 'exact', user: { name: 'walked' } })
    t.equal(await visitor.visit(session => session.get('user.name')), 'exact')
  })

  await t.test('refuses a key that is empty or no text', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      t.throws(() => session.get(''), SessionValueError)
      t.throws(() => session.get(7 as unknown as string), { code: 'ERR_SESSION_VALUE', path: '7' })
    })
  })
})

t.test('all', async t => {
  await t.test('gives everything', async t => {
    const visitor = await browserWith(t, aUser)
    t.same(await visitor.visit(session => session.all()), aUser)
  })

  await t.test('gives an empty object when there is nothing', async t => {
    t.same(await (await browser(t)).visit(session => session.all()), {})
  })

  await t.test('gives an object of its own: members added to it are not put', async t => {
    const visitor = await browserWith(t, aUser)
    await visitor.visit(session => { session.all().added = true })
    t.same(await stored(visitor), aUser)
  })
})

t.test('only and except', async t => {
  await t.test('only gives the named keys, as far as they are there', async t => {
    const visitor = await browserWith(t, aUser)
    t.same(await visitor.visit(session => session.only(['theme', 'nothing', 'missing'])), { theme: 'dark', nothing: null })
  })

  await t.test('except gives all others', async t => {
    const visitor = await browserWith(t, aUser)
    t.same(await visitor.visit(session => session.except(['user', 'missing'])), { theme: 'dark', nothing: null })
  })

  await t.test('both take a single key, whole and not as a part of another', async t => {
    const visitor = await browserWith(t, { user: 1, username: 2 })
    t.same(await visitor.visit(session => [session.only('username'), session.except('username')]), [{ username: 2 }, { user: 1 }])
  })

  await t.test('both take several keys as a list and as arguments alike', async t => {
    const visitor = await browserWith(t, { a: 1, b: 2, c: 3 })
    t.same(await visitor.visit(session => [session.only('a', 'b'), session.only(['a'], 'b')]), [{ a: 1, b: 2 }, { a: 1, b: 2 }])
    t.same(await visitor.visit(session => [session.except('a', 'b'), session.except('a', ['b'])]), [{ c: 3 }, { c: 3 }])
  })

  await t.test('both take whole keys with a dot, and refuse a path, which is no top-level key', async t => {
    const visitor = await browserWith(t, { 'a.b': 1, user: { name: 'Ada', secret: 'x' } })
    await visitor.visit(session => {
      t.same([session.only('a.b'), session.except('a.b')], [{ 'a.b': 1 }, { user: { name: 'Ada', secret: 'x' } }])
      t.throws(() => session.only('user.name'), { code: 'ERR_SESSION_VALUE', path: 'user.name', message: /name 'user', or read the path with get\(\)/ })
      t.throws(() => session.except('user', 'user.secret'), { code: 'ERR_SESSION_VALUE', path: 'user.secret' })
    })
  })
})

t.test('has, exists, missing', async t => {
  const ask = async (question: (session: Session) => boolean): Promise<boolean> => (await browserWith(t, aUser)).visit(question)

  await t.test('has is true when the item is present and not null', async t => {
    t.equal(await ask(session => session.has('theme')), true)
    t.equal(await ask(session => session.has('nothing')), false)
    t.equal(await ask(session => session.has('missing')), false)
  })

  await t.test('has is true for false, 0 and the empty text', async t => {
    const visitor = await browserWith(t, { no: false, zero: 0, empty: '' })
    t.equal(await visitor.visit(session => session.has(['no', 'zero', 'empty'])), true)
  })

  await t.test('has asks for every one of several keys', async t => {
    t.equal(await ask(session => session.has(['theme', 'user.name'])), true)
    t.equal(await ask(session => session.has(['theme', 'nothing'])), false)
  })

  await t.test('hasAny asks for at least one', async t => {
    t.equal(await ask(session => session.hasAny(['missing', 'theme'])), true)
    t.equal(await ask(session => session.hasAny(['missing', 'nothing'])), false)
    t.equal(await ask(session => session.hasAny('theme')), true)
  })

  await t.test('exists is true even for null', async t => {
    t.equal(await ask(session => session.exists('nothing')), true)
    t.equal(await ask(session => session.exists(['nothing', 'user.roles.0'])), true)
    t.equal(await ask(session => session.exists(['nothing', 'missing'])), false)
  })

  await t.test('all of them take several keys as arguments, as a list and mixed', async t => {
    t.equal(await ask(session => session.has('theme', 'user.name')), true)
    t.equal(await ask(session => session.has('theme', 'nothing')), false)
    t.equal(await ask(session => session.has(['theme'], 'missing')), false)
    t.equal(await ask(session => session.hasAny('missing', 'theme')), true)
    t.equal(await ask(session => session.exists('nothing', 'theme')), true)
    t.equal(await ask(session => session.exists('nothing', 'missing')), false)
    t.equal(await ask(session => session.missing('theme', 'missing')), true)
    t.equal(await ask(session => session.missing('theme', 'nothing')), false)
  })

  await t.test('without any key they throw, and an empty list names nothing that is not there', async t => {
    const visitor = await browserWith(t, aUser)
    await visitor.visit(session => {
      for (const question of ['has', 'hasAny', 'exists', 'missing', 'only', 'except', 'forget'] as const) {
        t.throws(() => session[question](), { code: 'ERR_SESSION_VALUE' }, question)
        t.throws(() => session[question]('theme', undefined as unknown as string), { code: 'ERR_SESSION_VALUE' }, question)
      }
      t.same([session.has([]), session.hasAny([]), session.exists([]), session.missing([])], [true, false, true, false])
    })
  })

  await t.test('missing is the opposite of exists: not all of them are there', async t => {
    t.equal(await ask(session => session.missing('missing')), true)
    t.equal(await ask(session => session.missing('nothing')), false)
    t.equal(await ask(session => session.missing(['missing', 'user.age'])), true)
    t.equal(await ask(session => session.missing(['missing', 'theme'])), true)
    t.equal(await ask(session => session.missing(['nothing', 'theme'])), false)
  })
})

t.test('put', async t => {
  await t.test('stores a value', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.put('key', 'value') })
    t.same(await stored(visitor), { key: 'value' })
  })

  await t.test('is seen at once', async t => {
    t.equal(await (await browser(t)).visit(session => {
      session.put('key', 'value')
      return session.get('key')
    }), 'value')
  })

  await t.test('stores several values at once', async t => {
    const visitor = await browserWith(t, { b: 0, c: 3 })
    await visitor.visit(session => { session.put({ a: 1, b: 2, 'user.name': 'Ada' }) })
    t.same(await stored(visitor), { a: 1, b: 2, c: 3, user: { name: 'Ada' } })
  })

  await t.test('stores null', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.put('key', null) })
    t.same(await stored(visitor), { key: null })
  })

  await t.test('forgets a key that undefined is put to', async t => {
    const visitor = await browserWith(t, { a: 1, b: 2, c: 3 })
    await visitor.visit(session => {
      session.put('a', undefined)
      session.put({ b: undefined })
      t.equal(session.exists('a'), false)
    })
    t.same(await stored(visitor), { c: 3 })
  })

  await t.test('makes the objects on the way of a dotted path', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.put('a.b.c', 1) })
    t.same(await stored(visitor), { a: { b: { c: 1 } } })
  })

  await t.test('replaces what stands in the way and is no container', async t => {
    const visitor = await browserWith(t, { a: 'text', b: null })
    await visitor.visit(session => {
      session.put('a.b', 1)
      session.put('b.c', 2)
    })
    t.same(await stored(visitor), { a: { b: 1 }, b: { c: 2 } })
  })

  await t.test('sets elements of lists by index, and appends at the end', async t => {
    const visitor = await browserWith(t, { list: ['a', 'b'] })
    await visitor.visit(session => {
      session.put('list.0', 'A')
      session.put('list.2', 'c')
    })
    t.same(await stored(visitor), { list: ['A', 'b', 'c'] })
  })

  await t.test('refuses an index beyond a list\'s end, and a name, which would leave holes or vanish', async t => {
    const visitor = await browserWith(t, { list: ['a'] })
    await visitor.visit(session => {
      for (const path of ['list.2', 'list.-1', 'list.name', 'list.length', 'list.00', 'list.5.name']) {
        t.throws(() => { session.put(path, 1) }, { code: 'ERR_SESSION_VALUE', path }, path)
      }
    })
    t.same(await stored(visitor), { list: ['a'] })
  })

  await t.test('refuses a path that leads into a Map or a Date', async t => {
    const visitor = await browserWith(t, { map: new Map(), date: new Date(0) })
    await visitor.visit(session => {
      t.throws(() => { session.put('map.key', 1) }, { code: 'ERR_SESSION_VALUE', message: 'Map' })
      t.throws(() => { session.put('date.key', 1) }, { code: 'ERR_SESSION_VALUE', message: 'Date' })
    })
  })

  await t.test('sets an exact key with a dot in it where there is one', async t => {
    const visitor = await browserWith(t, { 'user.name': 'exact' })
    await visitor.visit(session => { session.put('user.name', 'changed') })
    t.same(await stored(visitor), { 'user.name': 'changed' })
  })

  await t.test('refuses what is no object of keys and values', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      for (const values of [undefined, null, ['a'], 7, new Map([['a', 1]]), new Date(), Promise.resolve({ a: 1 }), () => ({ a: 1 })]) {
        const given = values as unknown as Record<string, unknown>
        t.throws(() => { session.put(given) }, { code: 'ERR_SESSION_VALUE', message: /has to be a key, or a plain object of keys and values, not / })
        t.throws(() => { session.replace(given) }, { code: 'ERR_SESSION_VALUE' })
        t.throws(() => { session.flash(given) }, { code: 'ERR_SESSION_VALUE' })
      }
      t.throws(() => { session.put({ a: 1, [Symbol('s')]: 2 }) }, { code: 'ERR_SESSION_VALUE', message: /symbol among its keys/ })
      t.same(session.all(), {})
    })
  })

  await t.test('of a promise says what was forgotten', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      t.throws(() => { session.put('user', Promise.resolve({ name: 'Ada' })) }, { code: 'ERR_SESSION_VALUE', path: 'user', message: /is a promise: await it/ })
    })
  })

  await t.test('of several values stores none when one of them is refused', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(session => {
      t.throws(() => { session.put({ a: 2, b: () => {} }) }, { code: 'ERR_SESSION_VALUE', path: 'b' })
      t.throws(() => { session.flash({ a: 2, b: () => {} }) }, { code: 'ERR_SESSION_VALUE', path: 'b' })
    })
    t.same(await stored(visitor), { a: 1 })
  })
})

t.test('replace', async t => {
  await t.test('makes the object the whole of the data', async t => {
    const visitor = await browserWith(t, aUser)
    await visitor.visit(session => { session.replace({ b: 2 }) })
    t.same(await stored(visitor), { b: 2 })
  })

  await t.test('takes keys as they are, dots included', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.replace({ 'a.b': 1 }) })
    t.same(await stored(visitor), { 'a.b': 1 })
  })

  await t.test('leaves out what is undefined', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      session.replace({ a: 1, b: undefined })
      t.equal(session.exists('b'), false)
    })
    t.same(await stored(visitor), { a: 1 })
  })

  await t.test('does not take over the object itself', async t => {
    const visitor = await browser(t)
    const data: Record<string, unknown> = { a: 1 }
    await visitor.visit(session => {
      session.replace(data)
      data['b'] = 2
      session.put('c', 3)
    })
    t.same(await stored(visitor), { a: 1, c: 3 })
    t.same(data, { a: 1, b: 2 })
  })

  await t.test('lets old input age as usual', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flashInput({ name: 'Ada' }) })
    await visitor.visit(session => { session.replace({ a: 1 }) })
    t.equal(await visitor.visit(session => session.hasOld()), false)
  })
})

t.test('pull and remove', async t => {
  await t.test('pull reads a value and removes it', async t => {
    const visitor = await browserWith(t, { a: 1, b: 2 })
    t.equal(await visitor.visit(session => session.pull('a')), 1)
    t.same(await stored(visitor), { b: 2 })
  })

  await t.test('pull gives the default for a missing key', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(session => session.pull('missing', 'default')), 'default')
    t.equal(await visitor.visit(session => session.pull('missing', () => 'made')), 'made')
    t.equal(await visitor.visit(session => session.pull('missing')), undefined)
  })

  await t.test('remove removes a value and returns it', async t => {
    const visitor = await browserWith(t, { user: { name: 'Ada', age: 36 } })
    t.equal(await visitor.visit(session => session.remove('user.name')), 'Ada')
    t.same(await stored(visitor), { user: { age: 36 } })
  })
})

t.test('push', async t => {
  await t.test('appends to a list', async t => {
    const visitor = await browserWith(t, aUser)
    await visitor.visit(session => { session.push('user.roles', 'editor') })
    t.same(await visitor.visit(session => session.get('user.roles')), ['admin', 'author', 'editor'])
  })

  await t.test('appends several values in order, as concurrent pushes do', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => { session.push('list', 1, 2) })
    await visitor.visit(async session => {
      session.push('list', 5, 6)
      await browser(visitor.cookie).visit(other => { other.push('list', 3, 4) })
    })
    t.same(await stored(visitor), { list: [1, 2, 3, 4, 5, 6] })
  })

  await t.test('appends none of several values when one is refused', async t => {
    const visitor = await browserWith(t, { list: [1] })
    await visitor.visit(session => { t.throws(() => { session.push('list', 2, () => {}) }, { code: 'ERR_SESSION_VALUE', path: 'list' }) })
    t.same(await stored(visitor), { list: [1] })
  })

  await t.test('without a value changes nothing', async t => {
    const visitor = await browserWith(t, { list: [1] })
    await visitor.visit(session => {
      session.push('list', ...[])
      session.push('missing')
    })
    t.same(await stored(visitor), { list: [1] })
  })

  await t.test('makes the list when it is missing or null', async t => {
    const visitor = await browserWith(t, { nothing: null })
    await visitor.visit(session => {
      session.push('nothing', 1)
      session.push('user.teams', 'developers')
    })
    t.same(await stored(visitor), { nothing: [1], user: { teams: ['developers'] } })
  })

  await t.test('refuses what is not a list', async t => {
    const visitor = await browserWith(t, aUser)
    await visitor.visit(session => {
      t.throws(() => { session.push('theme', 'x') }, { code: 'ERR_SESSION_VALUE', path: 'theme' })
      t.throws(() => { session.push('user', 'x') }, { code: 'ERR_SESSION_VALUE', path: 'user' })
    })
    t.same(await stored(visitor), aUser)
  })
})

t.test('increment and decrement', async t => {
  await t.test('begin at 0 and step by 1', async t => {
    const visitor = await browser(t)
    t.same(await visitor.visit(session => [session.increment('up'), session.increment('up'), session.decrement('down')]), [1, 2, -1])
    t.same(await stored(visitor), { up: 2, down: -1 })
  })

  await t.test('step by what they are told', async t => {
    const visitor = await browserWith(t, { count: 10 })
    t.same(await visitor.visit(session => [session.increment('count', 5), session.decrement('count', 2.5)]), [15, 12.5])
  })

  await t.test('count null as 0 and walk along dots', async t => {
    const visitor = await browserWith(t, { stats: { visits: null } })
    t.equal(await visitor.visit(session => session.increment('stats.visits')), 1)
    t.same(await stored(visitor), { stats: { visits: 1 } })
  })

  await t.test('refuse what is not a number', async t => {
    const visitor = await browserWith(t, aUser)
    await visitor.visit(session => {
      t.throws(() => session.increment('theme'), { code: 'ERR_SESSION_VALUE', path: 'theme' })
      t.throws(() => session.decrement('user'), { code: 'ERR_SESSION_VALUE', path: 'user' })
    })
    t.same(await stored(visitor), aUser)
  })

  await t.test('refuse a step that is no number', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      t.throws(() => session.increment('count', NaN), SessionValueError)
      t.throws(() => session.increment('count', '2' as unknown as number), SessionValueError)
      t.throws(() => session.decrement('count', '2' as unknown as number), { code: 'ERR_SESSION_VALUE', path: 'count', message: /not by a string$/ })
      t.throws(() => session.decrement('count', null as unknown as number), SessionValueError)
      t.throws(() => session.increment('count', 1n as unknown as number), SessionValueError)
      t.throws(() => session.increment('', 1), SessionValueError)
      t.equal(session.exists('count'), false)
    })
  })
})

t.test('remember', async t => {
  await t.test('makes and stores a value that is missing', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(session => session.remember('key', () => 'made')), 'made')
    t.same(await stored(visitor), { key: 'made' })
  })

  await t.test('makes one in place of null', async t => {
    const visitor = await browserWith(t, { key: null })
    t.equal(await visitor.visit(session => session.remember('key', () => 'made')), 'made')
  })

  await t.test('gives what is there without making anything', async t => {
    const visitor = await browserWith(t, { key: false })
    t.equal(await visitor.visit(session => session.remember('key', () => { throw new Error('called') })), false)
  })

  await t.test('awaits what an async function makes', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(async session => await session.remember('user.name', async () => 'Ada')), 'Ada')
    t.same(await stored(visitor), { user: { name: 'Ada' } })
  })

  await t.test('awaits what a library gives in the place of a promise', async t => {
    const visitor = await browser(t)
    class Query { then (resolve: (name: string) => void): void { resolve('Ada') } }
    t.equal(await visitor.visit(async session => await session.remember('name', () => new Query() as unknown as Promise<string>)), 'Ada')
    t.same(await stored(visitor), { name: 'Ada' })
  })

  await t.test('gives what was put while the function was at work', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(async session => await session.remember('key', async () => {
      session.put('key', 'put meanwhile')
      return 'made'
    })), 'put meanwhile')
    t.same(await stored(visitor), { key: 'put meanwhile' })
  })

  await t.test('refuses what is no function, whether or not the value is there', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(session => {
      for (const key of ['a', 'missing']) {
        t.throws(() => session.remember(key, 'made' as unknown as () => unknown),
          { code: 'ERR_SESSION_VALUE', path: key, message: `remember('${key}', () => …)` })
      }
    })
  })

  await t.test('stores nothing when nothing was made, or making failed', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(async session => {
      t.equal(session.remember('key', () => undefined), undefined)
      t.throws(() => session.remember('key', () => { throw new Error('no') }), { message: 'no' })
      await t.rejects(async () => await session.remember('key', async () => { throw new Error('later') }), { message: 'later' })
    })
    t.same(await stored(visitor), { a: 1 })
  })
})

t.test('forget and flush', async t => {
  await t.test('forget removes one key or several', async t => {
    const visitor = await browserWith(t, { a: 1, b: 2, c: 3, user: { name: 'Ada', age: 36 } })
    await visitor.visit(session => {
      session.forget('a')
      session.forget(['b', 'user.age', 'missing', 'user.missing.too'])
    })
    t.same(await stored(visitor), { c: 3, user: { name: 'Ada' } })
  })

  await t.test('forget takes several keys as arguments, as a list and mixed', async t => {
    const visitor = await browserWith(t, { a: 1, b: 2, c: 3, d: 4, e: 5 })
    await visitor.visit(session => {
      session.forget('a', 'b')
      session.forget(['c'], 'd')
      session.forget([])
    })
    t.same(await stored(visitor), { e: 5 })
  })

  await t.test('forget takes an element out of its list', async t => {
    const visitor = await browserWith(t, { list: ['a', 'b', 'c'] })
    await visitor.visit(session => { session.forget('list.1') })
    t.same(await stored(visitor), { list: ['a', 'c'] })
  })

  await t.test('forget removes an exact key with a dot in it before it walks', async t => {
    const visitor = await browserWith(t, { 'user.name': 'exact', user: { name: 'walked' } })
    await visitor.visit(session => { session.forget('user.name') })
    t.same(await stored(visitor), { user: { name: 'walked' } })
  })

  await t.test('flush, reflash and remove refuse keys that they would ignore', async t => {
    const visitor = await browserWith(t, { a: 1, b: 2 })
    await visitor.visit(session => {
      const loose = session as unknown as Record<'flush' | 'reflash' | 'remove', (...keys: string[]) => void>
      t.throws(() => { loose.flush('a') }, { code: 'ERR_SESSION_VALUE', path: 'a', message: /flush\(\), which removes all data: write forget\(…\)$/ })
      t.throws(() => { loose.remove('a', 'b') }, { code: 'ERR_SESSION_VALUE', path: 'b', message: /write forget\(…\)$/ })
      t.throws(() => { loose.reflash('a') }, { code: 'ERR_SESSION_VALUE', message: /write keep\(…\)$/ })
    })
    t.same(await stored(visitor), { a: 1, b: 2 })
  })

  await t.test('flush removes all data, token, old input and previous URL, and keeps the id', async t => {
    const visitor = await browser(t)
    const before = await visitor.visit(session => {
      session.put('a', 1)
      session.flash('b', 2)
      session.flashInput({ c: 3 })
      session.setPreviousUrl('/previous')
      return { id: session.id, token: session.token() }
    })
    const after = await visitor.visit(session => {
      session.flush()
      return { id: session.id, data: session.all(), old: session.old(), previous: session.previousUrl(), token: session.token() }
    })
    t.match(after, { id: before.id, data: {}, old: {}, previous: undefined })
    t.not(after.token, before.token)
    t.same(await stored(visitor), {})
  })
})

t.test('flash', async t => {
  await t.test('is there now and in the next request, and not after that', async t => {
    const visitor = await browser(t)
    const read = (session: Session): unknown => session.get('status')
    t.equal(await visitor.visit(session => {
      session.flash('status', 'saved')
      return read(session)
    }), 'saved')
    t.equal(await visitor.visit(read), 'saved')
    t.equal(await visitor.visit(read), undefined)
  })

  await t.test('is true when no value is given', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('saved') })
    t.equal(await visitor.visit(session => session.get('saved')), true)
  })

  await t.test('takes several values at once', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash({ status: 'saved', 'errors.email': 'missing', none: undefined }) })
    t.same(await visitor.visit(session => session.all()), { status: 'saved', errors: { email: 'missing' } })
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('needs a key', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      t.throws(() => { session.flash(undefined as unknown as string) }, { code: 'ERR_SESSION_VALUE', message: /not undefined$/ })
      t.throws(() => { session.flash('') }, { code: 'ERR_SESSION_VALUE' })
      t.throws(() => { session.now({ a: 1 } as unknown as string, 1) }, { code: 'ERR_SESSION_VALUE', message: /a key is a text that is not empty, not an object$/ })
    })
  })

  await t.test('counts among the data', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('status', 'saved') })
    t.same(await visitor.visit(session => [session.all(), session.has('status')]), [{ status: 'saved' }, true])
  })

  await t.test('ages even if that key is not read, as long as the session is used', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('status', 'saved') })
    await visitor.visit(session => session.get('something else'))
    t.equal(await visitor.visit(session => session.get('status')), undefined)
  })

  await t.test('walks along dots and leaves what is beside it', async t => {
    const visitor = await browserWith(t, { user: { name: 'Ada' } })
    await visitor.visit(session => { session.flash('user.notice', 'hello') })
    t.equal(await visitor.visit(session => session.get('user.notice')), 'hello')
    t.same(await stored(visitor), { user: { name: 'Ada' } })
  })

  await t.test('again in the next request lasts one more', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('status', 'first') })
    await visitor.visit(session => { session.flash('status', 'second') })
    t.equal(await visitor.visit(session => session.get('status')), 'second')
    t.equal(await visitor.visit(session => session.get('status')), undefined)
  })

  await t.test('becomes lasting data when it is put', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('user', { name: 'Ada' }) })
    await visitor.visit(session => { session.put('user', 'Grace') })
    await visitor.visit(session => session.get('user'))
    t.same(await stored(visitor), { user: 'Grace' })
  })

  await t.test('below a key that is put goes with it', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      session.flash('user.notice', 'hello')
      session.put('user', { notice: 'to stay' })
    })
    await visitor.visit(session => session.get('user'))
    t.same(await stored(visitor), { user: { notice: 'to stay' } })
  })

  await t.test('does not age in a request that reads its session only', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('status', 'saved') })
    t.equal(await visitor.visit(session => session.get('status'), { readonly: true }), 'saved')
    t.equal(await visitor.visit(session => session.get('status')), 'saved')
    t.equal(await visitor.visit(session => session.get('status')), undefined)
  })
})

t.test('an object that flashing made on the way to a value', async t => {
  const flash = (session: Session): void => { session.flash('form.errors.email', 'missing') }

  await t.test('goes with it', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(flash)
    t.equal(await visitor.visit(session => session.has('form.errors')), true)
    t.same(await visitor.visit(session => [session.has('form'), session.all()]), [false, { a: 1 }])
  })

  await t.test('goes with the last of several values, however they come to their end', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(session => { session.flash({ 'errors.email': 'missing', 'errors.name': 'too long' }) })
    await visitor.visit(session => { session.keep('errors.name') })
    t.same(await stored(visitor), { a: 1, errors: { name: 'too long' } })
    await visitor.visit(session => {
      t.equal(session.pull('errors.name'), 'too long')
      t.equal(session.has('errors'), false)
    })
    t.same(await stored(visitor), { a: 1 })
  })

  await t.test('stays when something was put below it', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(flash)
    await visitor.visit(session => { session.put('form.name', 'contact') })
    t.same(await stored(visitor), { a: 1, form: { name: 'contact' } })
    await visitor.visit(session => { session.forget('form.name') })
    t.same(await stored(visitor), { a: 1, form: {} })
  })

  await t.test('stays when another request put something below it meanwhile', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(flash)
    await visitor.visit(async session => {
      session.get('form')
      await browser(visitor.cookie).visit(other => {
        other.reflash()
        other.put('form.errors.name', 'too long')
      })
    })
    t.same(await stored(visitor), { form: { errors: { name: 'too long' } } })
  })

  await t.test('stays when the application had put it, even empty', async t => {
    const visitor = await browserWith(t, { form: {} })
    await visitor.visit(flash)
    await visitor.visit(session => session.all())
    t.same(await stored(visitor), { form: {} })
  })

  await t.test('stays when the application puts it afterwards, even empty', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(session => {
      flash(session)
      session.put('form', {})
    })
    await visitor.visit(session => session.all())
    t.same(await stored(visitor), { a: 1, form: {} })
  })

  await t.test('is no other key that has dots in it', async t => {
    const visitor = await browserWith(t, { 'form.errors': {} })
    await visitor.visit(flash)
    await visitor.visit(session => session.all())
    t.same(await stored(visitor), { 'form.errors': {} })
  })

  await t.test('goes in both of two requests that saw it', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => {
      session.put('a', 1)
      flash(session)
    })
    await visitor.visit(async session => {
      t.equal(session.get('form.errors.email'), 'missing')
      await browser(visitor.cookie).visit(other => { t.equal(other.get('form.errors.email'), 'missing') })
    })
    t.same(await stored(visitor), { a: 1 })
  })
})

t.test('reflash, keep and now', async t => {
  await t.test('reflash keeps all flash data for one more request', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      session.flash('a', 1)
      session.flash('b', 2)
    })
    await visitor.visit(session => { session.reflash() })
    t.same(await visitor.visit(session => session.all()), { a: 1, b: 2 })
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('reflash keeps old input, too', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flashInput({ name: 'Ada' }) })
    await visitor.visit(session => { session.reflash() })
    t.equal(await visitor.visit(session => session.old('name')), 'Ada')
    t.equal(await visitor.visit(session => session.old('name')), undefined)
  })

  await t.test('keep keeps the named flash data only', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      session.flash('a', 1)
      session.flash('b', 2)
      session.flash('c', 3)
    })
    await visitor.visit(session => {
      session.keep('a')
      session.keep(['b', 'missing'])
    })
    t.same(await visitor.visit(session => session.all()), { a: 1, b: 2 })
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('keep takes several names as arguments, as a list and mixed', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash({ a: 1, b: 2, c: 3, d: 4 }) })
    await visitor.visit(session => {
      session.keep('a', 'b')
      session.keep(['c'], 'missing')
      session.keep([])
    })
    t.same(await visitor.visit(session => session.all()), { a: 1, b: 2, c: 3 })
  })

  await t.test('keep of an object keeps what was flashed into it, and no other of a similar name', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash({ 'errors.email': 'missing', 'errors.name.first': 'too long', errors2: 1 }) })
    await visitor.visit(session => { session.keep('errors') })
    t.same(await visitor.visit(session => session.all()), { errors: { email: 'missing', name: { first: 'too long' } } })
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('keep of what is no name throws, and keeps nothing', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('a', 1) })
    await visitor.visit(session => {
      session.has('a')
      t.throws(() => { session.keep('a', undefined as unknown as string) }, { code: 'ERR_SESSION_VALUE' })
    })
    t.same(await visitor.visit(session => session.all()), {})
  })

  await t.test('keep without names keeps all', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flash('a', 1) })
    await visitor.visit(session => { session.keep() })
    t.same(await visitor.visit(session => session.all()), { a: 1 })
  })

  await t.test('keep does not make lasting data a flash', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(session => { session.keep('a') })
    await visitor.visit(session => session.get('a'))
    t.same(await stored(visitor), { a: 1 })
  })

  await t.test('both still work after the request has saved', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      session.flash('a', 1)
      session.flash('b', 2)
      session.flashInput({ c: 3 })
    })
    await visitor.visit(async session => {
      await session.save()
      session.keep('a')
      session.reflash()
    })
    t.same(await visitor.visit(session => [session.all(), session.old()]), [{ a: 1, b: 2 }, { c: 3 }])
    t.same(await visitor.visit(session => [session.all(), session.old()]), [{}, {}])
  })

  await t.test('reflash after saving does not bring back input that was flashed anew', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flashInput({ c: 'first' }) })
    await visitor.visit(async session => {
      await session.save()
      session.flashInput({ c: 'second' })
      session.reflash()
    })
    t.same(await visitor.visit(session => session.old()), { c: 'second' })
  })

  await t.test('now is there in this request only', async t => {
    const visitor = await browserWith(t, { a: 1 })
    t.equal(await visitor.visit(session => {
      session.now('status', 'working')
      return session.get('status')
    }), 'working')
    t.same(await stored(visitor), { a: 1 })
  })

  await t.test('now alone begins no session', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.now('status', 'working') })
    t.equal(visitor.cookie, undefined)
  })

  await t.test('now over a stored value hides it for this request', async t => {
    const visitor = await browserWith(t, { status: { text: 'stored' } })
    t.same(await visitor.visit(session => {
      session.now('status', { text: 'now' })
      session.put('status.text', 'changed')
      session.push('status.list', 1)
      return session.get('status')
    }), { text: 'changed', list: [1] })
    t.same(await stored(visitor), { status: { text: 'stored' } })
  })

  await t.test('put after now is stored', async t => {
    const visitor = await browserWith(t, { a: 1 })
    await visitor.visit(session => {
      session.now('a', 'now')
      session.now('user.name', 'now')
      session.put('a', 2)
      session.put('user.name', 'Ada')
    })
    t.same(await stored(visitor), { a: 2, user: { name: 'Ada' } })
  })

  await t.test('forget after now forgets what was stored, too', async t => {
    const visitor = await browserWith(t, { a: 1, b: 2 })
    await visitor.visit(session => {
      session.now('a', 'now')
      session.forget('a')
    })
    t.same(await stored(visitor), { b: 2 })
  })

  await t.test('keep and reflash carry what now set to the next request', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      session.now('a', 1)
      session.now('b', 2)
      session.keep('a')
    })
    t.same(await visitor.visit(session => session.all()), { a: 1 })
    await visitor.visit(session => {
      session.now('c', 3)
      session.reflash()
    })
    t.same(await visitor.visit(session => session.all()), { c: 3 })
    t.same(await visitor.visit(session => session.all()), {})
  })
})

t.test('old input', async t => {
  const input = { name: 'Ada', address: { city: 'London' }, empty: null }

  await t.test('is there in the next request only', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flashInput(input) })
    t.same(await visitor.visit(session => session.old()), input)
    t.same(await visitor.visit(session => session.old()), {})
  })

  await t.test('is read by field, along dots, with a default', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flashInput(input) })
    t.same(await visitor.visit(session => [
      session.old('name'), session.old('address.city'), session.old('empty', 'default'),
      session.old('missing'), session.old('missing', 'default'), session.old('missing', () => 'made')
    ]), ['Ada', 'London', 'default', undefined, 'default', 'made'])
  })

  await t.test('gives a text where the default is one: what is no text is written out, or the default is given', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flashInput({ age: 36, member: false, empty: null, tags: ['a', 'b'], blank: '' }) })
    await visitor.visit(session => {
      t.same(['age', 'member', 'empty', 'tags', 'blank'].map(field => session.old(field, 'default')), ['36', 'false', 'default', 'default', ''])
      t.same(['age', 'member', 'empty', 'tags', 'blank'].map(field => session.old(field)), [36, false, null, ['a', 'b'], ''])
      t.same(session.old('tags', []), ['a', 'b'])
    })
  })

  await t.test('refuses a field that is no text', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      t.throws(() => session.old(7 as unknown as string), { code: 'ERR_SESSION_VALUE', path: '7' })
      t.throws(() => session.hasOld(Symbol('s') as unknown as string), { code: 'ERR_SESSION_VALUE', path: 'Symbol(s)' })
    })
  })

  await t.test('hasOld returns whether a field, or anything, was flashed', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(session => session.hasOld()), false)
    await visitor.visit(session => { session.flashInput(input) })
    t.same(await visitor.visit(session => [session.hasOld(), session.hasOld('name'), session.hasOld('empty'), session.hasOld('missing')]),
      [true, true, false, false])
    await visitor.visit(session => { session.flashInput(input) })
    t.same(await visitor.visit(session => [session.hasOld('name', 'address.city'), session.hasOld(['name'], 'missing')]), [true, false])
  })

  await t.test('does not mix with the data', async t => {
    const visitor = await browserWith(t, { name: 'Grace' })
    await visitor.visit(session => { session.flashInput(input) })
    t.same(await visitor.visit(session => [session.all(), session.get('name')]), [{ name: 'Grace' }, 'Grace'])
  })

  await t.test('has to be an object', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      for (const body of ['name=Ada', ['Ada'], 7, new FormData(), new URLSearchParams('name=Ada'), new Map(), Buffer.from('name=Ada')]) {
        t.throws(() => { session.flashInput(body) }, { code: 'ERR_SESSION_VALUE', path: 'old input', message: /has to be an object of fields, not an? / })
      }
    })
  })
})

t.test('identity', async t => {
  await t.test('a session is new until it is stored', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(async session => {
      t.equal(session.isNew, true)
      session.put('a', 1)
      t.equal(session.isNew, true)
      await session.save()
      return session.isNew
    }), false)
    t.equal(await visitor.visit(session => session.isNew), false)
  })

  await t.test('the id is the cookie\'s value and the key its SHA-256', async t => {
    const { createHash } = await import('node:crypto')
    const visitor = await browserWith(t, { a: 1 })
    const { id, key, name } = await visitor.visit(session => ({ id: session.id, key: session.key, name: session.name }))
    t.equal(id, visitor.cookie)
    t.equal(key, createHash('sha256').update(id).digest('hex'))
    t.equal(name, 'ambient_session')
  })

  await t.test('a new session has the id that its cookie will hold', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(session => {
      session.put('a', 1)
      return session.id
    }), visitor.cookie)
  })

  await t.test('createdAt and expiresAt are there once the session is stored', async t => {
    const visitor = await browser(t, { lifetime: 10 })
    t.same(await visitor.visit(session => [session.createdAt, session.expiresAt]), [undefined, undefined])
    const begin = Date.now()
    await visitor.visit(session => { session.put('a', 1) })
    const end = Date.now()
    const { createdAt = new Date(NaN), expiresAt = new Date(NaN) } = await visitor.visit(({ createdAt, expiresAt }) => ({ createdAt, expiresAt }))
    t.ok(createdAt.getTime() >= begin && createdAt.getTime() <= end)
    t.equal(expiresAt.getTime() - createdAt.getTime(), 10 * 60_000)
  })
})

t.test('regenerate, migrate and invalidate', async t => {
  await t.test('regenerate gives a new id and token, and keeps the data and the time of creation', async t => {
    const visitor = await browserWith(t, { user: 'Ada' })
    const before = await visitor.visit(session => ({ id: session.id, token: session.token(), createdAt: session.createdAt }))
    const after = await visitor.visit(session => {
      session.regenerate()
      return { id: session.id, token: session.token() }
    })
    t.not(after.id, before.id)
    t.not(after.token, before.token)
    t.equal(visitor.cookie, after.id)
    t.strictSame(await visitor.visit(session => ({ id: session.id, token: session.token(), data: session.all(), createdAt: session.createdAt })),
      { ...after, data: { user: 'Ada' }, createdAt: before.createdAt })
  })

  await t.test('migrate gives a new id and keeps the token', async t => {
    const visitor = await browserWith(t, { user: 'Ada' })
    const before = await visitor.visit(session => ({ id: session.id, token: session.token() }))
    await visitor.visit(session => { session.migrate() })
    const after = await visitor.visit(session => ({ id: session.id, token: session.token(), data: session.all() }))
    t.not(after.id, before.id)
    t.strictSame(after, { ...after, token: before.token, data: { user: 'Ada' } })
  })

  await t.test('invalidate flushes and clears the cookie', async t => {
    const visitor = await browserWith(t, { user: 'Ada' })
    await visitor.visit(session => {
      session.invalidate()
      t.same(session.all(), {})
    })
    t.equal(visitor.cookie, undefined)
  })

  await t.test('a put after invalidate begins another session', async t => {
    const visitor = await browserWith(t, { user: 'Ada' })
    const before = visitor.cookie
    await visitor.visit(session => {
      session.put('lost', true)
      session.invalidate()
      session.put('status', 'signed out')
    })
    t.ok(visitor.cookie)
    t.not(visitor.cookie, before)
    t.same(await stored(visitor), { status: 'signed out' })
  })

  await t.test('regenerate of a session in which nothing was put stores nothing and sets no cookie', async t => {
    const visitor = (await application(t)).browser()
    await visitor.visit(session => { session.regenerate() })
    t.equal(visitor.cookie, undefined)
    t.strictSame(visitor.setCookie, [])
  })

  await t.test('invalidate wins over regenerate in the same request', async t => {
    const visitor = await browserWith(t, { user: 'Ada' })
    await visitor.visit(session => {
      session.invalidate()
      session.migrate()
    })
    t.equal(visitor.cookie, undefined)
  })

  await t.test('the old id is good for nothing any more', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => { session.put('user', 'Ada') })
    const thief = browser(visitor.cookie)
    await visitor.visit(session => { session.regenerate() })
    t.same(await stored(thief), {})
    t.same(await stored(visitor), { user: 'Ada' })
  })

  await t.test('on an empty new session they begin none', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.migrate() })
    await visitor.visit(session => { session.invalidate() })
    t.equal(visitor.cookie, undefined)
  })
})

t.test('token', async t => {
  await t.test('is made at the first call and stays', async t => {
    const visitor = await browser(t)
    const token = await visitor.visit(session => session.token())
    t.match(token, /^[\w-]{40}$/)
    t.equal(await visitor.visit(session => session.token()), token)
  })

  await t.test('regenerateToken makes another and keeps the id', async t => {
    const visitor = await browser(t)
    const before = await visitor.visit(session => ({ token: session.token(), id: session.id }))
    await visitor.visit(session => { session.regenerateToken() })
    const after = await visitor.visit(session => ({ token: session.token(), id: session.id }))
    t.not(after.token, before.token)
    t.equal(after.id, before.id)
  })

  await t.test('hasToken accepts the right token and nothing else', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(session => session.hasToken('anything')), false)
    const token = await visitor.visit(session => session.token())
    t.same(await visitor.visit(session => [token, `${token}x`, token.replace(/^./, '.'), '', undefined, [token]].map(candidate => session.hasToken(candidate))),
      [true, false, false, false, false, false])
  })

  await t.test('does not show among the data', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => session.token())
    t.same(await visitor.visit(session => session.all()), {})
  })
})

t.test('previousUrl', async t => {
  await t.test('is what was set', async t => {
    const visitor = await browser(t)
    t.equal(await visitor.visit(session => session.previousUrl()), undefined)
    await visitor.visit(session => { session.setPreviousUrl('https://example.com/page') })
    t.equal(await visitor.visit(session => session.previousUrl()), 'https://example.com/page')
  })

  await t.test('has to be a text', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      t.throws(() => { session.setPreviousUrl(new URL('https://example.com') as unknown as string) }, SessionValueError)
    })
  })
})

t.test('save and reload', async t => {
  await t.test('save stores at once: another request sees it while this one goes on', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => { session.put('a', 1) })
    await visitor.visit(async session => {
      session.put('a', 2)
      await session.save()
      t.same(await stored(browser(visitor.cookie)), { a: 2 })
    })
  })

  await t.test('a change after save is stored with the commit', async t => {
    const visitor = await browser(t)
    await visitor.visit(async session => {
      session.increment('count')
      await session.save()
      session.increment('count')
    })
    t.same(await stored(visitor), { count: 2 })
  })

  await t.test('reload gives up what was not saved and sees what others have stored', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => { session.put('a', 1) })
    await visitor.visit(async session => {
      session.put('b', 'given up')
      await browser(visitor.cookie).visit(other => { other.put('a', 2) })
      await session.reload()
      t.same(session.all(), { a: 2 })
    })
    t.same(await stored(visitor), { a: 2 })
  })

  await t.test('reload of a session that was never stored leaves an empty one', async t => {
    const visitor = await browser(t)
    await visitor.visit(async session => {
      session.put('a', 1)
      await session.reload()
      t.same(session.all(), {})
    })
    t.equal(visitor.cookie, undefined)
  })

  await t.test('reload gives up a new id that was not saved', async t => {
    const visitor = await browserWith(t, { a: 1 })
    const before = visitor.cookie
    await visitor.visit(async session => {
      session.invalidate()
      await session.reload()
      t.same(session.all(), { a: 1 })
      t.equal(session.id, before)
    })
    t.equal(visitor.cookie, before)
  })

  await t.test('reload does not bring back a session that has ended', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => { session.put('a', 1) })
    const late = browser(visitor.cookie)
    await late.visit(async session => {
      session.get('a')
      await visitor.visit(other => { other.invalidate() })
      await session.reload()
      t.equal(session.isEnded, true)
      session.put('late', true)
    })
    t.same(late.setCookie, [])
  })
})

t.test('a change in place that cannot be stored is refused with the path at which it stands', async t => {
  const { app, browser } = await application(t)
  app.get('/bad', async request => {
    (request.session().get('user') as { tags: unknown[] }).tags.push(() => {})
    return 'never'
  })
  const visitor = browser()
  await visitor.visit(session => { session.put('user', { tags: ['a'] }) })
  const { statusCode, body } = await app.inject({ url: '/bad', cookies: { ambient_session: String(visitor.cookie) } })
  t.equal(statusCode, 500)
  t.match(JSON.parse(body), { code: 'ERR_SESSION_VALUE', message: /^session value 'user\.tags\.1' is a function/ })
  t.strictSame(await visitor.visit(session => session.get('user')), { tags: ['a'] })
})

t.test('changes in place', async t => {
  const changes: Record<string, [before: Record<string, unknown>, change: (session: Session) => void, after: Record<string, unknown>]> = {
    'of an object that was read': [
      { cart: { items: 1 } },
      session => { (session.get('cart') as { items: number }).items = 2 },
      { cart: { items: 2 } }
    ],
    'of an object read along dots': [
      { user: { address: { city: 'London' } } },
      session => { (session.get('user.address') as { city: string }).city = 'Paris' },
      { user: { address: { city: 'Paris' } } }
    ],
    'of a list nested in an object': [
      { cart: { items: ['a'] } },
      session => { (session.get('cart') as { items: string[] }).items.push('b') },
      { cart: { items: ['a', 'b'] } }
    ],
    'of an object nested in a list': [
      { list: [{ n: 1 }] },
      session => { (session.get('list') as [{ n: number }])[0].n = 2 },
      { list: [{ n: 2 }] }
    ],
    'of what all() gave': [
      { cart: { items: 1 } },
      session => { (session.all()['cart'] as { items: number }).items = 2 },
      { cart: { items: 2 } }
    ],
    'of an object that was put before': [
      {},
      session => {
        const cart = { items: 1 }
        session.put('cart', cart)
        cart.items = 2
      },
      { cart: { items: 2 } }
    ],
    'of an object that was put and then counted in': [
      { cart: { items: 7 } },
      session => {
        const cart = { items: 1, first: { sku: 'a' } }
        session.put('cart', cart)
        cart.first.sku = 'b'
        session.increment('cart.items')
        cart.first.sku = 'c'
      },
      { cart: { items: 2, first: { sku: 'b' } } }
    ],
    'of an object that was put, forgotten and put again': [
      {},
      session => {
        const cart = { items: 1 }
        session.put('cart', { items: 5 })
        session.forget('cart')
        session.put('cart', cart)
        cart.items = 2
      },
      { cart: { items: 2 } }
    ],
    'of an object below a path that was put before and read': [
      { shop: { open: true } },
      session => {
        session.put('shop.cart', { items: 1 })
        ;(session.get('shop.cart') as { items: number }).items = 2
      },
      { shop: { open: true, cart: { items: 2 } } }
    ],
    'of an object that was replaced in before': [
      {},
      session => {
        const cart = { items: 1 }
        session.replace({ cart })
        cart.items = 2
      },
      { cart: { items: 2 } }
    ],
    'of an object that was pushed before': [
      {},
      session => {
        const item = { n: 1 }
        session.push('list', item)
        item.n = 2
      },
      { list: [{ n: 2 }] }
    ],
    'of what remember gave': [
      {},
      session => { (session.remember('cart', () => ({ items: 1 })) as { items: number }).items = 2 },
      { cart: { items: 2 } }
    ],
    'of what remember found': [
      { cart: { items: 1 } },
      session => { (session.remember('cart', () => null) as { items: number }).items = 2 },
      { cart: { items: 2 } }
    ],
    'of a Map': [
      { map: new Map([['a', 1]]) },
      session => { (session.get('map') as Map<string, number>).set('b', 2) },
      { map: new Map([['a', 1], ['b', 2]]) }
    ],
    'of a Set': [
      { set: new Set([1]) },
      session => { (session.get('set') as Set<number>).add(2) },
      { set: new Set([1, 2]) }
    ],
    'of a Date': [
      { date: new Date(0) },
      session => { (session.get('date') as Date).setTime(1) },
      { date: new Date(1) }
    ],
    'together with a put to the same key': [
      { cart: { items: 1 } },
      session => {
        (session.get('cart') as { items: number }).items = 2
        session.put('cart.coupon', 'free')
      },
      { cart: { items: 2, coupon: 'free' } }
    ],
    'of a key whose name has a dot in it': [
      { 'user.cart': { items: 1 } },
      session => { (session.get('user.cart') as { items: number }).items = 2 },
      { 'user.cart': { items: 2 } }
    ]
  }
  for (const [what, [before, change, after]] of Object.entries(changes)) {
    await t.test(`${what} are saved`, async t => {
      const visitor = await browserWith(t, before)
      await visitor.visit(change)
      t.strictSame(await stored(visitor), after)
    })
  }

  await t.test('are saved after each save, and once', async t => {
    const store = watched()
    const visitor = await browserWith(t, { cart: { items: 1 } }, { driver: store })
    await visitor.visit(async session => {
      const cart = session.get('cart') as { items: number }
      cart.items = 2
      await session.save()
      cart.items = 3
      await session.save()
      store.calls.length = 0
    })
    t.same(store.calls.filter(method => method === 'compareAndSet'), [])
    t.same(await stored(visitor), { cart: { items: 3 } })
  })

  await t.test('of what was forgotten or flushed afterwards are not', async t => {
    const visitor = await browserWith(t, { a: { n: 1 }, b: { n: 1 } })
    await visitor.visit(session => {
      const a = session.get('a') as { n: number }
      session.forget('a')
      a.n = 2
    })
    t.same(await stored(visitor), { b: { n: 1 } })
    await visitor.visit(session => {
      const b = session.get('b') as { n: number }
      session.flush()
      b.n = 2
    })
    t.same(await stored(visitor), {})
  })

  await t.test('that leave everything equal write nothing', async t => {
    const store = watched()
    const visitor = await browserWith(t, { cart: { items: [1, 2] } }, { driver: store })
    store.calls.length = 0
    await visitor.visit(session => {
      const { items } = session.get('cart') as { items: number[] }
      items.push(3)
      items.pop()
    })
    t.same(store.calls, ['read'])
  })

  await t.test('of a value that cannot be stored fail the commit, name the path and lose nothing else', async t => {
    const visitor = await browserWith(t, { a: { n: 1 }, b: { n: 1 } })
    await visitor.visit(async session => {
      const a = session.get('a') as { n: number }
      const b = session.get('b') as { n: unknown }
      a.n = 2
      b.n = () => {}
      await t.rejects(session.save(), { code: 'ERR_SESSION_VALUE', path: 'b.n' })
      b.n = 3
    })
    t.same(await stored(visitor), { a: { n: 2 }, b: { n: 3 } })
  })
})

t.test('values that cannot be stored', async t => {
  class Point { readonly x = 1 }
  const cycle: Record<string, unknown> = {}
  cycle['self'] = { cycle }
  // eslint-disable-next-line no-sparse-arrays
  const holes = [1, , 3]
  const values: Record<string, [value: unknown, path: string]> = {
    'a function': [() => {}, 'key'],
    'a symbol': [Symbol('s'), 'key'],
    'a class instance': [new Point(), 'key'],
    'a promise': [Promise.resolve(), 'key'],
    'an error': [new Error('no'), 'key'],
    'a weak map': [new WeakMap(), 'key'],
    'a boxed number': [Object(1), 'key'],
    'an object of a nameless class': [new (class {})(), 'key'],
    'an object of a class without a constructor': [Object.create(Object.assign(Object.create(null) as object, { x: 1 })), 'key'],
    'a cycle': [cycle, 'key.self.cycle'],
    'a list with holes': [holes, 'key'],
    'a list with a named property': [Object.assign([1], { name: 'x' }), 'key'],
    'a list with a hole and a named property': [Object.assign(new Array(1), { name: 'x' }), 'key'],
    'a symbol among the keys': [{ [Symbol('s')]: 1 }, 'key'],
    'a key __proto__': [JSON.parse('{"__proto__": {"polluted": true}}'), 'key.__proto__'],
    'a function deep inside': [{ list: [{ fn () {} }] }, 'key.list.0.fn'],
    'a class instance in a Map': [new Map([['a', new Point()]]), 'key.0'],
    'a class instance in a Set': [new Set([1, new Point()]), 'key.1']
  }
  for (const [what, [value, path]] of Object.entries(values)) {
    await t.test(`${what} is refused where it is put, with a TypeError that names the path`, async t => {
      const visitor = await browserWith(t, { a: 1 })
      await visitor.visit(session => {
        const refusals: Array<() => void> = [
          () => { session.put('key', value) },
          () => { session.put({ key: value }) },
          () => { session.flash('key', value) },
          () => { session.now('key', value) },
          () => { session.push('key', value) },
          () => { session.remember('key', () => value) }
        ]
        for (const put of refusals) {
          try {
            // A promise is awaited by remember(), not stored.
            if (value instanceof Promise && put === refusals.at(-1)) continue
            put()
            t.fail('was accepted')
          } catch (error) {
            t.ok(error instanceof TypeError && error instanceof SessionValueError)
            t.match(error, { code: 'ERR_SESSION_VALUE', path })
          }
        }
        t.throws(() => { session.replace({ key: value }) }, { code: 'ERR_SESSION_VALUE', path: `session.${path}` })
        if (path !== 'key.__proto__') t.throws(() => { session.flashInput({ key: value }) }, { code: 'ERR_SESSION_VALUE', path: `old input.${path}` })
      })
      t.same(await stored(visitor), { a: 1 })
    })
  }

  await t.test('nesting of 200 levels is stored, at the end of a path, too', async t => {
    const visitor = await browser(t)
    const value = nested(200)
    await visitor.visit(session => { session.put('a.b.c', value) })
    t.same(await visitor.visit(session => session.get('a.b.c')), value)
  })

  await t.test('deeper nesting is refused where it is put', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => {
      t.throws(() => { session.put('key', nested(201)) }, { code: 'ERR_SESSION_VALUE', message: 'more than 200 levels' })
    })
  })

  await t.test('the same object in two places is no cycle', async t => {
    const shared = { n: 1 }
    const visitor = await browser(t)
    await visitor.visit(session => { session.put('key', [shared, shared]) })
    t.same(await stored(visitor), { key: [{ n: 1 }, { n: 1 }] })
  })
})

function nested (levels: number): unknown {
  return Array.from({ length: levels }).reduce(inner => ({ inner }), 'innermost')
}

t.test('prototypes', async t => {
  const names = ['__proto__', 'constructor', 'prototype']

  for (const name of names) {
    await t.test(`${name} cannot be read`, async t => {
      const visitor = await browserWith(t, { user: { name: 'Ada' }, list: [1] })
      t.same(await visitor.visit(session => [name, `user.${name}`, `list.${name}`, `${name}.name`, `user.${name}.name`].map(path => session.get(path))),
        Array.from({ length: 5 }, () => undefined))
    })

    await t.test(`${name} cannot be written`, async t => {
      const visitor = await browserWith(t, { user: { name: 'Ada' } })
      await visitor.visit(session => {
        for (const path of [name, `user.${name}`, `${name}.polluted`, `user.${name}.polluted`, `new.${name}`]) {
          t.throws(() => { session.put(path, { polluted: true }) }, { code: 'ERR_SESSION_VALUE', path }, path)
          t.throws(() => { session.push(path, 1) }, SessionValueError)
          t.throws(() => session.increment(path), SessionValueError)
          t.throws(() => { session.flash(path, 1) }, SessionValueError)
          t.throws(() => session.remember(path, () => 1), SessionValueError)
        }
        t.throws(() => { session.now(name, { polluted: true }) }, { code: 'ERR_SESSION_VALUE', path: name })
        t.throws(() => { session.replace(JSON.parse(`{ "${name}": 1 }`) as Record<string, unknown>) }, SessionValueError)
        t.throws(() => { session.put(JSON.parse(`{ "${name}": 1 }`) as Record<string, unknown>) }, SessionValueError)
      })
    })

    await t.test(`${name} cannot be forgotten`, async t => {
      const visitor = await browserWith(t, { user: { name: 'Ada' } })
      await visitor.visit(session => { session.forget([name, `user.${name}`, `user.${name}.toString`]) })
      t.same(await stored(visitor), { user: { name: 'Ada' } })
      t.ok(Object.hasOwn(Object.prototype, 'toString'))
    })
  }

  await t.test('are fields like any other in old input', async t => {
    const visitor = await browser(t)
    const body = JSON.parse('{ "__proto__": { "polluted": 1 }, "constructor": "x", "prototype": ["y"], "user": { "__proto__": "z", "name": "Ada" } }') as unknown
    await visitor.visit(session => { session.flashInput(body) })
    await visitor.visit(session => {
      t.equal(session.old('constructor'), 'x')
      t.same(session.old('prototype'), ['y'])
      t.same(session.old('__proto__.polluted'), 1)
      t.equal(session.old('user.__proto__', ''), 'z')
      t.equal(session.hasOld('__proto__'), true)
      const { user } = session.old() as { user: object }
      t.equal(Object.getPrototypeOf(user), Object.prototype)
      t.same(Object.keys(user), ['__proto__', 'name'])
      t.equal((session.old() as { polluted?: unknown }).polluted, undefined)
      session.reflash()
    })
    await visitor.visit(async session => {
      await session.save()
      session.reflash()
    })
    t.same(await visitor.visit(session => [session.old('constructor'), session.old('user.__proto__')]), ['x', 'z'])
  })

  await t.test('are not found in old input that has none of them', async t => {
    const visitor = await browser(t)
    await visitor.visit(session => { session.flashInput({ name: 'Ada', list: ['a'] }) })
    t.same(await visitor.visit(session => [...names, 'toString', 'list.length', 'list.constructor'].map(name => session.old(name))),
      Array.from({ length: 6 }, () => undefined))
  })

  await t.test('survive in old input beside data that JSON cannot say, and a change of another request', async t => {
    const { browser } = await application(t)
    const visitor = browser()
    await visitor.visit(session => { session.put('since', new Date(0)) })
    await visitor.visit(async session => {
      session.flashInput(JSON.parse('{ "__proto__": "x", "deep": { "__proto__": "y" } }'))
      await browser(visitor.cookie).visit(other => { other.put('other', true) })
    })
    t.same(await visitor.visit(session => [session.old('__proto__'), session.old('deep.__proto__'), session.all()]),
      ['x', 'y', { since: new Date(0), other: true }])
  })

  await t.test('inherited members are not seen', async t => {
    const visitor = await browserWith(t, { user: {} })
    t.same(await visitor.visit(session => ['toString', 'hasOwnProperty', 'user.toString'].map(path => session.exists(path))), [false, false, false])
  })

  await t.test('Object.prototype is as it was', t => {
    t.same(Object.keys(Object.prototype), [])
    t.equal(({} as { polluted?: unknown }).polluted, undefined)
    t.end()
  })
})
