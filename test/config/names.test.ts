import t from 'tap'
import { defineConfig } from '../../src/config/define.ts'
import { problemsOf, resolved } from './helpers.ts'

t.test('every option of more than one word is taken in snake_case too', async t => {
  t.match(await resolved(defineConfig({
    create_table: true,
    absolute_lifetime: 600,
    expire_on_close: true,
    http_only: false,
    same_site: 'strict',
    previous_url: true,
    max_bytes: 2048
  })), {
    createTable: true,
    absoluteLifetime: 600,
    expireOnClose: true,
    httpOnly: false,
    sameSite: 'strict',
    previousUrl: true,
    maxBytes: 2048
  })
})

t.test('a fault uses the name that was given', async t => {
  t.strictSame(await problemsOf({ http_only: 'no' }), ['http_only: expected true or false, got "no"'])
})

t.test('giving both forms of a name is a fault', async t => {
  t.strictSame(await problemsOf({ httpOnly: true, http_only: true }), ['http_only: is the same option as httpOnly; give one of the two'])
})

t.test('an unknown name is an error of types, too', async t => {
  // @ts-expect-error: there is no option of this name
  t.strictSame(await problemsOf(defineConfig({ liftime: 5 })), ['liftime: is not an option; did you mean lifetime?'])
})

t.test('an unknown name is refused with the nearest known one', async t => {
  t.strictSame(await problemsOf({ lifetme: 5, samesite: 'lax', expire_onclose: true, max_byte: 1 }), [
    'lifetme: is not an option; did you mean lifetime?',
    'samesite: is not an option; did you mean sameSite?',
    'expire_onclose: is not an option; did you mean expireOnClose?',
    'max_byte: is not an option; did you mean maxBytes?'
  ])
})

t.test('an unknown name that is near to none is just refused', async t => {
  const options = JSON.parse('{ "fruit": false, "__proto__": 1, "constructor": 1 }') as object
  t.strictSame(await problemsOf(options), [
    'fruit: is not an option',
    '__proto__: is not an option',
    'constructor: is not an option'
  ])
})

t.test('a store of null, as in Laravel\'s own file, is let through', async t => {
  t.equal((await resolved({ store: null, block_store: null, lottery: undefined, lifetime: 5 })).lifetime, 5)
})
