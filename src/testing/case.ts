import type { OptionalMethod, SessionStore, StoreWith } from '../stores/store.ts'

/** What a case works with. */
export interface Subject {
  readonly store: SessionStore
  /** Another store on the same storage, as another process would have it. The store itself where there is none. */
  readonly other: SessionStore
  /** The largest payload that the store takes, in bytes. */
  readonly maxBytes: number
}

/** What a case about an optional method works with. */
export interface SubjectWith<Method extends OptionalMethod> extends Subject {
  readonly store: StoreWith<Method>
  readonly other: StoreWith<Method>
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

/** A case about an optional method, which the stores that it is run with have to have. */
export function caseOf<Method extends OptionalMethod> (needs: Method, name: string, run: (subject: SubjectWith<Method>) => Promise<void>): Case {
  return { name, needs, run: async subject => { await run(subject as SubjectWith<Method>) } }
}
