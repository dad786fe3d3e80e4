/** Rules between options. The cookie's rules are those of RFC 6265bis. */
import type { z } from 'zod'
import { show } from './describe.ts'
import type { OptionName, sessionSchema } from './schema.ts'

type Checked = z.output<typeof sessionSchema>

export interface Rule {
  /** The option a breach is reported on. */
  readonly of: OptionName
  /** The other option that the rule looks at. */
  readonly and: OptionName
  readonly broken: (config: Checked) => boolean
  readonly problem: (config: Checked) => string
}

const bearsPrefix = (prefix: string) => ({ cookie }: Checked): boolean => cookie.toLowerCase().startsWith(prefix)
const bearsHostPrefix = bearsPrefix('__host-')
const bearsSecurePrefix = bearsPrefix('__secure-')

/** Those of the session, in its parts with the driver `cookie`, and of the CSRF token. */
const namesOfCookies = ({ cookie, csrf }: Checked): unknown[] => [cookie, `${cookie}.1`, `${cookie}.2`, csrf !== false && csrf.cookie]

const REDIS_URL = /^rediss?:/
const connects = ({ driver }: Checked): boolean => driver === 'redis' || driver === 'database'
/** A client object is looked at by the store that is to use it. */
const isUrl = ({ connection }: Checked): boolean => typeof connection === 'string'
const isRedisUrl = ({ connection }: Checked): boolean => typeof connection === 'string' && REDIS_URL.test(connection)

export const rules: readonly Rule[] = [
  {
    of: 'driver',
    and: 'connection',
    broken: config => connects(config) && config.connection === undefined,
    problem: ({ driver }) => driver === 'redis'
      ? "'redis' needs a connection: set connection (or SESSION_CONNECTION) to a URL such as redis://127.0.0.1:6379, or to a client"
      : "'database' needs a connection: set connection (or SESSION_CONNECTION) to a URL such as postgres://127.0.0.1/app, or to a client"
  },
  {
    of: 'connection',
    and: 'driver',
    broken: config => config.driver === 'redis' && isUrl(config) && !isRedisUrl(config),
    problem: () => "the driver 'redis' needs a URL that begins with redis:// or rediss://; for this one the driver is 'database'"
  },
  {
    of: 'connection',
    and: 'driver',
    broken: config => config.driver === 'database' && isRedisUrl(config),
    problem: () => "the driver 'database' needs a URL that begins with postgres://, mysql://, mariadb:// or sqlite:; for this one the driver is 'redis'"
  },
  {
    of: 'driver',
    and: 'secret',
    broken: ({ driver, secret }) => driver === 'cookie' && secret.length === 0,
    problem: () => "'cookie' needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well"
  },
  {
    of: 'block',
    and: 'driver',
    broken: ({ block, driver }) => driver === 'cookie' && block !== false,
    problem: () => "has no effect with the driver 'cookie': every request brings its own copy of the session"
  },
  {
    of: 'csrf',
    and: 'cookie',
    broken: ({ csrf, cookie }) => csrf !== false && csrf.cookie === cookie,
    problem: ({ cookie }) => `the cookie of the token cannot be that of the session, ${show(cookie)}; give csrf.cookie another name, or false`
  },
  {
    of: 'adopt',
    and: 'cookie',
    broken: config => namesOfCookies(config).some(name => config.adopt.some(({ cookie }) => cookie === name)),
    problem: ({ cookie }) => `an old cookie cannot have the name of one of this package, which would take its place; give cookie another name than ${show(cookie)}`
  },
  {
    of: 'encrypt',
    and: 'secret',
    broken: ({ encrypt, secret }) => encrypt && secret.length === 0,
    problem: () => 'needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well'
  },
  {
    of: 'cookie',
    and: 'path',
    broken: config => bearsHostPrefix(config) && config.path !== '/',
    problem: ({ path }) => `a name that begins with __Host- needs the path '/', got ${show(path)}`
  },
  {
    of: 'cookie',
    and: 'domain',
    broken: config => bearsHostPrefix(config) && config.domain !== undefined,
    problem: ({ domain }) => `a name that begins with __Host- allows no domain, got ${show(domain)}`
  },
  {
    of: 'cookie',
    and: 'secure',
    broken: config => config.secure === false && (bearsHostPrefix(config) || bearsSecurePrefix(config)),
    problem: ({ cookie }) => `browsers refuse ${show(cookie)} without Secure; secure must be true or 'auto'`
  },
  {
    of: 'sameSite',
    and: 'secure',
    broken: ({ sameSite, secure }) => sameSite === 'none' && secure === false,
    problem: () => "browsers refuse 'none' without Secure; secure must be true or 'auto'"
  },
  {
    of: 'partitioned',
    and: 'secure',
    broken: ({ partitioned, secure }) => partitioned && secure === false,
    problem: () => "browsers refuse a partitioned cookie without Secure; secure must be true or 'auto'"
  }
]
