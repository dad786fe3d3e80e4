/** `import 'ambient-session/global'` makes {@link session} and {@link request} globals of the process, typed. */
import type { FastifyRequest } from 'fastify'
import { request, session, type SessionHelper } from './context.ts'

declare global {
  // Only var declares a property of globalThis.
  var session: SessionHelper
  var request: () => FastifyRequest
}

globalThis.session = session
globalThis.request = request
