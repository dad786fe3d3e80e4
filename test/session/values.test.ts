/** What a session can hold: how it becomes text, and that it comes back as it was. */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import t from 'tap'
import { SessionValueError } from '../../src/index.ts'
import { copyOf, decode, encode } from '../../src/session/values.ts'

function roundTrip (value: unknown): unknown {
  return decode(encode(value, 'key'))
}

/** By what Node.js shows of them, for deepStrictEqual() takes any two URLs for equal and no two invalid Dates. */
function assertSame (actual: unknown, expected: unknown): void {
  const all = { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity }
  assert.equal(inspect(actual, all), inspect(expected, all))
}

const bytes = fc.uint8Array({ maxLength: 32 })
const TYPED_ARRAYS = [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array,
  Float32Array, Float64Array, BigInt64Array, BigUint64Array
] as const

/** Typed arrays over any bytes, but as many as fit. */
const typedArray = fc.tuple(fc.constantFrom(...TYPED_ARRAYS), bytes).map(([TypedArray, content]) =>
  new TypedArray(content.buffer.slice(0, content.length - content.length % TypedArray.BYTES_PER_ELEMENT)))

const url = fc.webUrl({ withQueryParameters: true, withFragments: true }).map(href => new URL(href))
const regExp = fc.tuple(fc.constantFrom('', 'a+', '\\/\\d', '[\\]/]', '(?<name>ü)\n'), fc.constantFrom('', 'g', 'gi', 'dgimsuy'))
  .map(([source, flags]) => new RegExp(source, flags))

/** `__proto__` is refused, which has a test of its own. */
const name = fc.oneof(fc.string(), fc.constantFrom('$date', '$map', '$object', '$undefined', '$', 'constructor', 'toJSON', '0'))
  .filter(key => key !== '__proto__')

const { value: anything } = fc.letrec<{ value: unknown }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.oneof(
      fc.string(), fc.string({ unit: 'binary' }), fc.boolean(), fc.constant(null), fc.constant(undefined),
      fc.integer(), fc.double(), fc.bigInt(), fc.constantFrom(NaN, Infinity, -Infinity, -0)
    ),
    fc.date({ noInvalidDate: false }),
    url,
    regExp,
    typedArray,
    bytes.map(content => Buffer.from(content)),
    bytes.map(content => content.slice().buffer),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    fc.array(fc.tuple(tie('value'), tie('value')), { maxLength: 3 }).map(entries => new Map(entries)),
    fc.array(tie('value'), { maxLength: 3 }).map(values => new Set(values))
  )
}))

t.test('any JSON value comes back as it was', t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(fc.jsonValue({ depthSize: 'medium' }), value => {
      const withoutProto = JSON.parse(JSON.stringify(value).replaceAll('__proto__', 'proto')) as unknown
      assertSame(roundTrip(withoutProto), withoutProto)
    }), { numRuns: 200 })
  })
  t.end()
})

t.test('any value of any kind comes back as it was, however they are nested', t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(anything, value => {
      assertSame(roundTrip(value), value)
    }), { numRuns: 500 })
  })
  t.end()
})

t.test('encoding leaves the value as it was', t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(anything, value => {
      const before = encode(value, 'key')
      assert.equal(encode(value, 'key'), before)
    }), { numRuns: 200 })
  })
  t.end()
})

t.test('what comes back encodes to the same text', t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(anything, value => {
      assert.equal(encode(roundTrip(value), 'key'), encode(value, 'key'))
    }), { numRuns: 200 })
  })
  t.end()
})

