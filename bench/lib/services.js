/**
 * The servers that stacks keep sessions on. They are there before the benchmark and after it, so it uses names of its own on
 * them, and removes these when it ends.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import mysql from 'mysql2/promise'
import pg from 'pg'
import { addresses } from './addresses.js'
import { onExit } from './exit.js'

/**
 * @typedef {object} Service
 * @property {string} label
 * @property {() => Promise<string>} version rejects when it does not answer
 * @property {(space: string) => Promise<void>} clear removes everything whose name begins so
 */

/** Milliseconds for a server to answer. */
const PATIENCE = 2_000
/** The longest time for clearing all of them. */
const PATIENCE_WITH_CLEARING = 120_000
/** Keys that are removed by one command. */
const BATCH = 1_000

/** @type {Readonly<Record<string, Service>>} */
export const services = {
  redis: serviceOf('Redis', addresses.redis, {
    version: url => withRedis(url, async client => /^(?:valkey|redis)_version:(\S+)/m.exec(await client.info('server'))[1]),
    clear: (url, space) => withRedis(url, async client => {
      for await (const keys of client.scanStream({ match: `${space}*`, count: BATCH })) {
        if (keys.length > 0) await client.unlink(...keys)
      }
    })
  }),
  postgres: serviceOf('PostgreSQL', addresses.postgres, {
    version: url => withPostgres(url, async client => (await client.query('show server_version')).rows[0].server_version.split(' ')[0]),
    clear: (url, space) => withPostgres(url, async client => {
      const { rows } = await client.query('select tablename from pg_tables where starts_with(tablename, $1)', [space])
      for (const { tablename } of rows) await client.query(`drop table if exists "${tablename}"`)
    })
  }),
  mariadb: serviceOf('MariaDB', addresses.mariadb, {
    version: url => withMysql(url, async connection => (await connection.query('select version() as version'))[0][0].version.split('-')[0]),
    clear: (url, space) => withMysql(url, async connection => {
      const [rows] = await connection.query('select table_name as name from information_schema.tables where table_schema = database() and left(table_name, ?) = ?', [space.length, space])
      for (const { name } of rows) await connection.query(`drop table if exists \`${name}\``)
    })
  })
}

/** @returns the versions of those that answer, by name */
export async function findServices () {
  const entries = await Promise.all(Object.entries(services).map(async ([name, { version }]) => [name, await version().catch(() => undefined)]))
  return new Map(entries.filter(([, version]) => version !== undefined))
}

/**
 * @param {Iterable<string>} names of services
 * @returns {string} what all names have to begin with that this run uses there; they are removed when it ends, however it does
 */
export function claimSpace (names) {
  const space = `bench_${randomBytes(4).toString('hex')}_`
  // A program of its own, since nothing can be waited for while a process exits.
  const args = [join(import.meta.dirname, 'clear.js'), space, ...names]
  onExit(() => {
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', timeout: PATIENCE_WITH_CLEARING })
    if (status !== 0) console.error(`What begins with ${space} on ${args.slice(2).join(', ')} was not removed.`)
  })
  return space
}

function serviceOf (label, url, { version, clear }) {
  return { label, version: () => version(url), clear: space => clear(url, space) }
}

async function withRedis (url, work) {
  const client = new Redis(url, { lazyConnect: true, connectTimeout: PATIENCE, retryStrategy: null, maxRetriesPerRequest: 0 })
  // What is wrong is told by the calls that fail.
  client.on('error', () => {})
  try {
    await client.connect()
    return await work(client)
  } finally {
    client.disconnect()
  }
}

async function withPostgres (connectionString, work) {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: PATIENCE })
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end()
  }
}

async function withMysql (uri, work) {
  const connection = await mysql.createConnection({ uri, connectTimeout: PATIENCE })
  try {
    return await work(connection)
  } finally {
    await connection.end()
  }
}
