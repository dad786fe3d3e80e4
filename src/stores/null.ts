import type { SessionStore, Version } from './store.ts'

/** Keeps nothing: every request finds a new session. For running an application without sessions for a while. */
export const nullStore: SessionStore = {
  readsSynchronously: true,
  read: () => undefined,
  compareAndSet: (_key, _record, expected) => expected === undefined ? 1 as Version : 'gone',
  touch: () => false,
  destroy: () => 'gone'
}
