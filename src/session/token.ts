import { randomText } from './random.ts'

const BYTES = 30

/** @returns a CSRF token of 40 characters */
export function newToken (): string {
  return randomText(BYTES)
}
