/** A server as a process of its own: `server.ts OPTIONS`, the options of the plugin as JSON. Says its port when it listens. */
import { writeSync } from 'node:fs'
import Fastify from 'fastify'
import ambientSession, { MemoryStore, type SessionOptions, type SessionStore } from '../../src/index.ts'
import { countArrivals, routes } from './app.ts'
import { installClock } from './clock.ts'
import { endWithParent } from './orphan.ts'
import { newFileStore } from '../stores/locks.ts'

installClock()
endWithParent()

const options = JSON.parse(process.argv[2] ?? '{}') as SessionOptions
const warnings: object[] = []
const stream = { write (line: string): void { warnings.push(JSON.parse(line) as object) } }
// An idle connection that is closed by the server may be just the one that the next request of the test takes.
const app = Fastify({ logger: { level: 'warn', stream }, forceCloseConnections: true, keepAliveTimeout: 60_000 })

const makeStore = (): SessionStore => newFileStore({ directory: options.files ?? '', report: () => {} })
// The same store where sessions are in memory, and otherwise another one on the same directory.
const store: SessionStore = options.driver === 'memory' ? new MemoryStore() : makeStore()
// Only a test can ask for other locks than those that the options give.
const driver = options.driver === 'memory' ? store : process.env['TEST_LOCKS'] === undefined ? undefined : makeStore()

countArrivals(app)
await app.register(ambientSession, { sweep: false, ...options, ...driver !== undefined && { driver } })
if (options.files !== undefined) await store.open?.()
routes(app, { store, warnings })
await app.listen({ port: Number(process.env['PORT'] ?? 0), host: '127.0.0.1' })
const address = app.server.address()
writeSync(1, `${typeof address === 'object' ? address?.port : ''}\n`)

process.once('SIGTERM', () => { void app.close() })
