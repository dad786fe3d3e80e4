import type { FastifyReply } from 'fastify'

/** Tells caches that a response was made with a session: with another cookie it is another one (RFC 9110, section 12.5.5). */
export function varyByCookie (reply: FastifyReply): void {
  const vary = reply.getHeader('vary')
  if (vary === undefined) reply.header('vary', 'Cookie')
  else if (!/(^|,)\s*(\*|cookie)\s*(,|$)/i.test(textOf(vary))) reply.header('vary', joined(textOf(vary), 'Cookie'))
}

/**
 * Tells caches that a response sets a cookie, which is for one visitor only (RFC 9111, section 5.2.2.4: `no-cache` with a
 * field name keeps that field out of reused responses).
 */
export function keepCookieOutOfCaches (reply: FastifyReply): void {
  const cacheControl = textOf(reply.getHeader('cache-control') ?? '')
  if (!/no-store|no-cache/i.test(cacheControl)) reply.header('cache-control', joined(cacheControl, 'no-cache="Set-Cookie"'))
}

function textOf (header: number | string | string[]): string {
  return Array.isArray(header) ? header.join(', ') : String(header)
}

function joined (list: string, member: string): string {
  return list === '' ? member : `${list}, ${member}`
}
