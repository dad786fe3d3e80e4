/** Turns the given options into a complete configuration, or throws all that is wrong with them. */
import { resolve } from 'node:path'
import { SessionConfigError } from '../errors.ts'
import { readEnvironment } from './environment.ts'
import { type Given, readNames } from './names.ts'
import type { SessionConfig } from './options.ts'
import { rules } from './rules.ts'
import { type OptionName, sessionSchema } from './schema.ts'

export interface Surroundings {
  /** Where `SESSION_*` variables are looked up. */
  readonly env: NodeJS.ProcessEnv
  /** The directory that relative paths start from. */
  readonly cwd: string
}

export interface Layer {
  readonly options: object
  /** What goes in front of the options' names in a fault; nothing where the error's title says where they are. */
  readonly place?: string
}

/**
 * @param layers the given options; earlier layers take precedence
 * @param source what the options are called in an error: the file they were found in
 * @throws SessionConfigError with all problems at once
 */
export function checkOptions (layers: readonly Layer[], { env, cwd }: Surroundings, source?: string): SessionConfig {
  const readings = layers.map(({ options, place }) => readNames(options, place))
  const explicit = new Map(readings.toReversed().flatMap(({ given }) => [...given]))
  const defaults = readEnvironment(env, explicit)
  const given = new Map([...defaults.given, ...explicit])
  const problems = [...readings, defaults].flatMap(({ problems }) => problems)
  // Only what was given can be at fault, so every option that needs a label has one.
  const labels = Object.fromEntries([...given].map(([name, { label }]) => [name, label])) as Record<OptionName, string>
  const faulty = new Set<OptionName>()

  const result = sessionSchema.safeParse(valuesOf(given))
  for (const { path: [root, ...rest], message } of result.error?.issues ?? []) {
    const name = root as OptionName
    faulty.add(name)
    problems.push(`${labels[name]}${rest.map(member).join('')}: ${message}`)
  }

  // Rules run on valid options only: those that involve a faulty one wait until it is mended.
  const config = result.data ?? sessionSchema.parse(valuesOf(given, faulty))
  for (const { of, and, problem } of rules) {
    const found = !faulty.has(of) && !faulty.has(and) && problem(config)
    if (found !== false) problems.push(`${labels[of]}: ${found}`)
  }

  if (problems.length > 0) throw new SessionConfigError(problems, source)
  const { csrf, dontFlash } = config
  return { ...config, files: resolve(cwd, config.files), dontFlash: csrf === false ? dontFlash : [...dontFlash, csrf.field] }
}

function valuesOf (given: Map<OptionName, Given>, without = new Set<OptionName>()): object {
  return Object.fromEntries([...given].filter(([name]) => !without.has(name)).map(([name, { value }]) => [name, value]))
}

function member (segment: PropertyKey): string {
  return typeof segment === 'number' ? `[${segment}]` : `.${String(segment)}`
}
