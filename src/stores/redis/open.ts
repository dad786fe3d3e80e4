/**
 * Connections that this package opens, with whichever client is installed.
 *
 * Their clients queue nothing: no command waits for a connection, and none is sent again after a lost one. So a command whose
 * request has been answered with an error is not carried out minutes later, as far as the client can ensure that. They
 * reconnect for ever, and close a connection that has gone silent.
 */
import { EventEmitter } from 'node:events'
import type * as IoredisPackage from 'ioredis'
import type * as RedisPackage from 'redis'
import { SessionConfigError } from '../../errors.ts'
import { within } from '../within.ts'
import { connected, type Connection, ioredis, nodeRedis, UNTIMED } from './client.ts'

/** Packages that can open a URL, in the order in which they are tried. */
export const CLIENT_PACKAGES = ['ioredis', 'iovalkey', 'redis'] as const
export type ClientPackage = typeof CLIENT_PACKAGES[number]

export interface OwnConnection extends Connection {
  close (): Promise<void>
}

export interface ConnectOptions {
  /** Milliseconds for one attempt to connect; twice as many of silence are the end of a connection. */
  readonly timeout: number
  /** Called at every sign that something is wrong. */
  readonly onFault: (error: unknown) => void
  /** Called when a connection was lost that was not closed here, even without an error. */
  readonly onLost: () => void
  /** Called whenever there is a connection. */
  readonly onReady: () => void
}

const LONGEST_PAUSE = 1_000
const FIRST_PAUSE = 50
/** What a server says to a user or password that it does not know, or to a connection without. */
export const USER_REFUSED = /^(WRONGPASS|NOAUTH)\b|invalid username-password pair|Authentication required/i

/** Begins to connect, and does not wait until it has. */
export async function connect (url: string, packages: readonly string[], options: ConnectOptions): Promise<OwnConnection> {
  const { name, imported } = await firstInstalled(packages)
  return name === 'redis'
    ? openNodeRedis(imported as typeof RedisPackage, url, options)
    : openIoredis(imported as typeof IoredisPackage, url, options)
}

/** @throws SessionConfigError naming what to install, when none of the packages is */
async function firstInstalled (packages: readonly string[]): Promise<{ name: string, imported: unknown }> {
  for (const name of packages) {
    try {
      return { name, imported: await import(name) as unknown }
    } catch (error) {
      // By the message: loaders of TypeScript lose the code, and the package may be there and miss another one.
      if (!(error as Error).message.includes(`Cannot find package '${name}'`)) throw error
    }
  }
  throw new SessionConfigError([`connection: a URL needs a client of Redis, and none is installed (${packages.join(', ')}): npm i ioredis`])
}

/**
 * ioredis and iovalkey are ready even if the server has refused their SELECT, and then work on database 0. So the database is
 * selected once more here, and the connection is ready when the server has done that. A refused one is given up and tried again.
 */
function openIoredis ({ Redis }: typeof IoredisPackage, url: string, { timeout, onFault, onLost, onReady }: ConnectOptions): OwnConnection {
  const selection = { isDone: false, isRefused: false }
  const events = new EventEmitter<{ ready: [], end: [] }>()
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeout,
    socketTimeout: 2 * timeout,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    maxLoadingRetryTime: LONGEST_PAUSE,
    retryStrategy: attempt => selection.isRefused ? LONGEST_PAUSE : pauseBefore(attempt),
    // After a failover a name may lead elsewhere, while the old connection leads to what has become a replica.
    reconnectOnError: error => error.message.includes('READONLY')
  })
  const { db = 0 } = client.options
  const select = async (): Promise<void> => {
    // iovalkey goes on as the default user where the server has refused the one of the URL.
    if (selection.isRefused) return client.disconnect(true)
    try {
      if (db !== 0) await client.select(db)
      Object.assign(selection, { isDone: true, isRefused: false })
      onReady()
      events.emit('ready')
    } catch (error) {
      // Where the connection was lost, that has been told.
      if (client.status !== 'ready') return
      selection.isRefused = true
      onFault(error)
      client.disconnect(true)
    }
  }
  client.on('connect', () => { selection.isRefused = false })
  client.on('error', error => {
    selection.isRefused ||= USER_REFUSED.test(error.message)
    onFault(error)
  })
  client.on('close', () => { selection.isDone = false })
  // A server that ends leaves an error only where something was on its way.
  client.on('close', onLost)
  client.on('ready', () => { void select() })
  client.on('end', () => { events.emit('end') })
  client.connect().catch(() => {})
  return {
    ...ioredis(client),
    isReady: () => selection.isDone,
    ready: connected(events),
    async close () {
      client.off('close', onLost)
      if (client.status === 'ready') await settled(client.quit(), timeout)
      client.disconnect()
    }
  }
}

function openNodeRedis ({ createClient }: typeof RedisPackage, url: string, { timeout, onFault, onReady }: ConnectOptions): OwnConnection {
  const client = createClient({
    url,
    disableOfflineQueue: true,
    pingInterval: timeout,
    socket: { connectTimeout: timeout, socketTimeout: 2 * timeout, reconnectStrategy: pauseBefore }
  })
  client.on('error', onFault)
  client.on('ready', onReady)
  client.connect().catch(() => {})
  return {
    ...nodeRedis(client, args => client.sendCommand(args, UNTIMED)),
    async close () {
      if (client.isReady) await settled(client.close(), timeout)
      if (!client.isOpen) return
      // destroy() misses a socket that is just being opened, which must not keep the process running.
      client.unref()
      client.destroy()
    }
  }
}

/** Waits for the answers to what has been sent, and not for ever. */
async function settled (closing: Promise<unknown>, timeout: number): Promise<void> {
  await within(timeout, () => closing).catch(() => {})
}

/** @param attempt how many have failed since there was a connection */
function pauseBefore (attempt: number): number {
  return Math.min(FIRST_PAUSE * 2 ** attempt, LONGEST_PAUSE)
}
