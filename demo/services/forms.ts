/** Forms that come back as they were sent, with a word on each field that was wrong. */
import { session } from 'ambient-session'
import type { FastifyReply } from 'fastify'
import type { z } from 'zod'

/**
 * Checks what a form sent. When something is wrong with it, the visitor goes back to the page of the form.
 *
 * @returns what was sent, or nothing when it was refused
 */
export function accept<Form> (schema: z.ZodType<Form>, reply: FastifyReply, page: string): Form | undefined {
  const { data, error } = schema.safeParse(reply.request.body)
  if (error !== undefined) void reply.withErrors(error).withInput().back(page)
  return data
}

export function errorOf (field: string): string | undefined {
  return session('errors')?.[field]?.[0]
}

/** @returns whether no field before it, in the order of its form, was wrong */
export function isFirstError (field: string): boolean {
  return Object.keys(session('errors') ?? {})[0] === field
}

/** @returns what the visitor had entered before, or else the default */
export function enteredBefore (field: string, fallback = ''): string {
  return session().old(field, fallback)
}
