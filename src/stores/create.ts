/** Makes the store that the option `driver` names. */
import type { SessionConfig } from '../config/options.ts'
import type { Report } from '../report.ts'
import { DatabaseStore, type DatabaseStoreOptions } from './database/store.ts'
import { FileStore } from './file/store.ts'
import { MemoryStore } from './memory.ts'
import { nullStore } from './null.ts'
import { RedisStore, type RedisStoreOptions } from './redis/store.ts'
import type { SessionStore } from './store.ts'

const SECOND = 1000

/**
 * The packages that a driver needs are loaded when its store is opened, so that an application has to install only those of
 * the driver that it uses.
 *
 * @returns the store that the configuration asks for, not yet opened
 * @throws SessionConfigError when the connection cannot be one of the driver's
 */
export function createStore (config: SessionConfig, report: Report): SessionStore {
  const { driver, files, durable, asyncReads, connection, table, createTable } = config
  const timeout = config.timeout * SECOND
  switch (driver) {
    case 'file':
      return new FileStore({ directory: files, durable, asyncReads, report })
    case 'memory':
      return new MemoryStore()
    // The options have been checked to have a connection; the stores check what it is.
    case 'redis':
      return new RedisStore({ connection: connection as RedisStoreOptions['connection'], timeout, report })
    case 'database':
      return new DatabaseStore({ connection: connection as DatabaseStoreOptions['connection'], table, createTable, timeout, report })
    // The server keeps nothing: each request brings its session along.
    case 'cookie':
    case 'null':
      return nullStore
    default:
      return driver
  }
}

/** Opens a store. One that cannot work is closed, so that it keeps no process alive. */
export async function openStore (store: SessionStore): Promise<void> {
  try {
    await store.open?.()
  } catch (error) {
    await (async () => { await store.close?.() })().catch(() => {})
    throw error
  }
}
