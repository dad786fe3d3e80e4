/** Names of keys in messages. They may come from a request, so they are quoted, escaped and cut. */

const LONGEST_NAME = 40
const MOST_NAMES = 5
/** Control characters, line separators and what changes the direction of text. */
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/**
 * @param names at least one
 * @returns for example `'user', 'cart' and 3 more`
 */
export function quoted (names: readonly string[]): string {
  const shown = names.slice(0, MOST_NAMES).map(name => quote(name)).join(', ')
  return names.length > MOST_NAMES ? `${shown} and ${names.length - MOST_NAMES} more` : shown
}

/** @param longest characters that are shown of the name */
export function quote (name: string, longest = LONGEST_NAME): string {
  return `'${name.length > longest ? `${escaped(cut(name, longest))}…` : escaped(name)}'`
}

function cut (name: string, length: number): string {
  const start = name.slice(0, length)
  // Half of a surrogate pair is no character.
  return /[\ud800-\udbff]$/.test(start) ? start.slice(0, -1) : start
}

function escaped (name: string): string {
  return name
    .replace(/[\\']/g, '\\$&')
    .replace(UNPRINTABLE, character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
