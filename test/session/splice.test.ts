/** The text of a state in which little has changed: it is the one that encoding the whole would give, or none. */
import fc from 'fast-check'
import t from 'tap'
import type { Tree } from '../../src/session/paths.ts'
import type { Spot } from '../../src/session/splice.ts'
import { splice } from '../../src/session/splice.ts'

/** Encodes the data, changes them, and says both what splicing gives and what it has to give. */
function changed (data: Tree, changes: Tree, text = JSON.stringify({ data, token: 'visits":0' })): { spliced: string | undefined, whole: string } {
  const after = { ...data, ...changes }
  return { spliced: splice(text, { before: key => data[key] }, after, Object.keys(changes))?.text, whole: JSON.stringify({ data: after, token: 'visits":0' }) }
}

t.test('a value is replaced where it stands', async t => {
  for (const [before, after] of [[0, 1], [1, 0.5], ['a', 'much longer than it was'], [true, null], ['"', '\\"{'], ['é', '👩‍🚀']]) {
    const { spliced, whole } = changed({ name: 'Ada', 'the "key"': before, list: [1, { a: 2 }] }, { 'the "key"': after })
    t.equal(spliced, whole)
  }
})

t.test('several values are replaced', async t => {
  const { spliced, whole } = changed({ a: 1, b: 'two', c: 3 }, { c: 4, a: 'one' })
  t.equal(spliced, whole)
})

t.test('a member that has been found is found again without a search, whatever else looks like it by then', async t => {
  const text = JSON.stringify({ data: { a: 1, visits: 1, z: 'visits":2' } })
  const first = splice(text, { before: () => 1 }, { visits: 2 }, ['visits'])
  t.equal(first?.text, JSON.stringify({ data: { a: 1, visits: 2, z: 'visits":2' } }))
  const second = splice(first?.text as string, { before: () => 2 }, { visits: 1000 }, ['visits'], first?.spot)
  t.equal(second?.text, JSON.stringify({ data: { a: 1, visits: 1000, z: 'visits":2' } }))
  const third = splice(second?.text as string, { before: key => key === 'a' ? 1 : 1000 }, { visits: null, a: 20 }, ['a', 'visits'], second?.spot)
  t.equal(third?.text, JSON.stringify({ data: { a: 20, visits: null, z: 'visits":2' } }))
})

t.test('nothing is replaced where it is not certain what', async t => {
  const cases: Record<string, [data: Tree, changes: Tree, text?: string]> = {
    'the same member somewhere below': [{ visits: 1, pages: { visits: 1 } }, { visits: 2 }],
    'a member whose name ends like it': [{ visits: 1, 'my visits': 12 }, { visits: 2 }],
    'a text that reads like it': [{ visits: 1, note: { 'say "visits': 1 } }, { visits: 2 }],
    'a new key': [{ a: 1 }, { visits: 1 }],
    'a key that goes': [{ visits: 1 }, { visits: undefined }],
    'a list': [{ visits: [1] }, { visits: [2] }],
    'an object in the place of a number': [{ visits: 1 }, { visits: {} }],
    'a text that somebody has spaced': [{ visits: 1 }, { visits: 2 }, '{"data": {"visits": 1}}'],
    'a number that somebody has written at length': [{ visits: 1 }, { visits: 2 }, '{"data":{"visits":1.0}}'],
    'a member of which only the end is there': [{ visits: 1 }, { visits: 2 }, '{"data":{"\\u0076isits":1,"my visits":1}}']
  }
  for (const [name, [data, changes, text]] of Object.entries(cases)) t.equal(changed(data, changes, text).spliced, undefined, name)
})

t.test('whatever is in the data, what is spliced is what encoding the whole gives', async t => {
  const simple = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string(), fc.boolean(), fc.constant(null))
  const key = fc.oneof(fc.constantFrom('a', 'aa', 'b"', ':1', 'visits'), fc.string({ minLength: 1, maxLength: 3 })).filter(name => name !== '__proto__')
  const value = fc.oneof(simple, fc.jsonValue({ maxDepth: 2 }))
  let count = 0
  fc.assert(fc.property(fc.dictionary(key, value, { minKeys: 1 }), fc.infiniteStream(simple), fc.nat(), (data, values, some) => {
    const keys = Object.keys(data).filter((_, index) => (some >> index) % 2 === 1)
    const { spliced, whole } = changed(data, Object.fromEntries(keys.map(key => [key, values.next().value])))
    if (spliced === undefined) return
    count++
    if (spliced !== whole) throw new Error(`${spliced} and not ${whole}`)
  }), { numRuns: 2_000 })
  t.ok(count > 200, 'and it is spliced in many of the cases')
})

t.test('whatever is changed, one after the other, what is spliced is what encoding the whole gives', async t => {
  const simple = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.string({ maxLength: 3 }), fc.constantFrom('a":1', '"a":', ',"b":2}'), fc.boolean(), fc.constant(null))
  const key = fc.constantFrom('a', 'b', '"a', 'aa')
  fc.assert(fc.property(fc.array(fc.dictionary(key, simple, { minKeys: 1 }), { maxLength: 12 }), changes => {
    let data: Tree = { a: 0, b: 0, '"a': 0, aa: 0 }
    let text = JSON.stringify({ data })
    let spot: Spot | undefined
    for (const change of changes) {
      const before = data
      const after = { ...before, ...change }
      const spliced = splice(text, { before: key => before[key] }, after, Object.keys(change), spot)
      const whole = JSON.stringify({ data: after })
      if (spliced !== undefined && spliced.text !== whole) throw new Error(`${spliced.text} and not ${whole}`)
      data = after
      text = whole
      spot = spliced?.spot
    }
  }), { numRuns: 2_000 })
  t.pass()
})
