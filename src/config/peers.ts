/** The names of options in other session packages and in Laravel, and what to write here instead. */
import { types } from 'node:util'
import { plain } from './nearest.ts'

/** @returns what to write instead of `name: value` */
type Advice = (value: unknown, options: object) => string

const SECOND = 1000
const MINUTE = 60_000

/** `name: value` where the value may be shown in a message as code, else only the name. */
function code (name: string, value: unknown): string {
  const literal = literalOf(value)
  return literal === undefined ? name : `${name}: ${literal}`
}

/** The longest text that is repeated in a message. */
const LONGEST = 60

function literalOf (value: unknown): string | undefined {
  if (typeof value === 'boolean' || Number.isFinite(value)) return String(value)
  return typeof value === 'string' && value.length <= LONGEST && /^[\w .\-/]+$/.test(value) ? `'${value}'` : undefined
}

const write: (what: string) => Advice = what => () => `is not an option; write ${what} instead`
const needless: (why: string) => Advice = why => () => `is not needed: leave it out; ${why}`
const renamed: (name: string) => Advice = name => value => `is not an option; write ${code(name, value)} instead`

const minutes = (unit: number): Advice => value => `is not an option; lifetime is in minutes: write ${lifetimeOf(value, unit)}`

function lifetimeOf (value: unknown, unit: number): string {
  const span = Number(value) * unit / MINUTE
  return typeof value === 'number' && span > 0 && Number.isFinite(span) ? `lifetime: ${Number(span.toPrecision(6))}` : 'lifetime (in minutes)'
}

/** @fastify/secure-session and iron-session count a maxAge in seconds, the others in milliseconds. */
function unitOfMaxAge (options: object): number {
  return ['key', 'salt', 'sessionName', 'password'].some(name => name in options) ? SECOND : 1
}

const maxAge: Advice = (value, options) => minutes(unitOfMaxAge(options))(value, options)

const store: Advice = value => {
  if (isConnectStore(value)) {
    return "is not an option; write driver: 'redis' or 'database' with the connection instead, or driver: fromConnectStore(store) where the " +
      'sessions are elsewhere. The option adopt keeps the visitors of this store signed in'
  }
  return typeof value === 'string' ? renamed('driver')(value, {}) : 'is not an option; pass the store itself as driver'
}

function isConnectStore (value: unknown): boolean {
  return typeof value === 'object' && value !== null && ['get', 'set', 'destroy'].every(name => typeof (value as Record<string, unknown>)[name] === 'function')
}

const secretOfBytes: Advice = value => types.isUint8Array(value)
  ? 'is not an option; write secret instead, which takes the Buffer as it is'
  : 'is not an option; write secret for what signs the cookie, or cookie for its name'

const randomIds = 'the id of a session is always 256 random bits'

/** Names in lower case and without `_`, as a name is looked up. */
const ADVICE = new Map<string, Advice>(Object.entries({
  // @fastify/session
  cookieName: renamed('cookie'),
  cookiePrefix: needless('the cookie has no prefix'),
  maxAge,
  expires: write('lifetime (in minutes)'),
  saveUninitialized: needless('a session in which nothing was put is never stored'),
  rolling: needless('every use of a session extends it; for an end that does not move, write absoluteLifetime'),
  idGenerator: needless(randomIds),
  store,
  prefix: write('driver: new RedisStore({ connection, prefix })'),
  // express-session
  name: renamed('cookie'),
  resave: needless('only what was changed is written'),
  proxy: () => "is an option of Fastify: write Fastify({ trustProxy: '127.0.0.1' }), with the proxy's address",
  unset: needless('session().invalidate() ends a session'),
  genid: needless(randomIds),
  ttl: minutes(SECOND),
  keys: write('secret: [newest, older]'),
  // @fastify/secure-session
  key: secretOfBytes,
  salt: needless('keys are derived from secret'),
  sessionName: needless("the session is req.session(); the cookie's name is cookie"),
  expiry: minutes(SECOND),
  // iron-session
  password: write('secret'),
  cookieOptions,
  // Laravel
  lottery: () => 'is not needed: expired sessions are removed in the background, see sweep',
  serialization: needless('values are stored with their types'),
  blockStore: needless('the store of the sessions locks them, too'),
  blockLockSeconds: value => `is not an option; write block: { ${code('lock', value)} } instead`,
  blockWaitSeconds: value => `is not an option; write block: { ${code('wait', value)} } instead`,
  // This package: where it is not one of register()
  configFile: () => 'belongs into register(): a config file cannot name another one'
} satisfies Record<string, Advice>).map(([name, advice]) => [plain(name), advice]))

/** Names of Laravel's own file that may stand there with nothing in them. */
export const MAY_BE_NULL: readonly string[] = ['lottery', 'store', 'block_store']

/** @returns what to write instead of an option of another package; undefined when no package has one of this name */
export function adviceFor (label: string, value: unknown, options: object): string | undefined {
  return ADVICE.get(plain(label))?.(value, options)
}

/** Attributes of a cookie that are options of the same name here. */
const ATTRIBUTES = ['secure', 'httpOnly', 'path', 'domain', 'partitioned']

/** What is wrong with an object as `cookie`: here that is a name. */
export function cookieAdvice (cookie: object, options: object): string {
  return `is the name of the cookie, and its attributes are options beside it: write ${attributesOf(cookie, unitOfMaxAge(options))}`
}

function cookieOptions (value: unknown): string {
  const attributes = typeof value === 'object' && value !== null ? attributesOf(value, SECOND) : 'its attributes as options of their own'
  return `is not an option; write ${attributes} instead`
}

function attributesOf (cookie: object, unit: number): string {
  const parts = Object.entries(cookie).flatMap(([name, value]) => attributeOf(name, value, unit) ?? [])
  return parts.length === 0 ? "cookie: 'ambient_session'" : [...new Set(parts)].join(', ')
}

function attributeOf (name: string, value: unknown, unit: number): string | undefined {
  if (value === undefined) return undefined
  switch (name) {
    case 'maxAge':
      return value === null ? 'expireOnClose: true' : lifetimeOf(value, unit)
    case 'expires':
      return value === null || value === false ? 'expireOnClose: true' : 'lifetime (in minutes)'
    case 'name':
      return code('cookie', value)
    case 'sameSite':
      return sameSiteOf(value)
    default:
      return ATTRIBUTES.includes(name) ? code(name, value) : undefined
  }
}

/** Elsewhere `true` means strict, and `false` leaves the attribute out, which browsers take for lax. */
function sameSiteOf (value: unknown): string {
  if (typeof value === 'boolean') return value ? "sameSite: 'strict'" : "sameSite: 'lax'"
  return code('sameSite', value)
}
