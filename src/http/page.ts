import type { FastifyReply, FastifyRequest } from 'fastify'

/** Whether the response is a page that somebody looks at, so that "back" may lead to it. */
export function isPage ({ method, headers, is404 }: FastifyRequest, { statusCode }: FastifyReply): boolean {
  return method === 'GET' && !is404 && statusCode < 300 &&
    headers['x-requested-with'] !== 'XMLHttpRequest' &&
    // Where the browser says what it asks for: a document, not an image or a fetch() of a script.
    (headers['sec-fetch-dest'] ?? 'document') === 'document' &&
    !String(headers['sec-purpose'] ?? headers['purpose'] ?? '').includes('prefetch')
}

/** @returns the whole URL of the request, or `undefined` where its Host header or its target make no URL of this server */
export function urlOf ({ protocol, host, originalUrl }: FastifyRequest): string | undefined {
  const base = `${protocol}://${host}`
  return originalUrl.startsWith('/') && URL.canParse(base) ? new URL(base).origin + originalUrl : undefined
}
