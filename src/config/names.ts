/** The names options are given by: camelCase, or the snake_case of a Laravel file. */
import { closest, distance } from 'fastest-levenshtein'
import type { OptionName } from './schema.ts'
import { optionNames } from './schema.ts'

/** One option as it was found. */
export interface Given {
  /** What the one who gave it calls it, for faults: `http_only`, `SESSION_HTTP_ONLY`. */
  readonly label: string
  readonly value: unknown
}

export interface Reading {
  readonly given: Map<OptionName, Given>
  readonly problems: string[]
}

/** Laravel's options that have no counterpart, and what there is instead. */
const HINTS = new Map([
  ['lottery', 'is not needed: expired sessions are removed in the background, see sweep'],
  ['store', 'is not an option: pass the store itself as driver']
])

/** Of three letters one may be wrong for a name to be taken for a slip of the pen. */
const TOLERANCE = 1 / 3

export function readNames (options: object): Reading {
  const given = new Map<OptionName, Given>()
  const problems: string[] = []
  for (const [label, value] of Object.entries(options)) {
    const absent = value === undefined || value === null
    const name = optionNamed(label)
    const other = name && given.get(name)
    if (name === undefined) {
      // Laravel's own file has `store: null`.
      if (!(absent && HINTS.has(label))) problems.push(`${label}: ${HINTS.get(label) ?? unknownName(label)}`)
    } else if (absent) {
      continue
    } else if (other === undefined) {
      given.set(name, { label, value })
    } else {
      problems.push(`${label}: is the same option as ${other.label}; give one of the two`)
    }
  }
  return { given, problems }
}

function optionNamed (label: string): OptionName | undefined {
  const name = camelCase(label)
  return optionNames.find(known => known === name)
}

function camelCase (name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function unknownName (label: string): string {
  const name = camelCase(label).toLowerCase()
  const nearest = closest(name, optionNames.map(known => known.toLowerCase()))
  const suggestion = distance(name, nearest) <= name.length * TOLERANCE && optionNames.find(known => known.toLowerCase() === nearest)
  return `is not an option${suggestion ? `; did you mean ${suggestion}?` : ''}`
}
