/** `SESSION_*` variables, which take the place of the defaults. Their names and spellings are those Laravel uses. */
import type { Given, Reading } from './names.ts'
import { type OptionName, optionNames } from './schema.ts'

type Reader = (text: string) => unknown

/** How each option is read from text. What cannot be read stays text, which the schema then refuses. */
const READERS: Record<OptionName, Reader> = {
  driver: asText,
  files: asText,
  durable: asFlag,
  asyncReads: asFlag,
  connection: asText,
  table: asText,
  createTable: asFlag,
  timeout: asNumber,
  lifetime: asNumber,
  absoluteLifetime: asNumber,
  expireOnClose: asFlag,
  cookie: asText,
  path: asText,
  domain: asText,
  secure: asFlag,
  httpOnly: asFlag,
  sameSite: asText,
  partitioned: asFlag,
  secret: asTexts,
  encrypt: asFlag,
  block: asFlag,
  previousUrl: asFlag,
  dontFlash: asList,
  csrf: asFlag,
  flashValidation: asFlag,
  // Stores and functions cannot be named in the environment.
  adopt: asText,
  grace: asNumber,
  sweep: asNumberOrFalse,
  maxBytes: asNumber
}

const ALIASES: Partial<Record<OptionName, string>> = {
  secure: 'SESSION_SECURE_COOKIE',
  partitioned: 'SESSION_PARTITIONED_COOKIE'
}

const FLAGS = new Map([['true', true], ['(true)', true], ['1', true], ['false', false], ['(false)', false], ['0', false]])
const NOTHING = ['', 'null', '(null)', 'empty', '(empty)']

/** @param explicit the options given otherwise, whose variables are not looked at */
export function readEnvironment (env: NodeJS.ProcessEnv, explicit: ReadonlyMap<OptionName, Given>): Reading {
  const given = new Map<OptionName, Given>()
  const problems: string[] = []
  for (const name of optionNames) {
    if (explicit.has(name)) continue
    const [label, other] = variablesOf(name).filter(variable => isSet(env[variable]))
    if (label === undefined) continue
    given.set(name, { label, value: READERS[name](String(env[label]).trim()) })
    if (other !== undefined) problems.push(`${other}: is the same option as ${label}; set one of the two`)
  }
  return { given, problems }
}

function variablesOf (name: OptionName): string[] {
  const variable = `SESSION_${name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
  const alias = ALIASES[name]
  return alias === undefined ? [variable] : [variable, alias]
}

function isSet (text: string | undefined): boolean {
  return text !== undefined && !NOTHING.includes(text.trim().toLowerCase())
}

function asText (text: string): string {
  return text
}

function asList (text: string): string[] {
  return text.split(',').map(part => part.trim())
}

function asTexts (text: string): string | string[] {
  const texts = asList(text)
  return texts.length === 1 ? text : texts
}

function asFlag (text: string): boolean | string {
  return FLAGS.get(text.toLowerCase()) ?? text
}

function asNumber (text: string): number | string {
  return Number.isNaN(Number(text)) ? text : Number(text)
}

function asNumberOrFalse (text: string): number | string | boolean {
  // 0 stays a number here: as an interval it is a mistake, not a way to say false.
  return ['false', '(false)'].includes(text.toLowerCase()) ? false : asNumber(text)
}
