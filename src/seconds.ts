/** Milliseconds since 1970 until 2020. */
const START = 1_577_836_800_000

/**
 * The second that a time is in. Until 2088 it is a small integer, which V8 keeps in the member that it is written into; a time
 * in milliseconds is an object of its own, and a Date two of them, that are rarely found in the processor's caches. So what
 * is asked for every request compares seconds first.
 *
 * @param time in milliseconds since 1970
 * @returns seconds since 2020, rounded down
 */
export function secondOf (time: number): number {
  return Math.floor((time - START) / 1000)
}
