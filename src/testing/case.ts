import type { OptionalMethod, SessionStore, StoreWith } from '../stores/store.ts'

/** What a case works with. */
export interface Subject {
  readonly store: SessionStore
  /** Another store on the same storage, as another process would have it. The store itself where there is none. */
  readonly other: SessionStore
  /** The largest payload that the store takes, in bytes. */
  readonly maxBytes: number
}

export interface Case {
  /** A sentence about a store. */
  readonly name: string
  /** The optional method that the case is about. */
  readonly needs?: OptionalMethod
  /** Throws when the store does something else than the contract says. */
  readonly run: (subject: Subject) => Promise<void>
}

/** A case about what every store can do. */
export function storeCase (name: string, run: Case['run']): Case {
  return { name, run }
}

/** A case about an optional method, which the store that it is run with has to have. */
export function caseOf<Method extends OptionalMethod> (needs: Method, name: string, run: (store: StoreWith<Method>) => Promise<void>): Case {
  return { name, needs, run: async ({ store }) => { await run(store as StoreWith<Method>) } }
}
