/** The clock by which stores wait, put forward by tests so that nobody has to wait. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Test } from 'tap'

export interface FastClock {
  jump (milliseconds: number): void
  /** How often the time was asked for since the last jump. */
  readonly looks: number
}

/** A clock that goes on by itself and can be put forward, until the test has ended. */
export function fastClock (t: Test): FastClock {
  const original = performance.now.bind(performance)
  let ahead = 0
  const clock = { looks: 0, jump: (milliseconds: number) => { ahead += milliseconds; clock.looks = 0 } }
  t.intercept(performance, 'now', { value: () => { clock.looks++; return original() + ahead } })
  return clock
}

export async function until (isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await nextTurn()
}
