/** Dotted paths, for any path and any data. Examples are in the specification of the Session's members. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { SessionValueError } from '../../src/index.ts'
import { missingContainers, removeAt, removeIfEmpty, rootOf, setAt, type Tree, valueAt } from '../../src/session/paths.ts'

const segment = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('a', 'b', 'c', '0', '1', '') },
  { weight: 1, arbitrary: fc.constantFrom('__proto__', 'constructor', 'prototype', 'toString', 'length', '01', '-1') }
)
const path = fc.array(segment, { minLength: 1, maxLength: 4 }).map(segments => segments.join('.'))
const leaf = fc.oneof(fc.integer(), fc.constant(null), fc.constant('text'))
const { tree } = fc.letrec<{ tree: Tree, value: unknown }>(tie => ({
  tree: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'a.b'), tie('value'), { maxKeys: 3, noNullPrototype: true }),
  value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('value'), { maxLength: 2 }), tie('tree'))
}))

/** @returns whether it could be set */
function trySetting (data: Tree, at: string, value: unknown): boolean {
  try {
    setAt(data, at, value)
    return true
  } catch (error) {
    if (error instanceof SessionValueError) return false
    throw error
  }
}

t.test('what is set at a path is read there', async t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(tree, path, leaf, (data, at, value) => {
      if (trySetting(data, at, value)) assert.equal(valueAt(data, at), value)
    }), { numRuns: 1000 })
  })
})

t.test('what is removed at a path is not read there any more, unless another element moved up or a shorter key was in front', async t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(tree, path, (data, at) => {
      const isWhole = Object.hasOwn(data, at) && at.includes('.')
      const found = structuredClone(valueAt(data, at.slice(0, at.lastIndexOf('.'))))
      removeAt(data, at)
      if (!isWhole && !(at.includes('.') && Array.isArray(found))) assert.equal(valueAt(data, at), undefined)
    }), { numRuns: 1000 })
  })
})

t.test('setting and removing change nothing outside of the path\'s top-level key', async t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(tree, path, leaf, (data, at, value) => {
      const root = rootOf(data, at)
      const { [root]: _before, ...othersBefore } = structuredClone(data)
      trySetting(data, at, value)
      removeAt(data, at)
      const { [root]: _after, ...othersAfter } = data
      assert.deepEqual(othersAfter, othersBefore)
    }), { numRuns: 1000 })
  })
})

/** @returns what is found on the way to a path by walking alone, from the outside inwards */
function onTheWayTo (data: Tree, at: string): unknown[] {
  const names = at.split('.')
  return names.map((_name, index) => names.slice(0, index + 1).reduce<unknown>((value, name) =>
    typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Tree)[name] : undefined, data))
}

t.test('when the objects that were missing on the way to a value are removed with it, all is as it was before', async t => {
  t.doesNotThrow(() => {
    fc.assert(fc.property(tree, path, leaf, (data, at, value) => {
      const found = onTheWayTo(data, at)
      const isMissing = found.every(value => value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value)))
      if (!isMissing || found.at(-1) !== undefined || Object.hasOwn(data, at)) return
      const before = structuredClone(data)
      const made = missingContainers(data, at)
      if (!trySetting(data, at, value)) return
      removeAt(data, at)
      for (const container of made.reverse()) removeIfEmpty(data, container)
      assert.deepEqual(data, before)
    }), { numRuns: 1000 })
  })
})

t.test('only an empty object is removed as empty, and where there is none nothing is', async t => {
  const cases: readonly (readonly [data: Tree, path: string])[] = [
    [{ a: [{}] }, 'a.0'], [{ a: 1 }, 'a.b'], [{}, 'a.b'], [{ a: {} }, 'a.b'], [{ a: [] }, 'a'], [{ a: { b: 1 } }, 'a']
  ]
  for (const [data, at] of cases) {
    const before = structuredClone(data)
    removeIfEmpty(data, at)
    t.same(data, before, at)
  }
})

t.test('a member with the name of a prototype is not read, even where a store brings one', async t => {
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    t.equal(valueAt(JSON.parse(`{ "${name}": 1 }`) as Tree, name), undefined, name)
  }
})

t.test('no path reaches a prototype', async t => {
  const membersOf = (prototype: object): PropertyKey[] => Reflect.ownKeys(prototype)
  const prototypes = [Object.prototype, Array.prototype, Function.prototype]
  const before = prototypes.map(membersOf)
  t.doesNotThrow(() => {
    fc.assert(fc.property(tree, path, (data, at) => {
      trySetting(data, at, { polluted: true })
      trySetting(data, `${at}.polluted`, true)
      removeAt(data, at)
      assert.equal(Object.getPrototypeOf(data), Object.prototype)
      const value = valueAt(data, at)
      assert.ok(typeof value !== 'function' && !prototypes.includes(value as () => void))
    }), { numRuns: 1000 })
  })
  t.same(prototypes.map(membersOf), before)
})

t.test('lists never get holes or named properties', async t => {
  const isWhole = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null) return true
    const members = Object.values(value)
    return (!Array.isArray(value) || Object.keys(value).length === value.length) && members.every(isWhole)
  }
  t.doesNotThrow(() => {
    fc.assert(fc.property(tree, path, leaf, (data, at, value) => {
      trySetting(data, at, value)
      removeAt(data, at)
      assert.ok(isWhole(data))
    }), { numRuns: 1000 })
  })
})
