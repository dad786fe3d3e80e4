import { randomText } from './random.ts'

/** Tells one flash of a key from the next flash of it. */
export type Stamp = string & { readonly brand: 'Stamp' }

const BYTES = 6

export function newStamp (): Stamp {
  return randomText(BYTES) as Stamp
}
