/** The suite that driver authors run: a store that keeps the contract passes it, and one with a fault does not. */
import t, { type Test } from 'tap'
import { MemoryStore, type NewRecord, type SessionStore, type StoreKey, type Version } from '../../src/index.ts'
import { testStore, type TestStoreOptions } from '../../src/testing.ts'
import { cases } from '../../src/testing/suite.ts'
import { earlyEnds, type Fault, faults, rightInOneProcess } from './faults.ts'
import { pause, ReferenceStore } from './reference-store.ts'

interface Result {
  readonly passed: string[]
  readonly failed: string[]
  readonly skipped: string[]
}

const names = cases.map(({ name }) => name)

/** Runs the suite as a runner would that has all its tests under way at once. */
async function run<Store extends SessionStore> (
  make: () => Store | Promise<Store>, { only = names, ...options }: TestStoreOptions<Store> & { only?: readonly string[] } = {}
): Promise<Result> {
  const result: Result = { passed: [], failed: [], skipped: [] }
  await testStore(async (name, run) => {
    if (!only.includes(name)) return
    let isSkipped = false
    const outcome = await run({ skip: () => { isSkipped = true } }).then(() => isSkipped ? 'skipped' : 'passed', () => 'failed' as const)
    result[outcome].push(name)
  }, make, options)
  return result
}

const small = { maxBytes: 100_000 }

t.test('a store that keeps the contract passes, alone and with another on the same storage', async t => {
  t.same((await run(() => new ReferenceStore())).failed, [])
  const { failed, passed } = await run(async () => new ReferenceStore(), { another: ({ storage }) => new ReferenceStore(storage) })
  t.same(failed, [])
  t.same(passed.sort(), [...names].sort())
})

t.test('every case has a name of its own', async t => {
  t.equal(new Set(names).size, names.length)
})

/** Runs the cases that are about a fault; each has to notice it. */
async function isNoticed (t: Test, { fault, noticedBy, make }: Fault): Promise<void> {
  const { failed } = await run(make, { ...small, only: noticedBy, another: ({ storage }) => make(storage) })
  t.same(failed.sort(), [...noticedBy].sort(), `a store that ${fault}`)
}

t.test('each fault is noticed by the cases that are about it', async t => {
  for (const fault of earlyEnds) await isNoticed(t, fault)
  await Promise.all(faults.map(fault => isNoticed(t, fault)))
})

t.test('a store that keeps its promises in its own process only passes alone, so that its faults need another to be noticed', async t => {
  for (const { fault, make } of rightInOneProcess) t.same((await run(make, small)).failed, [], `a store that ${fault}`)
})

t.test('there is a fault for each case', async t => {
  const noticing = [...faults, ...earlyEnds].flatMap(({ noticedBy }) => noticedBy)
  t.same(names.filter(name => !noticing.includes(name)), [])
})

t.test('a store that is atomic in its own process only fails beside another, and passes alone', async t => {
  class Serialised extends ReferenceStore {
    #last: Promise<unknown> = Promise.resolve()

    override async compareAndSet (key: StoreKey, record: NewRecord, expected: Version | undefined) {
      const turn = this.#last.then(async () => {
        const found = this.look(key)
        await pause()
        if (found === 'gone' || (found === undefined && expected !== undefined)) return 'gone'
        return found?.version === expected ? this.write(key, record, ((expected ?? 0) + 1) as Version) : 'conflict'
      })
      this.#last = turn
      return await turn
    }
  }
  t.notOk((await run(() => new Serialised(), small)).failed.includes('fifty compare-and-set loops at the same time lose nothing'))
  const { failed } = await run(() => new Serialised(), { ...small, another: ({ storage }) => new Serialised(storage) })
  t.ok(failed.includes('fifty compare-and-set loops at the same time lose nothing'))
  t.ok(failed.includes('of creations of one key at the same time one succeeds'))
})

t.test('the tests of methods that a store does not have are skipped, and say why', async t => {
  const make = (): SessionStore => {
    const store = new MemoryStore()
    return {
      read: key => store.read(key),
      compareAndSet: (...args) => store.compareAndSet(...args),
      touch: (key, expiresAt) => store.touch(key, expiresAt),
      destroy: (...args) => store.destroy(...args)
    }
  }
  const { failed, skipped } = await run(make)
  t.same(failed, [])
  t.same(skipped.sort(), cases.filter(({ needs }) => needs !== undefined).map(({ name }) => name).sort())
  const reasons = new Set<unknown>()
  await testStore(async (_name, run) => { await run({ skip: (reason: unknown) => { reasons.add(reason) } }) }, make)
  t.same([...reasons], ['the store has no sweep()', 'the store has no list()', 'the store has no count()', 'the store has no lock()'])
  await t.resolves(testStore(async (_name, run) => { await run() }, make), 'runners that give their tests no context just pass them')
})

t.test('stores are opened before a test and closed after it, however it ended', async t => {
  const calls: string[] = []
  class Lifecycle extends ReferenceStore {
    isOpen = false

    open () {
      calls.push('open')
      this.isOpen = true
    }

    override read (...args: Parameters<ReferenceStore['read']>) {
      t.ok(this.isOpen)
      return super.read(...args)
    }

    close () {
      calls.push('close')
      this.isOpen = false
    }
  }
  await run(() => new Lifecycle())
  t.equal(calls.filter(call => call === 'open').length, names.length)
  t.equal(calls.filter(call => call === 'close').length, names.length)
  calls.length = 0
  class Broken extends Lifecycle {
    override compareAndSet (): never {
      throw new Error('broken')
    }
  }
  t.not((await run(() => new Broken(), { another: ({ storage }) => new Broken(storage) })).failed.length, 0)
  t.equal(calls.filter(call => call === 'close').length, 2 * names.length)
})

t.test('all tests are declared before the call returns', async t => {
  const declared: string[] = []
  void testStore(name => { declared.push(name) }, () => new ReferenceStore())
  t.same(declared, names)
})
