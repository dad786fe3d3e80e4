/** The names options are given by: camelCase, or the snake_case of a Laravel file. */
import { notAnOption } from './nearest.ts'
import { adviceFor, cookieAdvice, MAY_BE_NULL } from './peers.ts'
import { type OptionName, optionNames } from './schema.ts'

/** One option as it was found. */
export interface Given {
  /** The name under which it was given, for error messages: `http_only`, `SESSION_HTTP_ONLY`. */
  readonly label: string
  readonly value: unknown
}

export interface Reading {
  readonly given: Map<OptionName, Given>
  readonly problems: string[]
}

/** @param place goes in front of every name: the file that the options are from, where others are from elsewhere */
export function readNames (options: object, place = ''): Reading {
  const given = new Map<OptionName, Given>()
  const problems: string[] = []
  for (const [written, value] of Object.entries(options)) {
    const label = `${place}${written}`
    const isAbsent = value === undefined || value === null
    const name = optionNamed(written)
    const other = name && given.get(name)
    if (name === undefined) {
      if (!(isAbsent && MAY_BE_NULL.includes(written))) problems.push(`${label}: ${adviceFor(written, value, options) ?? notAnOption(camelCase(written), KNOWN)}`)
    } else if (isAbsent) {
      continue
    } else if (other !== undefined) {
      problems.push(`${label}: is the same option as ${other.label}; give one of the two`)
    } else if (name === 'cookie' && typeof value === 'object') {
      problems.push(`${label}: ${cookieAdvice(value as object, options)}`)
    } else {
      given.set(name, { label, value })
    }
  }
  return { given, problems }
}

/** What a misspelled name may stand for. */
const KNOWN = [...optionNames, 'configFile']

function optionNamed (label: string): OptionName | undefined {
  const name = camelCase(label)
  return optionNames.find(known => known === name)
}

function camelCase (name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
