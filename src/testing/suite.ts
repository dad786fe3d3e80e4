import type { MaybePromise, SessionStore } from '../stores/store.ts'
import type { Case } from './case.ts'
import { destroying } from './destroying.ts'
import { listing } from './listing.ts'
import { locking } from './locking.ts'
import { reading } from './reading.ts'
import { sweeping } from './sweeping.ts'
import { touching } from './touching.ts'
import { writing } from './writing.ts'

/** Everything the contract of SessionStore asks for, as cases. */
export const cases: readonly Case[] = [...reading, ...writing, ...touching, ...destroying, ...sweeping, ...listing, ...locking]

/** The function that a test runner declares a test with. What a test is called with may have a `skip(reason)`. */
export type TestFunction = (name: string, run: (...args: unknown[]) => Promise<void>) => unknown

export interface TestStoreOptions<Store extends SessionStore> {
  /**
   * Opens another store on the storage of the first, as another process would have it. With it, the cases about what
   * happens at the same time go over both.
   */
  readonly another?: (store: Store) => MaybePromise<SessionStore>
  /** The largest payload that the store takes, in bytes. Default: 1048576 (1 MiB), what the option `maxBytes` has. */
  readonly maxBytes?: number
}

const MAX_BYTES = 1024 * 1024

/**
 * Declares a test for every sentence of the contract.
 *
 * @param test the function of tap, node:test, vitest or another runner that declares a test
 * @param make makes a store, one for each test. The suite calls its `open` and its `close`. Stores may share a storage,
 *   as long as nothing else uses it while the tests run.
 * @returns when all tests have run, if the runner says so
 * @example
 * ```ts
 * import { test } from 'node:test'
 * import { testStore } from 'ambient-session/testing'
 * import { MyStore } from './my-store.ts'
 *
 * await testStore(test, () => new MyStore())
 * ```
 */
export async function testStore<Store extends SessionStore> (
  test: TestFunction, make: () => MaybePromise<Store>, { another, maxBytes = MAX_BYTES }: TestStoreOptions<Store> = {}
): Promise<void> {
  // Declared before anything is awaited: runners want all tests at once. And with rest parameters, since a test that names
  // a parameter is called with a callback by some of them.
  await Promise.all(cases.map(({ name, needs, run }) => test(name, async (...[context]) => {
    await withOpen(make, async store => {
      if (needs !== undefined && store[needs] === undefined) return skip(context, `the store has no ${needs}()`)
      if (another === undefined) return await run({ store, other: store, maxBytes })
      await withOpen(() => another(store), async other => { await run({ store, other, maxBytes }) })
    })
  })))
}

async function withOpen<Store extends SessionStore> (make: () => MaybePromise<Store>, use: (store: Store) => MaybePromise<void>): Promise<void> {
  const store = await make()
  await store.open?.()
  try {
    await use(store)
  } finally {
    await store.close?.()
  }
}

/** Skips a test, with runners that can. In vitest this throws. */
function skip (context: unknown, reason: string): void {
  const { skip } = (context ?? {}) as { skip?: unknown }
  if (typeof skip === 'function') skip.call(context, reason)
}
