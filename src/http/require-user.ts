/** A guard for what only users may see. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { SessionConfigError, SessionUsageError, SessionUserError } from '../errors.ts'
import { CURRENT } from '../symbols.ts'
import { isShownToVisitor } from './page.ts'

/**
 * Makes a hook that lets users pass, whose sessions have been given a user by `setUser()`. Browsers of guests are redirected to the
 * page for signing in, as `reply.guest()` does; `reply.intended()` leads back. What is no browser's page gets a 401.
 *
 * @param signIn path of the page for signing in; without it every guest gets the 401
 * @throws SessionUsageError when it is given anything else, and SessionUserError in the hook, when the visitor is a guest
 * @example
 * ```ts
 * app.get('/account', { preHandler: requireUser('/sign-in') }, () => `You are ${session().userId}`)
 * ```
 */
export function requireUser (signIn?: string) {
  if (signIn !== undefined && typeof signIn !== 'string') {
    throw new SessionUsageError("requireUser() makes a hook, and takes the path of the page for signing in: preHandler: requireUser('/sign-in')")
  }
  return async function requireUser (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    if (!(CURRENT in request)) throw new SessionConfigError(['the request has no session: its app has not registered ambient-session'], 'requireUser()')
    if (request.session().userId !== undefined) return undefined
    if (signIn !== undefined && isShownToVisitor(request)) return reply.guest(signIn)
    throw new SessionUserError('sign in first: this is for users, and the session has none')
  }
}
