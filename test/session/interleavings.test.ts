/** Random interleavings of requests on one session, compared with running them one after the other. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Session } from '../../src/index.ts'
import { application } from './helpers.ts'

type Change =
  | { readonly op: 'put', readonly key: string, readonly value: number }
  | { readonly op: 'forget', readonly key: string }
  | { readonly op: 'increment', readonly key: string, readonly by: number }
  | { readonly op: 'push', readonly key: string, readonly value: number }
  | { readonly op: 'flush' }

/** What one request does, in order. */
type Work = readonly Change[]

type Model = Record<string, Record<string, unknown>>

// Every kind of change has keys of its own, so that none is refused for what it finds.
const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('put'), key: fc.constantFrom('puts.a', 'puts.b', 'puts.c'), value: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('forget'), key: fc.constantFrom('puts.a', 'puts.b', 'lists.a') }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('increment'), key: fc.constantFrom('counts.a', 'counts.b'), by: fc.integer({ min: -3, max: 3 }) }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('push'), key: fc.constantFrom('lists.a', 'lists.b'), value: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('flush') }) }
)

const works = fc.array(fc.array(change, { minLength: 1, maxLength: 5 }), { minLength: 2, maxLength: 5 })

/** For each request when it begins and when it ends, as places in one order of events. */
const times = fc.array(fc.tuple(fc.nat(99), fc.nat(99)), { minLength: 5, maxLength: 5 })

function applyTo (session: Session, work: Work): void {
  for (const step of work) {
    switch (step.op) {
      case 'put':
        session.put(step.key, step.value)
        break
      case 'forget':
        session.forget(step.key)
        break
      case 'increment':
        session.increment(step.key, step.by)
        break
      case 'push':
        session.push(step.key, step.value)
        break
      case 'flush':
        session.flush()
    }
  }
}

/** The same, as one would write it down who knows nothing of sessions. */
function applyToModel (model: Model, work: Work): void {
  for (const step of work) {
    if (step.op === 'flush') {
      for (const group of Object.keys(model)) delete model[group]
      continue
    }
    const [groupName = '', name = ''] = step.key.split('.')
    if (step.op === 'forget' && model[groupName] === undefined) continue
    const group = model[groupName] ??= {}
    if (step.op === 'put') group[name] = step.value
    else if (step.op === 'forget') delete group[name]
    else if (step.op === 'increment') group[name] = (group[name] as number | undefined ?? 0) + step.by
    else group[name] = [...group[name] as number[] | undefined ?? [], step.value]
  }
}

function gate (): { readonly opened: Promise<void>, readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open }
}

/** Whether work leaves what it found as it was; its request then counts as of when it began. */
function isIdle (found: Model, work: Work): boolean {
  const left = structuredClone(found)
  applyToModel(left, work)
  return JSON.stringify(left) === JSON.stringify(found)
}

t.test('whenever requests begin and end, the outcome is that of running them one after the other as they ended', async t => {
  const { browser } = await application(t)
  await t.resolves(fc.assert(fc.asyncProperty(works, times, async (works, times) => {
    const visitor = browser()
    await visitor.visit(session => { session.put('begun', { yes: true }) })
    const model: Model = { begun: { yes: true } }

    const requests = works.map(work => {
      const changed = gate()
      const ending = gate()
      return {
        begin (): Promise<void> {
          this.isIdle = isIdle(model, work)
          this.response = browser(visitor.cookie).visit(async session => {
            applyTo(session, work)
            changed.open()
            await ending.opened
          })
          return changed.opened
        },
        async end () {
          ending.open()
          await this.response
          if (!this.isIdle) applyToModel(model, work)
        },
        isIdle: false,
        response: Promise.resolve()
      }
    })

    const events = requests.flatMap((request, index) => {
      const [one = 0, other = 0] = times[index] ?? []
      return [
        { at: Math.min(one, other), happen: async () => { await request.begin() } },
        { at: Math.max(one, other) + 0.5, happen: async () => { await request.end() } }
      ]
    })
    for (const { happen } of events.sort((a, b) => a.at - b.at)) await happen()

    const data = await visitor.visit(session => session.all())
    assert.deepEqual(data, model)
  }), { numRuns: 150 }))
})

t.test('requests that commit at the same moment lose nothing, and each one\'s pushes stay in order', async t => {
  const { browser } = await application(t)
  const steps = fc.array(fc.record({ by: fc.integer({ min: -5, max: 5 }), pushes: fc.nat(3) }), { minLength: 2, maxLength: 8 })
  await t.resolves(fc.assert(fc.asyncProperty(steps, async steps => {
    const visitor = browser()
    await visitor.visit(session => { session.put('begun', true) })
    let waiting = steps.length
    const all = gate()
    await Promise.all(steps.map(async ({ by, pushes }, index) => {
      await browser(visitor.cookie).visit(async session => {
        session.put(`request${index}`, index)
        session.increment('sum', by)
        for (let push = 0; push < pushes; push++) session.push('list', [index, push])
        if (--waiting === 0) all.open()
        await all.opened
      })
    }))
    const data = await visitor.visit(session => session.all())
    const list = data['list'] as [number, number][] | undefined ?? []
    assert.equal(data['sum'], steps.reduce((sum, { by }) => sum + by, 0))
    for (const [index, { pushes }] of steps.entries()) {
      assert.equal(data[`request${index}`], index)
      assert.deepEqual(list.filter(([request]) => request === index), Array.from({ length: pushes }, (_, push) => [index, push]))
    }
    assert.equal(list.length, steps.reduce((sum, { pushes }) => sum + pushes, 0))
  }), { numRuns: 50 }))
})
