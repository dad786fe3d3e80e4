import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type { Pool, PoolClient } from 'pg'
import { load } from './packages.ts'

const noMatter = (): void => {}

/** @returns a pool for a URL, and for the store alone */
export async function newPostgresPool (url: string, timeout: number): Promise<Pool> {
  const { default: pg } = await load('pg', () => import('pg'))
  return new pg.Pool({ connectionString: url, connectionTimeoutMillis: timeout, keepAlive: true })
}

/**
 * A pool as Kysely wants it, in which no connection is waited for longer than it may take: one that has not answered by
 * then is closed, or a server that has gone silent would keep all of them for as long as TCP has hope.
 */
export class PostgresConnections implements PostgresPool {
  readonly #pool: Pool
  readonly #timeout: number

  constructor (pool: Pool, timeout: number) {
    this.#pool = pool
    this.#timeout = timeout
    // A connection that is lost while nobody uses it is nobody's fault: the next one is a new one. Without a listener
    // the process would end.
    pool.on('error', noMatter)
  }

  async connect (): Promise<PostgresPoolClient> {
    return usable(await this.#pool.connect(), this.#timeout)
  }

  async end (): Promise<void> {
    this.#pool.off('error', noMatter)
  }
}

function usable (client: PoolClient, timeout: number): PostgresPoolClient {
  let isReleased = false
  const release = (isLost: boolean): void => {
    if (isReleased) return
    isReleased = true
    client.release(isLost)
    client.off('error', noMatter)
  }
  // What a lost connection means for a query, the query says; the client tells it a second time.
  client.on('error', noMatter)
  const query = async (sql: string, parameters: unknown[]): Promise<unknown> => {
    const timer = setTimeout(release, timeout, true)
    return await client.query(sql, parameters).finally(() => { clearTimeout(timer) })
  }
  // Kysely would hand a cursor to the same method, for streams, which the store does not use.
  return { query: query as PostgresPoolClient['query'], release: () => { release(false) } }
}
