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
  /** @returns what is wrong; false when nothing is */
  readonly problem: (config: Checked) => string | false
}

const rule = (of: OptionName, and: OptionName, problem: Rule['problem']): Rule => ({ of, and, problem })

const bearsHostPrefix = (name: unknown): boolean => typeof name === 'string' && /^__host-/i.test(name)
const needsSecure = (name: unknown): boolean => typeof name === 'string' && /^__(host|secure)-/i.test(name)
const refusedWithoutSecure = (name: unknown): string => `browsers refuse ${show(name)} without Secure; secure must be true or 'auto'`

/** What browsers demand of a cookie of this name, where it has the session's attributes. */
function prefixRules (of: OptionName, nameIn: (config: Checked) => unknown): Rule[] {
  return [
    rule(of, 'path', config => bearsHostPrefix(nameIn(config)) && config.path !== '/' &&
      `a name that begins with __Host- needs the path '/', got ${show(config.path)}`),
    rule(of, 'domain', config => bearsHostPrefix(nameIn(config)) && config.domain !== undefined &&
      `a name that begins with __Host- allows no domain, got ${show(config.domain)}`),
    rule(of, 'secure', config => config.secure === false && needsSecure(nameIn(config)) && refusedWithoutSecure(nameIn(config)))
  ]
}

/** Those of the session, which with the driver `cookie` may take several. */
const namesOfSession = ({ cookie }: Checked): unknown[] => [cookie, `${cookie}.1`, `${cookie}.2`]
const nameOfToken = ({ csrf }: Checked): unknown => csrf !== false && csrf.cookie

const REDIS_URL = /^rediss?:/
/** A client object is looked at by the store that is to use it. */
const isUrl = ({ connection }: Checked): boolean => typeof connection === 'string'
const isRedisUrl = ({ connection }: Checked): boolean => typeof connection === 'string' && REDIS_URL.test(connection)

export const rules: readonly Rule[] = [
  rule('driver', 'connection', ({ driver, connection }) => driver === 'redis' && connection === undefined &&
    "'redis' needs a connection: set connection (or SESSION_CONNECTION) to a URL such as redis://127.0.0.1:6379, or to a client"),
  rule('driver', 'connection', ({ driver, connection }) => driver === 'database' && connection === undefined &&
    "'database' needs a connection: set connection (or SESSION_CONNECTION) to a URL such as postgres://127.0.0.1/app, or to a client"),
  rule('connection', 'driver', config => config.driver === 'redis' && isUrl(config) && !isRedisUrl(config) &&
    "the driver 'redis' needs a URL that begins with redis:// or rediss://; for this one the driver is 'database'"),
  rule('connection', 'driver', config => config.driver === 'database' && isRedisUrl(config) &&
    "the driver 'database' needs a URL that begins with postgres://, mysql://, mariadb:// or sqlite:; for this one the driver is 'redis'"),
  rule('driver', 'secret', ({ driver, secret }) => driver === 'cookie' && secret.length === 0 &&
    "'cookie' needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well"),
  rule('block', 'driver', ({ block, driver }) => driver === 'cookie' && block !== false &&
    "has no effect with the driver 'cookie': every request brings its own copy of the session"),
  rule('csrf', 'cookie', config => namesOfSession(config).includes(nameOfToken(config)) &&
    `the cookie of the token cannot be that of the session, ${show(nameOfToken(config))}; give csrf.cookie another name, or false`),
  rule('adopt', 'cookie', config => config.adopt.some(({ cookie }) => [...namesOfSession(config), nameOfToken(config)].includes(cookie)) &&
    `an old cookie cannot have the name of one of this package, which would take its place; give cookie another name than ${show(config.cookie)}`),
  rule('encrypt', 'secret', ({ encrypt, secret }) => encrypt && secret.length === 0 &&
    'needs a secret to derive its keys from; set secret (or SESSION_SECRET) as well'),
  ...prefixRules('cookie', ({ cookie }) => cookie),
  ...prefixRules('csrf', nameOfToken),
  rule('adopt', 'secure', ({ adopt, secure }) => {
    const refused = secure === false && adopt.find(({ cookie, partitioned }) => needsSecure(cookie) || partitioned)
    return refused !== undefined && refused !== false && refusedWithoutSecure(refused.cookie)
  }),
  rule('sameSite', 'secure', ({ sameSite, secure }) => sameSite === 'none' && secure === false &&
    "browsers refuse 'none' without Secure; secure must be true or 'auto'"),
  rule('partitioned', 'secure', ({ partitioned, secure }) => partitioned && secure === false &&
    "browsers refuse a partitioned cookie without Secure; secure must be true or 'auto'")
]
