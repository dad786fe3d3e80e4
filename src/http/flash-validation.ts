/** A form that fails its route's schema goes back to its page, with the errors and the input (the option `flashValidation`). */
import type { FastifyError, FastifyRequest, RouteOptions } from 'fastify'
import { CURRENT } from '../symbols.ts'
import { hasIssues, WHOLE } from './form-errors.ts'
import { ownPath } from './own-url.ts'
import { isShownToVisitor } from './page.ts'

type ErrorHandler = NonNullable<RouteOptions['errorHandler']>

const FORM = /^\s*(application\/x-www-form-urlencoded|multipart\/form-data)\s*(;|$)/i

/**
 * Gives a route a handler of errors, which takes those of forms and leaves all others to the route's own or the application's.
 */
export function flashValidationOf (route: RouteOptions): void {
  const next = route.errorHandler ?? leaveToApplication
  route.errorHandler = function (error, request, reply): void {
    if (!isForm(request) || !isOfBody(error) || request[CURRENT]?.hasSession !== true) return next.call(this, error, request, reply)
    void reply.withErrors(hasIssues(error) ? error : { [WHOLE]: error.message }).withInput().back(formPage(request))
  }
}

/** What the handler of a route throws is given to the one that comes next. */
const leaveToApplication: ErrorHandler = error => { throw error }

/** Where the browser does not say which page the form is on: most often that of the form's own URL. */
function formPage (request: FastifyRequest): string | undefined {
  const { url } = request.routeOptions
  const hasPage = url !== undefined && request.server.hasRoute({ method: 'GET', url })
  return hasPage ? ownPath(request.originalUrl, request) : undefined
}

function isOfBody ({ validationContext }: FastifyError): boolean {
  return validationContext === 'body'
}

/** Whether a browser has sent a form and shows what comes back. */
function isForm (request: FastifyRequest): boolean {
  return FORM.test(request.headers['content-type'] ?? '') && isShownToVisitor(request)
}
