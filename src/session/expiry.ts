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

/** Whether enough time has passed to be worth writing a later expiry. */
export function isRenewalDue (now: number, createdAt: number, expiresAt: number, lifetime: Lifetime): boolean {
  return expiryFrom(now, createdAt, lifetime) - expiresAt >= renewalStep(lifetime)
}

/**
 * The times between which an expiry is right as it is: renewing is not due, and it is not later than it would be if it were
 * set now, as it can be after the lifetime was shortened or the clock was put back.
 */
export function quietTimes (createdAt: number, expiresAt: number, lifetime: Lifetime): { from: number, until: number } {
  const { idle, absolute = Infinity } = lifetime
  const from = expiresAt - idle
  const room = createdAt + absolute - expiresAt
  if (room < 0) return { from, until: from }
  const step = renewalStep(lifetime)
  return { from, until: room < step ? expiresAt : from + step }
}

function renewalStep ({ idle }: Lifetime): number {
  return Math.min(idle * RENEWAL_SHARE, RENEWAL_MAX)
}
