/** CSRF tokens: the one that a session keeps, and the masked forms of it that go into pages. */
import { timingSafeEqual } from 'node:crypto'
import { randomBytes, randomText } from './random.ts'

const BYTES = 30

/** @returns a CSRF token of 40 characters */
export function newToken (): string {
  return randomText(BYTES)
}

/**
 * The token in a form that is another one each time: random bytes, and the token combined with them. A page whose response is
 * compressed would otherwise give its token away by its length (BREACH).
 */
export function masked (token: string): string {
  const bytes = Buffer.from(token)
  const pad = randomBytes(bytes.length)
  return Buffer.concat([pad, combined(pad, bytes)]).toString('base64url')
}

/** @returns whether the candidate is the token, or a masked form of it; takes the same time whatever the candidate's text is */
export function isTokenOf (token: string, candidate: string): boolean {
  const expected = Buffer.from(token)
  const actual = candidate.length === maskedLength(expected.length) ? unmasked(candidate) : Buffer.from(candidate)
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}

function unmasked (candidate: string): Buffer {
  const bytes = Buffer.from(candidate, 'base64url')
  const half = bytes.length / 2
  return combined(bytes.subarray(0, half), bytes.subarray(half))
}

/** @returns the characters of a masked token; it is never as long as the token itself */
function maskedLength (bytes: number): number {
  return Math.ceil(bytes * 2 * 4 / 3)
}

function combined (pad: Buffer, bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte, index) => byte ^ (pad[index] ?? 0)))
}
