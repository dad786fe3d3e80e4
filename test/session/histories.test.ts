/**
 * Random histories of requests with every kind of change, new ids and ends among them, held against a model: each request's
 * changes take effect at its end, on whatever is stored by then. In memory, in files, and in files that two stores share.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Session } from '../../src/index.ts'
import { application, type Browser } from './helpers.ts'

const RUNS = Number(process.env['RUNS'] ?? 80)

type Step =
  | { readonly op: 'put' | 'flash' | 'remember', readonly key: string, readonly value: number }
  | { readonly op: 'forget' | 'pull' | 'increment' | 'keep', readonly key: string }
  | { readonly op: 'push' | 'now' | 'change' | 'list' | 'flashInput' | 'replace', readonly value: number }
  | { readonly op: 'empty', readonly key: string }
  | { readonly op: 'flush' | 'reflash' | 'token' | 'regenerateToken' | 'regenerate' | 'migrate' | 'invalidate' }

/** What a session holds, as one would write it down who knows nothing of how it is kept. */
interface Model {
  data: Record<string, unknown>
  /** The flashes among the data, each with what tells it from others of its name. */
  flashes: Record<string, number>
  /** The objects that were made on the way to flashes, innermost last. */
  made: string[]
  input?: { readonly value: object, readonly flash: number }
  token?: string
}

/** A change that waits for the end of its request. */
type Change = (model: Model) => void

const value = fc.nat(9)
const flashed = fc.constantFrom('flash.a', 'flash.b', 'form.errors.a', 'form.errors.b')
const containers = fc.constantFrom('flash', 'form', 'form.errors')
// Every kind of value has keys of its own, so that no change is refused for what it finds.
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ op: fc.constant('put'), key: fc.oneof(fc.constantFrom('a', 'b', 'flash.a', 'made', 'form.errors.c'), containers), value }) },
  { weight: 3, arbitrary: fc.record({ op: fc.constant('flash'), key: flashed, value }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('empty'), key: containers }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('remember'), key: fc.constant('made'), value }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('forget', 'pull'), key: fc.oneof(fc.constantFrom('a', 'b', 'made', 'form.errors.c'), flashed, containers) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('increment'), key: fc.constant('count') }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('keep'), key: flashed }) },
  { weight: 5, arbitrary: fc.record({ op: fc.constantFrom('push', 'now', 'change', 'list', 'flashInput'), value }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constantFrom('reflash', 'token', 'regenerateToken') }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('replace'), value }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constantFrom('flush', 'regenerate', 'migrate', 'invalidate') }) }
)

/** For each request what it does, and when it begins and ends, as places in one order of events. */
const requests = fc.array(
  fc.record({ steps: fc.array(step, { maxLength: 5 }), times: fc.tuple(fc.nat(99), fc.nat(99)) }), { minLength: 2, maxLength: 6 }
)

let flashes = 0

function empty (): Model {
  return { data: {}, flashes: {}, made: [] }
}

/** One request against the model: what it sees of what it found, and what it will change. */
class Request {
  readonly found: Model
  /** What the request sees, and the same without its changes in place. */
  readonly #seen: Model
  readonly #recorded: Model
  #changes: Change[] = []
  #ageing: Record<string, number>
  #input: number | undefined
  #now: Record<string, unknown> = {}
  departure: 'none' | 'move' | 'end' = 'none'

  constructor (found: Model | undefined) {
    this.#isStored = found !== undefined
    this.found = structuredClone(found ?? empty())
    this.#seen = structuredClone(this.found)
    this.#recorded = structuredClone(this.found)
    this.#ageing = { ...this.found.flashes }
    this.#input = this.found.input?.flash
  }

  readonly #isStored: boolean

