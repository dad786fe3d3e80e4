import { closest, distance } from 'fastest-levenshtein'

/** Of three letters one may be wrong for a name to count as misspelled. */
const TOLERANCE = 1 / 3

/** @returns that there is no option of this name, and the known name that it most likely stands for; capitals and `_` do not count */
export function notAnOption (name: string, known: readonly string[]): string {
  const wanted = plain(name)
  const found = closest(wanted, known.map(plain))
  const suggestion = distance(wanted, found) <= wanted.length * TOLERANCE ? known.find(candidate => plain(candidate) === found) : undefined
  return `is not an option${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`
}

/** A name as names are compared: in lower case and without `_`. */
export function plain (name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}
