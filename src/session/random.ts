import { randomFillSync } from 'node:crypto'

/** Asking the system for random bytes costs the same for thirty as for thousands of them, so they are drawn in advance. */
const pool = Buffer.allocUnsafeSlow(8192)
let drawn = pool.length

/** @returns so many bytes from the system's cryptographic random source, as base64url; at most those of the pool */
export function randomText (bytes: number): string {
  if (drawn + bytes > pool.length) {
    randomFillSync(pool)
    drawn = 0
  }
  const text = pool.toString('base64url', drawn, drawn + bytes)
  // Nobody is to find in memory what was given out as a secret.
  pool.fill(0, drawn, drawn + bytes)
  drawn += bytes
  return text
}
