/**
 * One process per core on one directory and one port, as an application would be run: `cluster.ts OPTIONS`. The primary says
 * the port when all workers listen. A worker that dies is replaced.
 */
import cluster from 'node:cluster'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import Fastify from 'fastify'
import ambientSession, { FileStore, type SessionOptions } from '../../src/index.ts'
import { routes } from './app.ts'
import { endWithParent } from './orphan.ts'

const options = JSON.parse(process.argv[2] ?? '{}') as SessionOptions

if (cluster.isPrimary) {
  endWithParent()
  const workers = Array.from({ length: Math.max(2, availableParallelism()) }, () => cluster.fork())
  cluster.on('exit', worker => { if (!worker.exitedAfterDisconnect) cluster.fork() })
  const ports = await Promise.all(workers.map(async worker => {
    const [{ port }] = await once(worker, 'listening') as [{ port: number }]
    return port
  }))
  console.log(ports[0])
} else {
  const app = Fastify()
  await app.register(ambientSession, options)
  const store = new FileStore({ directory: options.files ?? '', report: () => {} })
  await store.open()
  routes(app, { store, warnings: [] })
  await app.listen({ port: 0, host: '127.0.0.1' })
  // If the primary was killed, nothing else ends this process.
  process.on('disconnect', () => { process.exit() })
}
