import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'

const directory = join(import.meta.dirname, '../public')
const types: Record<string, string> = { '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml' }

/** The stylesheet, the pictures and the one script. Without a session: a picture would otherwise use up the message flashed for its page. */
export const assetRoutes: FastifyPluginAsync = async app => {
  for (const name of readdirSync(directory)) {
    const content = readFileSync(join(directory, name))
    app.get(`/assets/${name}`, { config: { session: false } }, (_request, reply) =>
      reply.type(types[extname(name)] ?? 'application/octet-stream').header('cache-control', 'max-age=60').send(content))
  }
}
