/**
 * The application behind the tests of this folder, as it runs in processes of its own. What a request does is told by the
 * request: `POST /do` with a list of steps, each the name of an action and its arguments.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { isRecord, session, type SessionStore, type SessionValues, type StoreKey } from '../../src/index.ts'
import { advanceClock } from './clock.ts'
import { Gates } from './gates.ts'

export type Step = readonly [action: string, ...args: unknown[]]

interface Done {
  readonly code?: string
  readonly keys?: readonly string[]
}

export interface Surroundings {
  /** For what is done to sessions by others than their visitors. */
  readonly store: SessionStore
  /** What was logged so far. */
  readonly warnings: readonly Done[]
}

const gates = new Gates()

const actions: Record<string, (...args: never[]) => unknown> = {
  all: () => session().all(),
  get: (key: string) => session().get(key) ?? null,
  key: () => session().key,
  id: () => session().id,
  put: (key: string, value: unknown) => { session().put(key, value) },
  forget: (key: string) => { session().forget(key) },
  flush: () => { session().flush() },
  replace: (values: SessionValues) => { session().replace(values) },
  increment: (key: string) => session().increment(key),
  push: (key: string, value: unknown) => { session().push(key, value) },
  pull: (key: string) => session().pull(key) ?? null,
  remember: (key: string, value: unknown) => session().remember(key, () => value),
  flash: (key: string, value: unknown) => { session().flash(key, value) },
  now: (key: string, value: unknown) => { session().now(key, value) },
  reflash: () => { session().reflash() },
  keep: (key: string) => { session().keep(key) },
  flashInput: (input: Record<string, unknown>) => { session().flashInput(input) },
  old: () => session().old(),
  token: () => session().token(),
  regenerateToken: () => { session().regenerateToken() },
  setPreviousUrl: (url: string) => { session().setPreviousUrl(url) },
  regenerate: () => { session().regenerate() },
  migrate: () => { session().migrate() },
  invalidate: () => { session().invalidate() },
  save: async () => { await session().save() },
  reload: async () => { await session().reload() },

  /** Appends to a list by changing it in place. */
  change (key: string, value: unknown) {
    (session().get(key) as unknown[] | undefined)?.push(value)
  },

  /** Adds to a number as an application does that thinks about it: serial only where the session is held exclusively. */
  async think (key: string) {
    const before = Number(session().get(key, 0))
    await nextTurn()
    session().put(key, before + 1)
  },

  /** Waits until the test opens the gate. */
  gate: async (name: string) => { await gates.pass(name) },
  pid: () => process.pid,
  fail: () => { throw new Error('as was asked for') }
}

/** @returns what each step gave */
async function perform (steps: readonly Step[]): Promise<unknown[]> {
  const results: unknown[] = []
  for (const [name, ...args] of steps) {
    const action = actions[name]
    if (action === undefined) throw new TypeError(`no step is called ${name}`)
    results.push(await action(...args as never[]))
  }
  return results
}

/** Counts requests at a gate, before anything else happens to them. */
export function countArrivals (app: FastifyInstance): void {
  app.addHook('onRequest', async ({ headers }) => {
    const name = headers['x-arrives-at']
    if (typeof name === 'string') gates.arrive(name)
  })
}

/** Routes of the application, and those by which a test guides it; these have no session. */
export function routes (app: FastifyInstance, { store, warnings }: Surroundings): void {
  app.post<{ Body: Step[] }>('/do', async ({ body }) => await perform(body))
  app.post<{ Body: Step[] }>('/block', { config: { session: { block: { lock: 60, wait: 30 } } } }, async ({ body }) => await perform(body))
  app.post<{ Body: Step[] }>('/block-briefly', { config: { session: { block: { lock: 60, wait: 0.5 } } } }, async ({ body }) => await perform(body))

  app.register(async control => {
    control.addHook('onRoute', route => { route.config = { ...route.config, session: false } })
    control.post<{ Params: { gate: string } }>('/open/:gate', async ({ params }) => { gates.open(params.gate) })
    control.get<{ Params: { gate: string, count: number } }>('/reached/:gate/:count', async ({ params }) => {
      await gates.reached(params.gate, Number(params.count))
    })
    control.post<{ Params: { seconds: number } }>('/advance/:seconds', async ({ params }) => { advanceClock(Number(params.seconds)) })
    control.get('/warnings', async () => warnings)
    control.post<{ Params: { key: string, grace: number } }>('/end/:key/:grace', async ({ params }) => {
      const until = Number(params.grace) === 0 ? undefined : new Date(Date.now() + Number(params.grace) * 1000)
      return await store.destroy(params.key as StoreKey, until)
    })
    control.get<{ Params: { key: string } }>('/found/:key', async ({ params }) => {
      const found = await store.read(params.key as StoreKey)
      return isRecord(found) ? 'a living session' : found === undefined ? 'nothing' : 'gone'
    })
  }, { prefix: '/control' })
}
