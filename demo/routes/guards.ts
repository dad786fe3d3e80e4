/** What has to be true before a handler runs. */
import { session } from 'ambient-session'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { currentUser } from '../services/auth.ts'
import { complain } from '../services/messages.ts'
import { rememberPage } from '../services/return-to.ts'

/** Thrown when a form does not carry the session's CSRF token: another site made it, or it is older than the session. */
export class ForgedFormError extends Error {
  readonly statusCode = 403
}

export async function requireToken ({ method, body }: FastifyRequest): Promise<void> {
  if (method !== 'POST') return
  const { _token: token } = (body ?? {}) as { _token?: unknown }
  if (!session().hasToken(token)) throw new ForgedFormError('the form does not carry the token of this session')
}

/** Sends guests to sign in, and afterwards back to the page they wanted. */
export async function requireUser ({ method, url }: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (currentUser() !== undefined) return
  if (method === 'GET') rememberPage(url)
  complain('Please sign in first.')
  await reply.redirect('/sign-in', 303)
}

/** For pages worth coming back to after signing in. */
export async function rememberThisPage ({ url }: FastifyRequest): Promise<void> {
  rememberPage(url)
}
