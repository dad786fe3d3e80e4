import type { FastifyReply, FastifyRequest } from 'fastify'

/** Whether the response is a page that somebody looks at, so that "back" may lead to it. */
export function isPage ({ method, headers, is404 }: FastifyRequest, { statusCode }: FastifyReply): boolean {
  return method === 'GET' && !is404 && statusCode < 300 &&
    headers['x-requested-with'] !== 'XMLHttpRequest' &&
    // Where the browser says what it asks for: a document, not an image or a fetch() of a script.
    (headers['sec-fetch-dest'] ?? 'document') === 'document' &&
    !String(headers['sec-purpose'] ?? headers['purpose'] ?? '').includes('prefetch')
}

/** @returns the whole URL of the request, as the browser knows it */
export function urlOf ({ protocol, host, originalUrl }: FastifyRequest): string {
  return `${protocol}://${host}${originalUrl}`
}
