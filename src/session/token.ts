import { randomBytes } from 'node:crypto'

const BYTES = 30

/** @returns a CSRF token of 40 characters */
export function newToken (): string {
  return randomBytes(BYTES).toString('base64url')
}
