import type { FastifyRequest } from 'fastify'

/** Whether a form with uploads is sent. Its fields are in the body only where @fastify/multipart is told to attach them. */
export function isMultipart ({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  return headers['content-type']?.toLowerCase().startsWith('multipart/') === true
}
