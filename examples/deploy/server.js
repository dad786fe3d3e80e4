// A server for a container or for systemd: what differs from machine to machine comes from the environment.
import ambientSession, { session } from 'ambient-session'
import Fastify from 'fastify'

const app = Fastify({ logger: true, trustProxy: process.env.TRUST_PROXY })
await app.register(ambientSession) // SESSION_FILES and SESSION_SECRET are set outside

app.get('/', () => `visit number ${session().increment('visits')}`)
app.get('/health', { config: { session: false } }, () => 'ok')

// Node.js as process 1 of a container does not end by a signal unless the program says so.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => app.close())

await app.listen({ host: process.env.HOST ?? '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
