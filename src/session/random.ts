import { randomFillSync } from 'node:crypto'

/** Asking the system for random bytes costs 4 µs, for thirty as for thousands of them (Node 20), so they are drawn in advance. */
const pool = Buffer.allocUnsafeSlow(8192)
let drawn = pool.length

/** @returns so many bytes from the system's cryptographic random source, as base64url; at most those of the pool */
export function randomText (bytes: number): string {
  return draw(bytes, (first, end) => pool.toString('base64url', first, end))
}

/** As {@link randomText}, as bytes. */
export function randomBytes (bytes: number): Buffer {
  return draw(bytes, (first, end) => Buffer.from(pool.subarray(first, end)))
}

function draw<T> (bytes: number, take: (first: number, end: number) => T): T {
  if (drawn + bytes > pool.length) {
    randomFillSync(pool)
    drawn = 0
  }
  const first = drawn
  drawn += bytes
  const taken = take(first, drawn)
  // What was given out as a secret is not left in memory.
  pool.fill(0, first, drawn)
  return taken
}
