import type { FastifyReply } from 'fastify'

/**
 * Tells caches that a response was made with a session: it differs by cookie, and its Set-Cookie is for one visitor only
 * (RFC 9111, section 5.2.2.4: `no-cache` with a field name keeps that field out of reused responses).
 */
export function markAsPersonal (reply: FastifyReply): void {
  const vary = textOf(reply.getHeader('vary'))
  if (!/(^|,)\s*(\*|cookie)\s*(,|$)/i.test(vary)) reply.header('vary', joined(vary, 'Cookie'))
  const cacheControl = textOf(reply.getHeader('cache-control'))
  if (!/no-store|no-cache/i.test(cacheControl)) reply.header('cache-control', joined(cacheControl, 'no-cache="Set-Cookie"'))
}

function textOf (header: number | string | string[] | undefined): string {
  return Array.isArray(header) ? header.join(', ') : String(header ?? '')
}

function joined (list: string, member: string): string {
  return list === '' ? member : `${list}, ${member}`
}
