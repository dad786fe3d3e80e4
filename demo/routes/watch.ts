import type { ServerResponse } from 'node:http'
import { onSessionEnd } from 'ambient-session'
import type { FastifyPluginAsync } from 'fastify'
import { currentUser } from '../services/auth.ts'

const SIGNED_OUT = 'event: signed-out\ndata:\n\n'

/** Server-sent events for a page that has to go when its session ends: see public/devices.js. */
export const watchRoutes: FastifyPluginAsync = async app => {
  const watchers = new Set<ServerResponse>()

  app.get('/devices/watch', { config: { session: { readonly: true } } }, (request, reply) => {
    const { raw } = reply.hijack()
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    raw.flushHeaders()
    watchers.add(raw)
    raw.once('close', () => { watchers.delete(raw) })
    const end = (): void => { raw.end(SIGNED_OUT) }
    // It may have ended before the page came to listen.
    if (currentUser() === undefined) end()
    else onSessionEnd(request, end)
  })

  // A server that closes waits for its responses, and these do not end by themselves.
  app.addHook('preClose', async () => { for (const raw of watchers) raw.end() })
}
