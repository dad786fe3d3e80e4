/** Connections to PostgreSQL by the package `pg`. */
import type { Socket } from 'node:net'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import { OwnSockets } from './own-sockets.ts'
import { orNotInstalled } from './packages.ts'

const ignore = (): void => {}

/** @returns a pool for a URL, and for the store alone, with what closes it */
export async function newPostgresPool (url: string, timeout: number): Promise<[Pool, close: () => Promise<void>]> {
  const { default: pg } = await import('pg').catch(orNotInstalled('pg'))
  const pool = new pg.Pool({ connectionString: url, connectionTimeoutMillis: timeout, keepAlive: true })
  const sockets = new OwnSockets()
  pool.on('connect', client => { sockets.add(socketOf(client)) })
  return [pool, () => sockets.closeAfter(() => pool.end(), timeout)]
}

function socketOf (client: object): Socket {
  return (client as { connection: { stream: Socket } }).connection.stream
}

/**
 * A pool as Kysely wants it. A connection that does not answer in time is closed; otherwise a silent server would keep all
 * connections until TCP gives up.
 */
export function postgresConnections (pool: Pool, timeout: number): PostgresPool {
  // A connection that is lost while it is idle is replaced by a new one. Without a listener the process would end.
  pool.on('error', ignore)
  return {
    connect: async () => usable(await pool.connect(), timeout),
    end: async () => { pool.off('error', ignore) }
  }
}

function usable (client: PoolClient, timeout: number): PostgresPoolClient {
  let isReleased = false
  const release = (isLost: boolean): void => {
    if (isReleased) return
    isReleased = true
    client.release(isLost)
    client.off('error', ignore)
  }
  // A lost connection fails the query, and is emitted once more by the client.
  client.on('error', ignore)
  const query = async (sql: string, parameters: unknown[]): Promise<unknown> => {
    const timer = setTimeout(release, timeout, true)
    return await client.query(sql, parameters).finally(() => { clearTimeout(timer) })
  }
  // Kysely would hand a cursor to the same method, for streams, which the store does not use.
  return { query: query as PostgresPoolClient['query'], release: () => { release(false) } }
}
