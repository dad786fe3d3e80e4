/** What JavaScript lets one do to a session, and what cannot work: it throws, and says what to write. */
/* eslint-disable @typescript-eslint/unbound-method -- that is what is tried here */
import { compileFunction } from 'node:vm'
import t from 'tap'
import { Session, SessionUsageError, runWithSession, session } from '../../src/index.ts'

/** Runs code that is not strict, as a CommonJS module without `'use strict'` is. */
function sloppy (code: string): (session: Session) => unknown {
  return compileFunction(code, ['session']) as (session: Session) => unknown
}

function inSession (data: Record<string, unknown>, use: (session: Session) => unknown): void {
  runWithSession(data, () => { use(session()) })
}

const methods = Object.entries(Object.getOwnPropertyDescriptors(Session.prototype))
  .map(([name]) => name as keyof Session)
  .filter(name => name as string !== 'constructor')

t.test('assigning a property is a TypeError that says what to write, in strict and in sloppy code', async t => {
  const expected = { code: 'ERR_SESSION_USAGE', message: /write session\(\)\.put\('user', …\)$/ }
  inSession({}, session => {
    const strict = session as unknown as Record<string, unknown>
    t.throws(() => { strict['user'] = 'Ada' }, expected)
    t.throws(() => sloppy('session.user = "Ada"')(session), expected)
    t.throws(() => { strict['user'] = undefined }, expected)
    t.throws(() => Object.assign(session, { user: 'Ada' }), expected)
    t.throws(() => { strict['user'] ??= 'Ada' }, { ...expected, name: 'SessionUsageError' })
    t.ok(new SessionUsageError('') instanceof TypeError)
    t.same(session.all(), {})
    t.same(Object.keys(session), [])
  })
})

t.test('so is assigning to the name of a method, of a member that is read only, or of what every object has', async t => {
  inSession({}, session => {
    for (const name of [...methods, 'toString', 'hasOwnProperty']) {
      t.throws(() => sloppy(`session.${name} = "x"`)(session), { code: 'ERR_SESSION_USAGE', message: `put('${name}', …)` }, name)
    }
    t.throws(() => { (session as unknown as Record<symbol, unknown>)[Symbol('s')] = 1 }, { code: 'ERR_SESSION_USAGE' })
  })
})

t.test('a name is quoted and cut in the message', async t => {
  inSession({}, session => {
    const key = `a\n${'x'.repeat(100)}`
    t.throws(() => { (session as unknown as Record<string, unknown>)[key] = 1 }, { message: `put('a\\u000a${'x'.repeat(38)}…', …)` })
  })
})

t.test('every method that is taken off its session says what to do', async t => {
  inSession({ u: 'Ada' }, session => {
    for (const name of methods) {
      const member = session[name] as unknown
      if (typeof member !== 'function') continue
      const detached = member as (...args: unknown[]) => unknown
      const expected = { code: 'ERR_SESSION_USAGE', message: new RegExp(`^${name}\\(\\) was called without its session: call it on the session, as in session\\(\\)\\.${name}\\(…\\)`) }
      t.throws(() => detached('u'), expected, name)
      t.throws(() => Reflect.apply(detached, {}, ['u']), expected, name)
      t.throws(() => Reflect.apply(detached, Object.create(session), ['u']), expected, name)
      t.throws(() => Reflect.apply(detached, Session.prototype, ['u']), expected, name)
    }
    const { get } = session
    t.throws(() => get('u'), SessionUsageError)
  })
})

t.test('a callback, as express-session takes one, is refused before anything is done', async t => {
  inSession({ u: 'Ada' }, session => {
    const { id } = session
    for (const name of ['regenerate', 'migrate', 'invalidate', 'save', 'reload', 'flush', 'token', 'all'] as const) {
      const call = session[name].bind(session) as (callback: () => void) => unknown
      t.throws(() => call(() => { t.fail('it is not called') }), {
        code: 'ERR_SESSION_USAGE', message: new RegExp(`^${name}\\(\\) takes no callback: write session\\(\\)\\.${name}\\(\\), with await`)
      }, name)
    }
    t.equal(session.id, id)
    t.same(session.all(), { u: 'Ada' })
    t.equal(session.get('none', () => 'made'), 'made', 'a default may be a function')
  })
})

t.test('a method that is bound, or called on its session, works as ever', async t => {
  inSession({ u: 'Ada' }, session => {
    t.equal(session.get.bind(session)('u'), 'Ada')
    t.equal(Reflect.apply(session.get, session, ['u']), 'Ada')
    t.equal(session.get.name, 'get')
    t.equal(session.hasToken.length, 1)
  })
})

t.test('a test can still replace a method of one session', async t => {
  inSession({}, session => {
    Object.defineProperty(session, 'get', { value: () => 'mocked' })
    t.equal(session.get('u'), 'mocked')
  })
})

t.test('a session is still an object like others', async t => {
  inSession({ u: 'Ada' }, session => {
    t.ok(session instanceof Session)
    t.ok(session instanceof Object)
    t.equal(Object.prototype.toString.call(session), '[object Object]')
    t.equal(JSON.stringify(session), '{}')
    t.equal('then' in session, false)
    t.same(Object.keys(session), [])
    t.equal((session as unknown as Record<string, unknown>)['user'], undefined)
  })
})
