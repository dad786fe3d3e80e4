/** Forms that come back as they were sent, with a word on each field that was wrong. */
import { session } from 'ambient-session'
import type { z } from 'zod'

/**
 * Checks what a form sent. When something is wrong with it, the faults and the input wait for the next page.
 *
 * @returns what was sent, or nothing when it was refused
 */
export function accept<Form> (schema: z.ZodType<Form>, input: unknown): Form | undefined {
  const { data, error } = schema.safeParse(input)
  if (error !== undefined) refuse(Object.fromEntries(error.issues.map(({ path, message }) => [path.join('.'), message])), input)
  return data
}

/** @param errors by the field's name */
export function refuse (errors: Record<string, string>, input: unknown): void {
  session().flash('errors', errors)
  session().flashInput(worthKeeping(input))
}

export function errorOf (field: string): string | undefined {
  return session('errors')?.[field]
}

/** @returns what the visitor had entered before, or else the default */
export function enteredBefore (field: string, fallback = ''): string {
  return String(session().old(field, fallback))
}

/** Passwords are never kept, and the token is nothing the visitor has entered. */
function worthKeeping (input: unknown): Record<string, unknown> {
  const { password: _password, _token, ...rest } = (input ?? {}) as Record<string, unknown>
  return rest
}
