/** The line that the application's log gets when the plugin starts. */
import { isAbsolute, relative, sep } from 'node:path'
import type { SessionConfig } from './config/options.ts'
import type { ConfigSource } from './config/resolve.ts'

/** @returns driver, place and where the options have come from; without any password */
export function startLine (config: SessionConfig, source: ConfigSource, cwd = process.cwd()): string {
  return `ambient-session: ${driverOf(config)}, ${placeOf(config, cwd)}, ${describeSource(source, cwd)}`
}

function driverOf ({ driver }: SessionConfig): string {
  return typeof driver === 'string' ? `${driver} driver` : 'own driver'
}

function placeOf ({ driver, files, connection, table }: SessionConfig, cwd: string): string {
  switch (driver) {
    case 'file':
      return shortest(files, cwd)
    case 'memory':
      return 'in this process'
    case 'redis':
      return serverOf(connection)
    case 'database':
      return `${serverOf(connection)}, table ${table}`
    case 'cookie':
      return 'in the browser'
    case 'null':
      return 'nowhere'
    default:
      return nameOf(driver)
  }
}

function describeSource ({ file, isGiven, unread }: ConfigSource, cwd: string): string {
  if (file !== undefined) return isGiven ? `options given to register() and from ${file}` : `options from ${file}`
  if (!isGiven) return `no config/session.* in ${cwd}`
  return `options given to register()${unread === undefined ? '' : ` in place of ${unread}`}`
}

/** From the working directory, for what is in it. */
function shortest (path: string, cwd: string): string {
  const below = relative(cwd, path)
  return below === '' || below.split(sep)[0] === '..' || isAbsolute(below) ? path : below
}

function serverOf (connection: SessionConfig['connection']): string {
  if (typeof connection !== 'string') return "the application's own client"
  if (connection.startsWith('sqlite:')) return connection
  const scheme = connection.slice(0, connection.indexOf(':'))
  const url = URL.canParse(connection) ? new URL(connection) : undefined
  // A password that holds one of / ? # @ unescaped may have been cut in two.
  const isClear = url !== undefined && !`${url.pathname}${url.search}${url.hash}`.includes('@') && connection.includes('@') === (url.username + url.password !== '')
  return isClear ? `${scheme}://${url.host}${url.pathname}` : `${scheme}: a URL`
}

/** The name of a store's class, where it has one. */
function nameOf (store: object): string {
  const { name } = (store as { constructor?: { name: string } }).constructor ?? { name: 'Object' }
  return name === '' || name === 'Object' ? 'a store without a name' : name
}
