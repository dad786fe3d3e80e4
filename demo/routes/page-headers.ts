import type { FastifyReply, FastifyRequest } from 'fastify'

export const HTML = 'text/html; charset=utf-8'

const CONTENT_SECURITY_POLICY = [
  "default-src 'none'", "style-src 'self'", "img-src 'self'", "script-src 'self'", "connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"
].join('; ')

/** Every answer is a page of one visitor's own, unless its route says otherwise. */
export async function pageHeaders (_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.type(HTML).headers({
    'cache-control': 'no-store',
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff'
  })
}