t.test('special kinds', async t => {
  const values: Record<string, unknown> = {
    'a Date': new Date('2026-01-31T12:00:00.123Z'),
    'a Date before the year 0': new Date(-8.64e15),
    'an invalid Date': new Date(NaN),
    'a Map': new Map<unknown, unknown>([['a', 1], [{ b: 1 }, [2]], [undefined, undefined]]),
    'a Set': new Set<unknown>([1, 'a', null, { c: 3 }]),
    'a Map of Sets of Dates': new Map([['days', new Set([new Date(0), new Date(1)])]]),
    'a BigInt': -(2n ** 100n),
    'a URL': new URL('https://user:secret@example.com:8443/path?query=1#hash'),
    'a RegExp': /^a\/b\n$/giu,
    NaN,
    Infinity,
    '-Infinity': -Infinity,
    'minus zero': -0,
    'undefined in an object': { a: undefined },
    'undefined in a list': [undefined],
    'a Buffer': Buffer.from([0, 255, 128]),
    'an ArrayBuffer': new Uint8Array([1, 2, 3]).buffer,
    'an object like a tagged Date': { $date: 1 },
    'an object like a tagged object': { $object: { $object: { $date: null } } },
    'an object like a tag nobody knows': { $unknown: true },
    'an object like a tag with a Date in it': { $map: new Date(0) },
    'an object with several dollars': { $a: 1, $date: 2 },
    'an object with a key __defineGetter__': { __defineGetter__: 1 },
    'a text like a tag': '{"$date":"2026-01-31T12:00:00.000Z"}',
    'a text of lone surrogates': '\ud800 \udc00'
  }
  for (const [kind, value] of Object.entries(values)) {
    await t.test(`${kind} comes back as it was`, async t => {
      t.doesNotThrow(() => { assertSame(roundTrip(value), value) })
      t.doesNotThrow(() => { assertSame(roundTrip([{ value }]), [{ value }]) })
    })
  }

  for (const TypedArray of TYPED_ARRAYS) {
    await t.test(`a ${TypedArray.name} comes back as it was, without what lies around it`, async t => {
      const around = new Uint8Array(64).map((_, index) => index * 7)
      const value = new TypedArray(around.buffer, 16, 3)
      const back = roundTrip(value) as typeof value
      t.doesNotThrow(() => { assertSame(back, value) })
      t.equal(back.buffer.byteLength, 3 * TypedArray.BYTES_PER_ELEMENT)
    })
  }

  await t.test('minus zero stays what it is', async t => {
    t.ok(Object.is(roundTrip(-0), -0))
    t.ok(Object.is((roundTrip([0]) as number[])[0], 0))
  })

  await t.test('a plain object of another realm, of none, or like a parsed form comes back as a plain object', async t => {
    t.strictSame(roundTrip(runInNewContext('({ a: 1 })')), { a: 1 })
    t.strictSame(roundTrip(Object.assign(Object.create(null) as object, { a: 1 })), { a: 1 })
    t.strictSame(roundTrip(Object.assign(Object.create(Object.create(null) as object) as object, { a: 1 })), { a: 1 })
  })

  await t.test('a Uint8Array that calls itself something else is not taken for bytes', async t => {
    class Buffer {}
    t.throws(() => encode(new Buffer(), 'key'), { code: 'ERR_SESSION_VALUE', message: 'instance of Buffer' })
    t.throws(() => encode(new (class extends Uint8Array {})(1), 'key'), SessionValueError)
  })
})

t.test('text', async t => {
  await t.test('of plain data is the JSON of it', async t => {
    const value = { user: 'ada', tags: ['a', 1, null, true] }
    t.equal(encode(value, 'key'), JSON.stringify(value))
  })

  await t.test('of everything else is legible', async t => {
    t.equal(encode({ since: new Date(0), tags: new Set(['a']) }, 'key'), '{"since":{"$date":"1970-01-01T00:00:00.000Z"},"tags":{"$set":["a"]}}')
  })

  await t.test('gives a fresh value each time', async t => {
    const text = encode({ list: [{ date: new Date(0) }] }, 'key')
    const first = decode(text) as { list: [{ date: Date }] }
    first.list[0].date.setTime(1)
    t.strictSame(decode(text), { list: [{ date: new Date(0) }] })
  })
})

t.test('damaged text is a SyntaxError', async t => {
  const texts = [
    '', '{', 'undefined', '{"a":1', '[{"$date":"1970"}',
    '{"$unknown":1}', '{"$toString":1}', '{"a":{"$":1}}',
    '{"$date":1}', '{"$map":1}', '{"$map":[1]}', '{"$set":{}}', '{"$bigint":"1.5"}', '{"$bigint":1}', '{"$number":1}',
    '{"$url":"no url"}', '{"$url":null}', '{"$regexp":["(",""]}', '{"$regexp":"a"}', '{"$regexp":["a","?"]}', '{"$regexp":["a"]}',
    '{"$bytes":["Int16Array","AA=="]}', '{"$bytes":["Nothing","AA=="]}', '{"$bytes":["Buffer"]}',
    '{"$object":null}', '{"$object":"text"}'
  ]
  for (const text of texts) {
    await t.test(text === '' ? '(nothing)' : text, async t => {
      t.throws(() => decode(text), SyntaxError)
    })
  }
})

t.test('a copy has the same members in the same order and shares no object, all the way down', async t => {
  const known = { list: [1, { a: 2 }], day: new Date(0), none: null, nested: { x: 1, y: 2 } }
  const copy = copyOf(known) as typeof known
  t.strictSame(copy, known)
  t.equal(encode(copy, 'copy'), encode(known, 'known'))
  for (const [one, other] of [[copy, known], [copy.list, known.list], [copy.list[1], known.list[1]], [copy.day, known.day], [copy.nested, known.nested]]) {
    t.not(one, other)
  }
})
