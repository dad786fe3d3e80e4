import { versionAfter } from './record.ts'
import type { SessionStore } from './store.ts'

/** Accepts everything and keeps nothing: every request finds a new session. For running an application without sessions for a while. */
export const nullStore: SessionStore = {
  readsSynchronously: true,
  read: () => undefined,
  compareAndSet: (_key, _record, expected) => versionAfter(expected),
  touch: () => true,
  destroy: () => 'destroyed'
}
