import type { Socket } from 'node:net'
import type { MysqlPool, MysqlPoolConnection } from 'kysely'
import type { Pool, PoolConnection } from 'mysql2'
import { OwnSockets } from './own-sockets.ts'
import { orNotInstalled } from './packages.ts'

/** @returns a pool for a URL, and for the store alone, with what closes it */
export async function newMysqlPool (url: string, timeout: number): Promise<[Pool, close: () => Promise<void>]> {
  const { default: mysql } = await import('mysql2').catch(orNotInstalled('mysql2'))
  const pool = mysql.createPool({ uri: url, connectTimeout: timeout })
  const sockets = new OwnSockets()
  pool.on('connection', connection => { sockets.add(socketOf(connection)) })
  return [pool, () => sockets.closeAfter(() => pool.promise().end(), timeout)]
}

/** @returns the pool as Kysely wants it; a connection that does not answer in time is closed and not waited for */
export function mysqlConnections (pool: Pool, timeout: number): MysqlPool {
  // Kysely knows a connection by its object: with another one each time, the store would ask it for its autocommit each time.
  const known = new WeakMap<PoolConnection, MysqlPoolConnection>()
  const knownOrNew = (connection: PoolConnection): MysqlPoolConnection => {
    const found = known.get(connection) ?? usable(connection, timeout)
    known.set(connection, found)
    return found
  }
  return {
    getConnection (callback) {
      pool.getConnection((error, connection) => {
        if (error === null) callback(null, knownOrNew(connection))
        else callback(error, undefined as never)
      })
    },
    end (callback) {
      callback(null)
    }
  }
}

type Callback = Parameters<MysqlPoolConnection['query']>[2]

function usable (connection: PoolConnection, timeout: number): MysqlPoolConnection {
  let isLost = false
  const query = (sql: string, parameters: unknown[], callback: Callback): void => {
    const timer = setTimeout(() => {
      isLost = true
      closeAtOnce(connection)
      callback(new Error('the connection did not answer and was closed'), [])
    }, timeout)
    connection.query(sql, parameters, (error, result) => {
      clearTimeout(timer)
      if (!isLost) callback(error, result as never)
    })
  }
  // Without a callback Kysely would get a stream, which the store does not use.
  return { query: query as MysqlPoolConnection['query'], release: () => { if (!isLost) connection.release() } }
}

/** destroy() alone waits for the server to close its end as well. */
function closeAtOnce (connection: PoolConnection): void {
  connection.destroy()
  socketOf(connection).destroy()
}

function socketOf (connection: object): Socket {
  return (connection as { stream: Socket }).stream
}
