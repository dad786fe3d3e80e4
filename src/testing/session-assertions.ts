/** What a test expects of a visitor's session. What differs is named, with the keys and values of the session, and never its id. */
import { AssertionError } from 'node:assert'
import { inspect, isDeepStrictEqual } from 'node:util'
import type { VisitorSession } from './visitor-session.ts'

type Errors = Readonly<Record<string, unknown>>

/** Names of fields, or the message that is expected of each. */
export type ExpectedErrors = string | readonly string[] | Readonly<Record<string, string | RegExp>>

/** @param expected the value, where one is expected */
export function assertHas (session: VisitorSession, key: string, ...expected: readonly [value?: unknown]): void {
  const actual = session.get(key)
  if (actual === undefined || (actual === null && expected.length === 0)) {
    fail(`the session has no ${inspect(key)}: ${contentsOf(session)}`)
  }
  if (expected.length > 0 && !isDeepStrictEqual(actual, expected[0])) {
    const { message } = new AssertionError({ actual, expected: expected[0], operator: 'deepStrictEqual' })
    fail(`the session has another ${inspect(key)} than expected. ${message}`, { actual, expected: expected[0] })
  }
}

export function assertMissing (session: VisitorSession, key: string): void {
  const actual = session.get(key)
  if (actual !== undefined) fail(`the session has ${inspect(key)}, which is expected to be missing: ${inspect(actual)}`)
}

/** @param bag of one of several forms on a page */
export function assertHasErrors (session: VisitorSession, expected: ExpectedErrors, bag?: string): void {
  const place = bag === undefined ? 'errors' : `errors.${bag}`
  const errors = session.get(place)
  if (!isErrors(errors)) fail(`the session has no ${inspect(place)}: ${contentsOf(session)}`)
  for (const [field, message] of fieldsOf(expected)) {
    const messages = Object.hasOwn(errors, field) ? [errors[field]].flat() : []
    if (messages.length === 0) fail(`the session has no errors for ${inspect(field)}; it has ${inspect(errors)}`)
    if (message !== undefined && !messages.some(text => fits(text, message))) {
      fail(`the errors for ${inspect(field)} have no ${inspect(message)}; they are ${inspect(messages)}`, { actual: messages, expected: [message] })
    }
  }
}

function fieldsOf (expected: ExpectedErrors): Array<[field: string, message: string | RegExp | undefined]> {
  if (typeof expected === 'string') return [[expected, undefined]]
  return isList(expected) ? expected.map(field => [field, undefined]) : Object.entries(expected)
}

function isList (expected: Exclude<ExpectedErrors, string>): expected is readonly string[] {
  return Array.isArray(expected)
}

function fits (text: unknown, message: string | RegExp): boolean {
  return typeof message === 'string' ? text === message : typeof text === 'string' && text.search(message) !== -1
}

function isErrors (errors: unknown): errors is Errors {
  return typeof errors === 'object' && errors !== null
}

function contentsOf ({ exists, data }: VisitorSession): string {
  if (!exists) return 'the visitor has no session'
  const keys = Object.keys(data)
  return keys.length === 0 ? 'it is empty' : `it has ${keys.map(key => inspect(key)).join(', ')}`
}

/** @param difference for runners to show */
function fail (message: string, difference?: { readonly actual: unknown, readonly expected: unknown }): never {
  throw new AssertionError({ message, operator: difference === undefined ? 'fail' : 'deepStrictEqual', ...difference })
}
