import { SessionValueError } from '../errors.ts'

/** What a column of an SQL database with an index on it holds. */
const LONGEST = 255
/** What does not come back from every store as it went in: the character NUL, and half of a pair of surrogates. */
const UNSAFE = /\0|\p{Surrogate}/u

/**
 * @returns a user's id as it is stored
 * @throws SessionValueError when it could be mistaken for another one, or not be stored
 */
export function userIdOf (id: unknown): string {
  if (typeof id === 'number') {
    if (Number.isSafeInteger(id)) return String(id)
    throw new SessionValueError('(user)', 'has to be a whole number that JavaScript can tell from the next one, or a text')
  }
  if (typeof id !== 'string' || id === '' || id.length > LONGEST || UNSAFE.test(id)) {
    throw new SessionValueError('(user)', `has to be a number or a text of 1 to ${LONGEST} characters, without NUL`)
  }
  return id
}
