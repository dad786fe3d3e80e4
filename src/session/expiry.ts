/** When sessions end: after a time without use, and at the latest some time after they began. */
export interface Lifetime {
  /** Idle timeout in milliseconds. */
  readonly idle: number
  /** Absolute timeout in milliseconds from creation, if any. */
  readonly absolute: number | undefined
}

/** A session's expiry is moved when at least this share of the idle timeout has passed since it was last moved … */
const RENEWAL_SHARE = 1 / 20
/** … or this many milliseconds. So reading writes at most once a minute, and a session ends at most that much early. */
const RENEWAL_MAX = 60_000

export function expiryFrom (now: number, createdAt: number, { idle, absolute = Infinity }: Lifetime): number {
  return Math.min(now + idle, createdAt + absolute)
}

/**
 * @returns the expiry to write for a session that is used now: later where enough time has passed to be worth a write,
 *   earlier where the lifetime was shortened or the clock was put back; undefined where the stored one is right
 */
export function dueExpiry (now: number, createdAt: Date, expiresAt: Date, lifetime: Lifetime): Date | undefined {
  const latest = expiryFrom(now, createdAt.getTime(), lifetime)
  const move = latest - expiresAt.getTime()
  return move < 0 || move >= renewalStep(lifetime) ? new Date(latest) : undefined
}

/**
 * Whether a session has been idle for longer than its lifetime, although it was stored with a later expiry: the lifetime was
 * shortened since. Only known of sessions that say when they were last used.
 */
export function isIdleTooLong (now: number, lastActivity: Date | undefined, lifetime: Lifetime): boolean {
  return lastActivity !== undefined && lastActivity.getTime() + lifetime.idle + renewalStep(lifetime) <= now
}

function renewalStep ({ idle }: Lifetime): number {
  return Math.min(idle * RENEWAL_SHARE, RENEWAL_MAX)
}
