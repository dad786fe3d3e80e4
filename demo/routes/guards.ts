/** What has to be true before a handler runs. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { currentUser } from '../services/auth.ts'
import { complain } from '../services/messages.ts'

/** Sends guests to sign in. The page that they wanted is kept in their session, for `reply.intended()`. */
export async function requireUser ({ method }: FastifyRequest, reply: FastifyReply): Promise<void> {
  if (currentUser() !== undefined) return
  // The pages for guests have no forms that need a user: this one is on a page that was open for longer than its session.
  complain(method === 'POST' ? 'Nothing was changed: you are not signed in any more. Please sign in and try again.' : 'Please sign in first.')
  await reply.guest('/sign-in')
}

/** For pages worth coming back to after signing in. */
export async function rememberThisPage ({ url, session }: FastifyRequest): Promise<void> {
  session().setPreviousUrl(url)
}
