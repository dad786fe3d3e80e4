/** The published conformance suite, case by case, and what its cases are written with. */
import type { SessionStore } from '../../src/index.ts'
import { cases } from '../../src/testing/suite.ts'

export { create, createRecord, increment, newKey, readLiving, recordOf } from '../../src/testing/records.ts'
export { isRecord } from '../../src/stores/store.ts'

export interface Case {
  /** A sentence about a store. */
  readonly name: string
  readonly run: (store: SessionStore, other?: SessionStore) => Promise<void>
}

/** The cases for a store, without those for optional methods that it does not have. */
export function casesFor (store: SessionStore): readonly Case[] {
  return cases
    .filter(({ needs }) => needs === undefined || store[needs] !== undefined)
    .map(({ name, run }) => ({ name, run: async (store, other = store) => { await run({ store, other, maxBytes: 1024 * 1024 }) } }))
}