  /** Does a step to the session and to the model. */
  perform (step: Step, session: Session): void {
    switch (step.op) {
      case 'put':
        session.put(step.key, step.value)
        return this.#record(model => { put(model, step.key, step.value) })
      case 'empty':
        session.put(step.key, {})
        return this.#record(model => { put(model, step.key, {}) })
      case 'flash':
        session.flash(step.key, step.value)
        return this.#flash(step.key, step.value)
      case 'remember': {
        const isThere = valueAt(this.#seen, step.key) !== undefined
        session.remember(step.key, () => step.value)
        if (isThere) return
        return this.#record(model => { if (valueAt(model, step.key) === undefined) set(model, step.key, step.value) })
      }
      case 'forget':
      case 'pull':
        session[step.op](step.key)
        return this.#record(model => { forget(model, step.key) })
      case 'increment':
        session.increment(step.key)
        return this.#record(model => { set(model, step.key, Number(valueAt(model, step.key) ?? 0) + 1) })
      case 'push':
        session.push('pushes', step.value)
        return this.#record(model => { set(model, 'pushes', [...valueAt(model, 'pushes') as number[] | undefined ?? [], step.value]) })
      case 'list':
        session.put('list', [step.value])
        return this.#record(model => { put(model, 'list', [step.value]) })
      case 'change':
        (session.get('list') as number[] | undefined)?.push(step.value);
        (valueAt(this.#seen, 'list') as number[] | undefined)?.push(step.value)
        return
      case 'now':
        session.now('now', step.value)
        this.#now = { now: step.value }
        return
      case 'flashInput': {
        const flash = ++flashes
        session.flashInput({ field: step.value })
        return this.#record(model => { model.input = { value: { field: step.value }, flash } })
      }
      case 'keep':
        session.keep(step.key)
        delete this.#ageing[step.key]
        return
      case 'reflash':
        session.reflash()
        this.#ageing = {}
        this.#input = undefined
        // What was set for this request only is kept as well, as a flash.
        for (const [key, value] of Object.entries(this.#now)) this.#flash(key, value)
        this.#now = {}
        return
      case 'replace':
        session.replace({ a: step.value, list: [step.value] })
        this.#forgetData()
        return this.#record(model => {
          model.data = { a: step.value, list: [step.value] }
          model.flashes = {}
          model.made = []
        })
      case 'flush':
        session.flush()
        this.#forgetData()
        return this.#record(clear)
      case 'token':
        return this.#tokenOf(session)
      case 'regenerateToken':
        session.regenerateToken()
        return this.#takeToken(session)
      case 'regenerate': {
        const makesToken = (this.#isStored && this.departure === 'none') || this.#seen.token !== undefined
        session.regenerate()
        if (this.departure === 'none') this.departure = 'move'
        return makesToken ? this.#takeToken(session) : undefined
      }
      case 'migrate':
        session.migrate()
        if (this.departure === 'none') this.departure = 'move'
        return
      case 'invalidate':
        session.invalidate()
        this.departure = 'end'
        this.#forgetData()
        this.#input = undefined
        this.#changes = []
        clear(this.#seen)
        clear(this.#recorded)
    }
  }

  /** @returns what the request makes of what is stored at its end */
  outcome (stored: Model): Model {
    const model = this.departure === 'end' ? empty() : structuredClone(stored)
    for (const change of this.#changes) change(model)
    const list = valueAt(this.#seen, 'list')
    if (list !== undefined && JSON.stringify(list) !== JSON.stringify(valueAt(this.#recorded, 'list'))) set(model, 'list', list)
    for (const [key, flash] of Object.entries(this.#ageing)) if (model.flashes[key] === flash) forget(model, key)
    if (this.#input !== undefined && model.input?.flash === this.#input) delete model.input
    return model
  }

  /** Whether the request leaves what it found as it was: it writes nothing then, and counts as of when it began. */
  get isIdle (): boolean {
    return this.departure === 'none' && JSON.stringify(this.outcome(this.found)) === JSON.stringify(this.found)
  }

  #record (change: Change): void {
    this.#changes.push(change)
    change(this.#seen)
    change(this.#recorded)
  }

  #flash (key: string, value: unknown): void {
    const flash = ++flashes
    this.#record(model => {
      model.made = [...model.made.filter(made => !isAtOrBelow(made, key)), ...missingOnTheWayTo(model, key)]
      set(model, key, value)
      model.flashes[key] = flash
    })
  }

  #tokenOf (session: Session): void {
    const isThere = this.#seen.token !== undefined
    const token = session.token()
    if (isThere) return
    this.#record(model => { model.token ??= token })
  }

  #takeToken (session: Session): void {
    const token = session.token()
    this.#record(model => { model.token = token })
  }

  #forgetData (): void {
    this.#ageing = {}
    this.#now = {}
  }
}

type Tree = Record<string, unknown>

function isTree (value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isAtOrBelow (key: string, other: string): boolean {
  return `${key}.`.startsWith(`${other}.`)
}

function valueAt ({ data }: Model, key: string): unknown {
  return key.split('.').reduce<unknown>((value, name) => isTree(value) ? value[name] : undefined, data)
}

/** @returns the keys of the objects that are not there on the way to a key, outermost first */
function missingOnTheWayTo (model: Model, key: string): string[] {
  const names = key.split('.').slice(0, -1)
  return names.map((_name, index) => names.slice(0, index + 1).join('.')).filter(outer => !isTree(valueAt(model, outer)))
}

function set (model: Model, key: string, value: unknown): void {
  const names = key.split('.')
  const last = String(names.pop())
  let tree = model.data
  for (const name of names) {
    const next = isTree(tree[name]) ? tree[name] : {}
    tree[name] = next
    tree = next
  }
  tree[last] = structuredClone(value)
}

function put (model: Model, key: string, value: unknown): void {
  set(model, key, value)
  forgetFlashes(model, key)
}

function forget (model: Model, key: string): void {
  remove(model, key)
  forgetFlashes(model, key)
}

function remove (model: Model, key: string): void {
  const dot = key.lastIndexOf('.')
  const tree = dot === -1 ? model.data : valueAt(model, key.slice(0, dot))
  if (isTree(tree)) delete tree[key.slice(dot + 1)]
}

/** What was made on the way to flashes goes with the last of them if it is empty then, and is the application's if not. */
function forgetFlashes (model: Model, key: string): void {
  for (const flashed of Object.keys(model.flashes)) if (isAtOrBelow(flashed, key)) delete model.flashes[flashed]
  model.made = model.made.filter(made => !isAtOrBelow(made, key))
  const over = model.made.filter(made => !Object.keys(model.flashes).some(flashed => isAtOrBelow(flashed, made)))
  model.made = model.made.filter(made => !over.includes(made))
  for (const made of over.sort().reverse()) if (JSON.stringify(valueAt(model, made)) === '{}') remove(model, made)
}

function clear (model: Model): void {
  model.data = {}
  model.flashes = {}
  model.made = []
  delete model.input
  delete model.token
}

function gate (): { readonly opened: Promise<void>, readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>(resolve => { open = resolve })
  return { opened, open }
}

/** Browsers of one visitor, of one application or of several in turn. */
type Open = (t: Test) => Promise<(cookie?: string) => Browser>

const settings: Record<string, Open> = {
  'in memory': async t => (await application(t)).browser,
  'in files': async t => (await application(t, { driver: 'file', files: t.testdir() })).browser,
  'in files that two stores share': async t => {
    const files = t.testdir()
    const [one, other] = [await application(t, { driver: 'file', files }), await application(t, { driver: 'file', files })]
    let turn = 0
    return cookie => (turn++ % 2 === 0 ? one : other).browser(cookie)
  }
}

for (const [setting, open] of Object.entries(settings)) {
  t.test(`whatever requests do at the same time, sessions ${setting} end up as if they had done it one after the other`, async t => {
    const browser = await open(t)
    await t.resolves(fc.assert(fc.asyncProperty(requests, async requests => {
      /** By cookie, what its session holds; undefined once it has ended. */
      const models = new Map<string, Model | undefined>()
      /** What the browser's next request says. */
      let cookie: string | undefined

      const running = requests.map(({ steps }) => {
        const [changed, ending] = [gate(), gate()]
        return {
          async begin () {
            const sent = cookie
            const tab = browser(sent)
            const request = new Request(sent === undefined ? undefined : models.get(sent))
            const isDetached = sent !== undefined && models.get(sent) === undefined
            const response = tab.visit(async session => {
              session.all()
              for (const step of steps) request.perform(step, session)
              changed.open()
              await ending.opened
            })
            await Promise.race([changed.opened, response])
            this.end = async () => {
              ending.open()
              await response
              const stored = sent === undefined ? undefined : models.get(sent)
              if (isDetached || (sent !== undefined && stored === undefined)) {
                assert.deepEqual(tab.setCookie, [], 'a late request leaves the cookie alone')
                return
              }
              if (request.isIdle) return
              const outcome = request.outcome(stored ?? empty())
              if (sent !== undefined && request.departure === 'none') {
                models.set(sent, outcome)
                return
              }
              if (sent !== undefined) models.set(sent, undefined)
              const isEmpty = JSON.stringify(outcome) === JSON.stringify(empty())
              const begins = !isEmpty || (sent !== undefined && request.departure === 'move')
              if (begins) assert.notEqual(tab.cookie, sent, 'a new id is told')
              else assert.ok(tab.cookie === undefined, 'and an end, too')
              if (tab.cookie !== undefined) models.set(tab.cookie, outcome)
              if (tab.setCookie.length > 0) cookie = tab.cookie
            }
          },
          end: async () => {}
        }
      })

      const events = running.flatMap((request, index) => {
        const [one = 0, other = 0] = requests[index]?.times ?? []
        return [
          { at: Math.min(one, other), happen: async () => { await request.begin() } },
          { at: Math.max(one, other) + 0.5, happen: async () => { await request.end() } }
        ]
      })
      for (const { happen } of events.sort((a, b) => a.at - b.at)) await happen()

      for (const [cookie, model] of models) {
        await browser(cookie).visit(session => {
          assert.deepEqual(session.all(), model?.data ?? {})
          assert.deepEqual(session.old(), model?.input?.value ?? {})
          if (model?.token !== undefined) assert.ok(session.hasToken(model.token))
        }, { readonly: true })
        if (model === undefined) continue
        // One more request sees the flashes, and the next one does not.
        await browser(cookie).visit(session => { session.all() })
        for (const key of Object.keys(model.flashes)) forget(model, key)
        await browser(cookie).visit(session => {
          assert.deepEqual(session.all(), model.data)
          assert.deepEqual(session.old(), {})
        }, { readonly: true })
      }
    }), { numRuns: RUNS }))
  })
}
