import type { SessionStore, Version } from './store.ts'

/** Accepts everything and keeps nothing: every request finds a new session. For running an application without sessions for a while. */
export const nullStore: SessionStore = {
  readsSynchronously: true,
  read: () => undefined,
  compareAndSet: (_key, _record, expected) => ((expected ?? 0) + 1) as Version,
  touch: () => true,
  destroy: () => 'destroyed'
}
