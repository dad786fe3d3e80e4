import type { MysqlPool, MysqlPoolConnection } from 'kysely'
import type { Pool, PoolConnection } from 'mysql2'
import { orNotInstalled } from './packages.ts'

/** @returns a pool for a URL, and for the store alone */
export async function newMysqlPool (url: string, timeout: number): Promise<Pool> {
  const { default: mysql } = await import('mysql2').catch(orNotInstalled('mysql2'))
  return mysql.createPool({ uri: url, connectTimeout: timeout })
}

/** @returns the pool as Kysely wants it; a connection that does not answer in time is closed and not waited for */
export function mysqlConnections (pool: Pool, timeout: number): MysqlPool {
  return {
    getConnection (callback) {
      pool.getConnection((error, connection) => {
        if (error === null) callback(null, usable(connection, timeout))
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
  ;(connection as unknown as { stream: { destroy: () => void } }).stream.destroy()
}
