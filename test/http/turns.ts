/** Requests that a server finds in one and the same turn of its event loop. */
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { Connection } from '../helpers/client.ts'

/** Connections that have been used before, so that the server knows them. */
export async function connections (t: Test, app: FastifyInstance, count: number, path = '/'): Promise<Connection[]> {
  const all = await Promise.all(Array.from({ length: count }, async () => await Connection.open(app)))
  for (const connection of all) {
    t.teardown(() => { connection.hangUp() })
    await ask(connection, path)
  }
  return all
}

export async function ask (connection: Connection, path = '/'): Promise<string> {
  connection.request(`GET ${path}`)
  return (await connection.answer()).body
}

/** One request on each, all of which have come before the event loop looks at any of them. */
export async function askAll (connections: readonly Connection[], path = (_n: number): string => '/'): Promise<void> {
  for (const [n, connection] of connections.entries()) connection.request(`GET ${path(n)}`)
  await Promise.all(connections.map(async connection => await connection.answer()))
}
