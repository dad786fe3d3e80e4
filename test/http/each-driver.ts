/** Every kind of store that a response can depend on: at once or later, on this machine, on servers, or in the browser. */
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { SessionOptions } from '../../src/index.ts'
import { hasRedisServer, redisServer } from '../helpers/redis-server.ts'
import { skipWithout } from '../helpers/services.ts'
import { newTable, postgres, run } from '../stores/database-support.ts'
import { SpyStore } from './stores.ts'

export interface Driver {
  readonly name: string
  /** False, or why tests that need it are skipped. */
  readonly skip: false | string
  readonly options: (t: Test) => SessionOptions | Promise<SessionOptions>
}

const here = { skip: false } as const

export const localDrivers: readonly Driver[] = [
  { name: 'memory', ...here, options: () => ({ driver: 'memory' }) },
  { name: 'file', ...here, options: t => ({ driver: 'file', files: t.testdir() }) },
  { name: 'durable file', ...here, options: t => ({ driver: 'file', files: t.testdir(), durable: true }) },
  { name: 'asynchronous', ...here, options: () => ({ driver: new SpyStore(false) }) },
  { name: 'cookie', ...here, options: () => ({ driver: 'cookie', secret: randomBytes(24).toString('hex') }) }
]

export const serverDrivers: readonly Driver[] = [
  {
    name: 'redis',
    skip: await skipWithout('redis-server', hasRedisServer),
    options: async t => ({ driver: 'redis', connection: (await redisServer(t)).url })
  },
  {
    name: 'PostgreSQL',
    skip: postgres.skip,
    options: t => {
      const table = newTable()
      t.teardown(() => run(postgres.url(t), `drop table if exists ${table}`))
      return { driver: 'database', connection: postgres.url(t), table, createTable: true }
    }
  }
]

export const drivers = [...localDrivers, ...serverDrivers]
