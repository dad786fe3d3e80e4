/**
 * Commits that are made at once and written a little later, together with others: what a file system does for one file after
 * the other costs a good deal less than what it does in between other work.
 */
import type { SessionStore } from './store.ts'

/** Whoever has commits written later. He vouches that nobody outside the process learns of them before {@link PostponingStore.flush}. */
export interface Postponer<T = unknown> {
  /** Commits, at once. */
  commit (): T
  /** Called when a commit could not be written after all. Nobody must learn of it any more. Must not throw. */
  noteLoss (cause: unknown): void
}

/**
 * A store that can put off writing. Nobody ever reads what is not written: whoever asks for such a record has it written
 * first, and so does a process that gives way to another one.
 */
export interface PostponingStore extends SessionStore {
  /** Has somebody commit what may be written with the next {@link flush}. */
  postpone<T> (postponer: Postponer<T>): T
  /** Writes what has been put off. Never throws: faults are told to whoever they concern. */
  flush (): void
}

export function canPostpone (store: SessionStore): store is PostponingStore {
  return 'postpone' in store && 'flush' in store
}
