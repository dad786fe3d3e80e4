/** The clock by which stores wait, which tests put forward instead of waiting. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Test } from 'tap'

export interface FastClock {
  jump (milliseconds: number): void
  /** From now on the time goes on by jumps alone, so that nothing depends on how long the machine takes. */
  stand (): void
  /** How often the time was asked for since the last jump. */
  readonly looks: number
}

/** A clock that goes on by itself and can be put forward, until the test has ended. */
export function fastClock (t: Test): FastClock {
  const original = performance.now.bind(performance)
  let ahead = 0
  let stoodAt: number | undefined
  const clock = {
    looks: 0,
    jump: (milliseconds: number) => { ahead += milliseconds; clock.looks = 0 },
    stand: () => { stoodAt = original() }
  }
  t.intercept(performance, 'now', { value: () => { clock.looks++; return (stoodAt ?? original()) + ahead } })
  return clock
}

export async function until (isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await nextTurn()
}
