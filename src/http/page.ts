/** Which responses are pages that a visitor looks at, and under which URL the browser knows them. */
import type { FastifyReply, FastifyRequest } from 'fastify'

/** What is shown as a page where the browser does not say what it asks for. */
const PAGE_TYPES = ['text/html', 'application/xhtml+xml', 'text/plain']
/** `name:port`, without what would make another URL of it: a path, a user, blanks. */
const HOST = /^(?:[\w.-]+|\[[\d.:a-f]+\])(?::\d{1,5})?$/i

/** How long a URL may be to be kept in a session, in characters: a longer one could leave no room for anything else. */
export const LONGEST_URL = 2000

/** Whether the response is a page that a visitor looks at, so that "back" may lead to it. */
export function isPage (request: FastifyRequest, reply: FastifyReply): boolean {
  return isNavigation(request) && !request.is404 && isShown(reply) && !isPrefetch(request) &&
    (request.headers['sec-fetch-dest'] !== undefined || looksLikePage(reply))
}

/**
 * Whether a visitor opens a page. Over plain HTTP, browsers send no `Sec-Fetch-Dest`. Then `Accept` has to name `text/html`, as
 * it does when a page is opened and not when an image or a style sheet is loaded. Clients that accept everything, or send no
 * `Accept`, may open pages.
 */
export function isNavigation ({ method, headers }: FastifyRequest): boolean {
  const { accept, 'sec-fetch-dest': destination } = headers
  return method === 'GET' && headers['x-requested-with'] !== 'XMLHttpRequest' && (destination === undefined
    ? accept === undefined || accept === '*/*' || accept.includes('text/html')
    : destination === 'document')
}

/** Whether a browser shows what comes back, a page or an answer to a form; scripts want JSON. */
export function isShownToVisitor (request: FastifyRequest): boolean {
  const { accept, 'x-requested-with': requestedWith } = request.headers
  return isNavigation(request) || (accept?.includes('text/html') === true && requestedWith !== 'XMLHttpRequest')
}

/** Whether the browser fetches the response before the visitor asks for it, and may never show it. */
export function isPrefetch ({ headers }: FastifyRequest): boolean {
  return ['sec-purpose', 'purpose', 'x-moz'].some(name => String(headers[name] ?? '').toLowerCase().includes('prefetch'))
}

/** @returns the whole URL of the request, or `undefined` where its protocol, its host or its target make no URL of this server */
export function urlOf ({ protocol, host, originalUrl }: FastifyRequest): string | undefined {
  // Behind a trusted proxy, protocol and host are what its headers say.
  if (!/^https?$/i.test(protocol)) return undefined
  const base = `${protocol}://${host}`
  return originalUrl.startsWith('/') && HOST.test(host) && URL.canParse(base) ? new URL(base).origin + originalUrl : undefined
}

/** Browsers stay on the page before when there is no content, and when the content is to be saved. */
function isShown (reply: FastifyReply): boolean {
  const { statusCode } = reply
  return statusCode >= 200 && statusCode < 300 && statusCode !== 204 && statusCode !== 205 && !/^\s*attachment/i.test(String(reply.getHeader('content-disposition') ?? ''))
}

/** Whether the response is HTML or plain text. */
function looksLikePage (reply: FastifyReply): boolean {
  const type = String(reply.getHeader('content-type') ?? '').split(';', 1).join().trim().toLowerCase()
  return PAGE_TYPES.includes(type)
}
