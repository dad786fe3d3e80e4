/** What all sessions of an application have in common: their store, their lifetime, their limits. */
import type { Report } from '../report.ts'
import type { SessionStore } from '../stores/store.ts'
import type { Lifetime } from './expiry.ts'
import type { PayloadFormat } from './payload.ts'
import type { SessionState } from './state.ts'

export interface SessionSettings {
  readonly store: SessionStore
  readonly format: PayloadFormat
  readonly lifetime: Lifetime
  /** Milliseconds for which a tombstone stands. */
  readonly grace: number
  /** The largest payload, in bytes. */
  readonly maxBytes: number
  readonly report: Report
}

/** @returns until when the tombstone of a session that ends now stands; undefined where it gets none */
export function tombstoneUntil ({ grace }: Pick<SessionSettings, 'grace'>): Date | undefined {
  return grace === 0 ? undefined : new Date(Date.now() + grace)
}

/** @returns the lifetime of one session: its own, where it has one */
export function lifetimeOf ({ lifetime }: SessionSettings, { idle }: Readonly<SessionState>): Lifetime {
  return idle === undefined ? lifetime : { ...lifetime, idle }
}
