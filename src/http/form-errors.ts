/** What was wrong with a form, as messages by field, whichever library found it. */
import { SessionValueError } from '../errors.ts'
import { kindOf } from '../session/kind.ts'

/** Messages by the name of the field. Names of nested fields have dots: `address.city`. */
export type FieldErrors = Record<string, string[]>

/** A fault as zod and valibot (and other libraries of the Standard Schema) or Ajv describe it. */
export interface FormIssue {
  readonly message?: string | undefined
  /** Where the fault is: keys, or objects with a key. */
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: unknown }> | null | undefined
  /** Ajv's path, a JSON pointer. */
  readonly instancePath?: string | undefined
  /** Ajv's details. */
  readonly params?: unknown
}

/** What `reply.withErrors()` takes. */
export type FormErrorsInput =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | readonly FormIssue[]
  | { readonly issues: readonly FormIssue[] }
  | { readonly validation?: readonly FormIssue[] | undefined }

const NO_MESSAGE = 'is not valid'
/** The name under which faults are that belong to no field. */
export const WHOLE = ''
/** The members of `params` with which Ajv names a field that is missing, or should be. */
const NAMED_BY_AJV = ['missingProperty', 'additionalProperty', 'unevaluatedProperty'] as const

/**
 * @param errors see {@link FormErrorsInput}
 * @throws SessionValueError when there are no messages in it
 */
export function fieldErrorsOf (errors: unknown): FieldErrors {
  const byField = new Map<string, Set<string>>()
  for (const [named, messages] of messagesIn(errors)) {
    // A client may send a field of any name.
    const field = named === '__proto__' ? WHOLE : named
    const known = byField.get(field) ?? new Set()
    for (const message of messages) known.add(message)
    byField.set(field, known)
  }
  return Object.fromEntries([...byField].map(([field, messages]) => [field, [...messages]]))
}

/** @returns the messages of a field as a list; undefined for what is no message */
export function messagesOf (value: unknown): string[] | undefined {
  if (typeof value === 'string') return [value]
  return Array.isArray(value) && value.every(message => typeof message === 'string') ? value : undefined
}

function messagesIn (errors: unknown): Array<[field: string, messages: readonly string[]]> {
  const issues = issuesIn(errors)
  if (issues !== undefined) return issues.map(issue => [fieldOf(issue), [issue.message ?? NO_MESSAGE]])
  if (typeof errors !== 'object' || errors === null || Array.isArray(errors) || errors instanceof Error) {
    throw new SessionValueError('errors', `has to be an object of messages by field, or the issues of zod, valibot or Ajv, not ${kindOf(errors)}`)
  }
  return Object.entries(errors).filter(([, value]) => value !== undefined).map(([field, value]) => {
    const messages = messagesOf(value)
    if (messages === undefined) throw new SessionValueError(`errors.${field}`, `has to be a message or a list of messages, not ${kindOf(value)}`)
    return [field, messages]
  })
}

/** @returns whether there are messages by field in an error */
export function hasIssues (error: unknown): boolean {
  return issuesIn(error) !== undefined
}

function issuesIn (errors: unknown): readonly FormIssue[] | undefined {
  const { validation, issues } = (errors ?? {}) as { validation?: unknown, issues?: unknown }
  return [errors, validation, issues].find(isIssueList)
}

function isIssueList (value: unknown): value is readonly FormIssue[] {
  return Array.isArray(value) && value.every(issue => typeof issue === 'object' && issue !== null)
}

function fieldOf ({ path, instancePath, params }: FormIssue): string {
  if (path != null) return path.map(step => String(typeof step === 'object' ? step.key : step)).join('.')
  const steps = (instancePath ?? '').split('/').slice(1).map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
  const details = (params ?? {}) as Record<string, unknown>
  const named = NAMED_BY_AJV.map(name => details[name]).find(name => typeof name === 'string')
  return [...steps, ...named === undefined ? [] : [named]].join('.')
}
