/** Names of keys in messages: whatever a request calls them, a message stays one short line. */
import t from 'tap'
import { quote, quoted } from '../../src/session/names.ts'

t.test('names are quoted', async t => {
  t.equal(quoted(['user']), '\'user\'')
  t.equal(quoted(['user', 'cart']), '\'user\', \'cart\'')
})

t.test('of many names the first five are shown', async t => {
  t.equal(quoted(['a', 'b', 'c', 'd', 'e']), '\'a\', \'b\', \'c\', \'d\', \'e\'')
  t.equal(quoted(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']), '\'a\', \'b\', \'c\', \'d\', \'e\' and 3 more')
})

t.test('a long name is cut at 40 characters, and never in the middle of one', async t => {
  t.equal(quote('x'.repeat(40)), `'${'x'.repeat(40)}'`)
  t.equal(quote('x'.repeat(41)), `'${'x'.repeat(40)}…'`)
  t.equal(quote(`${'x'.repeat(39)}😀`), `'${'x'.repeat(39)}…'`)
  t.equal(quote('x'.repeat(1_000_000)).length, 43)
})

t.test('what would forge a line, a quotation mark or a direction is escaped', async t => {
  t.equal(quote('a\r\nb\0'), '\'a\\u000d\\u000ab\\u0000\'')
  t.equal(quote('\x1b[31mred'), '\'\\u001b[31mred\'')
  t.equal(quote('a\', \'b'), '\'a\\\', \\\'b\'')
  t.equal(quote('a\\'), '\'a\\\\\'')
  t.equal(quote('a\u202eb\u2028'), '\'a\\u202eb\\u2028\'')
  t.equal(quote('Straße 東京'), '\'Straße 東京\'')
})
