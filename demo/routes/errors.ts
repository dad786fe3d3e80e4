/** Pages for what goes wrong. They have a session like any other: the name in the header stays, and so does the cart. */
import { SessionCsrfError, SessionError } from 'ambient-session'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { expiredPage, failurePage, notFoundPage, outOfOrderPage, refusedPage } from '../views/errors.ts'
import { HTML } from './page-headers.ts'

export function addErrorPages (app: FastifyInstance): void {
  app.setNotFoundHandler((_request, reply) => reply.code(404).send(notFoundPage()))

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error(error)
    // Fastify takes the content type back when a handler fails.
    reply.code(status).type(HTML)
    return error instanceof SessionCsrfError ? sendBack(reply) : reply.send(pageFor(error, status))
  })

  app.get('/broken', () => {
    throw new Error('this page fails on purpose')
  })
}

/** The page of a form that has expired leads back to it, and the form has what was entered. */
function sendBack (reply: FastifyReply): FastifyReply {
  const formPage = ownReferer(reply.request)
  // Nothing is kept of what another site has sent.
  return formPage === undefined ? reply.send(expiredPage(undefined)) : reply.withInput().send(expiredPage(formPage))
}

function ownReferer ({ headers: { referer }, host }: FastifyRequest): string | undefined {
  return referer !== undefined && URL.canParse(referer) && new URL(referer).host === host ? referer : undefined
}

function pageFor (error: Error, status: number): string {
  // When it is the session that fails, its page must do without one.
  if (error instanceof SessionError) return outOfOrderPage()
  return status >= 500 ? failurePage() : refusedPage()
}
