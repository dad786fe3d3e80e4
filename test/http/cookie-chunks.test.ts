import fc from 'fast-check'
import t from 'tap'
import { capacityOf, chunkName, countChunks, type FindCookie, join, MAX_COOKIES, split } from '../../src/http/cookie-chunks.ts'

function cookiesOf (chunks: readonly string[]): FindCookie {
  const cookies = new Map(chunks.map((chunk, index) => [chunkName('sid', index), chunk]))
  return name => cookies.get(name)
}

t.test('a text takes as few cookies as it fits into, and the first one says how many', async t => {
  const rooms = [5, 4, 4]
  t.same(split('', rooms), ['1.'])
  t.same(split('abc', rooms), ['1.abc'])
  t.same(split('abcd', rooms), ['2.abc', 'd'])
  t.same(split('abcdefg', rooms), ['2.abc', 'defg'])
  t.same(split('abcdefgh', rooms), ['3.abc', 'defg', 'h'])
  t.same(split('abcdefghijk', rooms), ['3.abc', 'defg', 'hijk'])
  t.throws(() => split('abcdefghijkl', rooms), RangeError)
  t.equal(capacityOf(rooms), 'abcdefghijk'.length)
})

t.test('what was split is joined again, and no cookie is larger than its room', async t => {
  fc.assert(fc.property(fc.string({ maxLength: 60 }), fc.array(fc.integer({ min: 3, max: 20 }), { minLength: 3, maxLength: 3 }), (text, rooms) => {
    if (text.length > capacityOf(rooms)) {
      t.throws(() => split(text, rooms), RangeError)
      return
    }
    const chunks = split(text, rooms)
    t.ok(chunks.every((chunk, index) => chunk.length <= (rooms[index] ?? 0)))
    t.equal(join(cookiesOf(chunks), 'sid'), text)
  }))
})

t.test('cookies left over from a longer text are passed over', async t => {
  t.equal(join(cookiesOf(['2.ab', 'cd', 'old']), 'sid'), 'abcd')
})

t.test('there is no text where a part is missing or the first part says nothing sensible', async t => {
  for (const chunks of [[], ['2.ab'], ['3.ab', 'cd'], ['ab'], ['0.ab'], ['a.ab'], ['11.ab'], [`${MAX_COOKIES + 1}.ab`, 'c', 'd', 'e'], ['']]) {
    t.equal(join(cookiesOf(chunks), 'sid'), undefined, chunks.join())
  }
})

t.test('chunks are counted up to the last one that is there', async t => {
  t.equal(countChunks(cookiesOf([]), 'sid'), 0)
  t.equal(countChunks(cookiesOf(['a']), 'sid'), 1)
  t.equal(countChunks(name => name === 'sid.2' ? '' : undefined, 'sid'), 3)
})
