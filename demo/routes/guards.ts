/** What has to be true before a handler runs. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { currentUser } from '../services/auth.ts'
import { complain } from '../services/messages.ts'

/** Sends guests to sign in. The page that they wanted is kept in their session, for `reply.intended()`. */
export async function requireUser (_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (currentUser() !== undefined) return
  complain('Please sign in first.')
  await reply.guest('/sign-in')
}

/** For pages worth coming back to after signing in. */
export async function rememberThisPage ({ url, session }: FastifyRequest): Promise<void> {
  session().setPreviousUrl(url)
}
