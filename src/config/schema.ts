/** Each option by itself: what it takes, its default, and how a fault describes it. */
import { types } from 'node:util'
import { z } from 'zod'
import type { SessionStore } from '../stores/store.ts'
import { conceal, show } from './describe.ts'
import { notAnOption } from './nearest.ts'
import type { AdoptConfig, AdoptOptions, CamelCaseOptions, SameSite } from './options.ts'

/** Of random base64 these are 192 bits; a passphrase that long is hard enough to guess, too. */
const MIN_SECRET_LENGTH = 32
/** A hundred years: far enough, and well within what a Date can hold. */
const MAX_MINUTES = 52_560_000
/** What a Node.js timer can wait: 2³¹ - 1 milliseconds, some 24 days. */
const MAX_SECONDS = 2_147_483

export const flag = z.boolean(expected('true or false'))
const minutesFault = expected('a number of minutes greater than 0')
const minutes = z.number(minutesFault).positive(minutesFault).max(MAX_MINUTES, expected(`at most ${MAX_MINUTES} minutes (100 years)`))
const sweepFault = expected('a number of seconds greater than 0, or false')
const timeoutFault = expected('a number of seconds greater than 0')
const bytesFault = expected('a whole number of bytes greater than 0')
const tooManySeconds = expected(`at most ${MAX_SECONDS} seconds (24 days)`)

function seconds (min: number): z.ZodNumber {
  const fault = expected(`a number of seconds, ${min} or more`)
  return z.number(fault).min(min, fault).max(MAX_SECONDS, tooManySeconds)
}

function matching (pattern: RegExp, what: string): z.ZodString {
  return z.string(expected(what)).regex(pattern, expected(what))
}

/** A list of texts; a fault of one of them says what the list is to hold. */
function listMatching (pattern: RegExp, what: string) {
  return asReadonly(z.array(matching(pattern, what), expected(what)))
}

const NOT_EMPTY = /./s

const secretText = z.string().min(MIN_SECRET_LENGTH, expected(`a text of at least ${MIN_SECRET_LENGTH} characters`, conceal))
const secretBytes = z.custom<Uint8Array>(types.isUint8Array, { abort: true })
  .refine(({ byteLength }) => byteLength >= MIN_SECRET_LENGTH, expected(`at least ${MIN_SECRET_LENGTH} bytes`, conceal))
const secretFault = expected(`a text of at least ${MIN_SECRET_LENGTH} characters, a Buffer of at least ${MIN_SECRET_LENGTH} bytes, or a list of such`, conceal)
const secret = z.union([secretText, secretBytes], secretFault)
const secretList = asReadonly(z.array(secret).min(1, secretFault))

export const blockSchema = flagOrParts(
  z.strictObject({ lock: seconds(1).default(10), wait: seconds(0).default(10) }),
  'true, false or { lock: seconds, wait: seconds }'
)

const originsFault = expected("a list of origins such as 'https://spa.example', with a port where it is not the default, and without a path")
const tokenCookieFault = expected('the name of a cookie, or false')
/** A `*` stands only at the end: elsewhere it would be taken for itself. */
const PATH_PATTERN = /^\/[^*?#\s]*\*?$/

/** RFC 6265, section 4.1.1: the name of a cookie is a token as of RFC 2616, section 2.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/
/** As browsers write it in the header `Origin`. Web views of other schemes, `capacitor://localhost`, have one as well. */
function isOrigin (text: string): boolean {
  if (text.includes('*')) return false
  return /^https?:/.test(text) ? URL.canParse(text) && new URL(text).origin === text : /^[a-z][a-z\d+.-]*:\/\/[^\s/?#]+$/.test(text)
}

const csrfSchema = flagOrParts(z.strictObject({
  except: listMatching(PATH_PATTERN, "a list of paths such as '/webhooks/stripe', or '/webhooks/*' for all below").default([]),
  origins: asReadonly(z.array(z.string(originsFault).refine(isOrigin, originsFault), originsFault)).default([]),
  headers: listMatching(TOKEN, 'a list of names of headers').default(['X-CSRF-TOKEN', 'X-XSRF-TOKEN']),
  field: matching(NOT_EMPTY, 'the name of a form field').default('_token'),
  cookie: z.union([z.literal(false), z.string().regex(TOKEN, tokenCookieFault)], tokenCookieFault).default('XSRF-TOKEN')
}), "true, false or { except: ['/webhooks/*'], origins: ['https://spa.example'], headers: ['X-CSRF-TOKEN'], field: '_token', cookie: 'XSRF-TOKEN' }")

const COOKIE_PATH = /^\/[\x20-\x3a\x3d-\x7e]*$/
const HOST_NAME = /^\.?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i
/** Such names need no quoting in any SQL dialect; a schema may come before the name. */
const TABLE_NAME = /^[a-z_]\w*(\.[a-z_]\w*)?$/i
const CONNECTION_URL = /^(rediss?|postgres(ql)?|mysql|mariadb):\/\/|^sqlite:./

const adoptFault = expected("{ cookie: 'connect.sid', secret, store } or { cookie: 'session', read }, or a list of such", conceal)
const oldSecretFault = expected('the secret that signs the old cookie, or a list of such', conceal)
const oldSecret = z.string(oldSecretFault).min(1, oldSecretFault)
type Adopt = Required<AdoptOptions>
const adoptShape = z.strictObject({
  cookie: matching(TOKEN, 'the name of a cookie'),
  store: z.custom<NonNullable<Adopt['store']>>(isConnectStore, expected('a store for express-session or @fastify/session, with the functions get and destroy', conceal)).optional(),
  secret: z.union([oldSecret, asReadonly(z.array(oldSecret).min(1, oldSecretFault))], oldSecretFault).optional(),
  read: z.custom<NonNullable<Adopt['read']>>(isFunction, expected('a function')).optional(),
  end: z.custom<NonNullable<Adopt['end']>>(isFunction, expected('a function')).optional(),
  user: z.custom<NonNullable<Adopt['user']>>(isFunction, expected('a function')).optional(),
  path: matching(COOKIE_PATH, 'a path that begins with / and has no semicolon or < in it').optional(),
  domain: matching(HOST_NAME, 'a host name such as example.com').optional(),
  partitioned: flag.optional()
})
  .refine(({ store, read }) => (store === undefined) !== (read === undefined), { error: 'expected either a store or a read function' })
  .refine(({ store, secret }) => store === undefined || secret !== undefined, { error: 'a store needs the secret that signs the old cookie' })

type Driver = NonNullable<CamelCaseOptions['driver']>

const DRIVERS: readonly unknown[] = Object.keys({
  file: true, memory: true, array: true, redis: true, database: true, cookie: true, null: true
} satisfies Record<Extract<Driver, string>, true>)
const STORE_METHODS = ['read', 'compareAndSet', 'touch', 'destroy'] as const satisfies Array<keyof SessionStore>
const SAME_SITES: readonly string[] = ['lax', 'strict', 'none'] satisfies SameSite[]

export const sessionSchema = z.strictObject({
  driver: z.custom<Driver>(isDriver, { error: issue => driverFault(issue.input) })
    .default('file')
    .transform(driver => driver === 'array' ? 'memory' : driver),
  files: matching(/./, 'the path of a directory').default('storage/framework/sessions'),
  durable: flag.default(false),
  asyncReads: flag.default(false),
  connection: z.custom<string | object>(isConnection, expected(
    'a URL that begins with redis://, rediss://, postgres://, mysql://, mariadb:// or sqlite:, or a client object', conceal)).optional(),
  table: matching(TABLE_NAME, 'the name of a table').default('sessions'),
  createTable: flag.default(false),
  timeout: z.number(timeoutFault).positive(timeoutFault).max(MAX_SECONDS, tooManySeconds).default(2),
  lifetime: minutes.default(120),
  absoluteLifetime: minutes.optional(),
  expireOnClose: flag.default(false),
  cookie: matching(TOKEN, 'the name of a cookie: letters, digits and any of !#$%&\'*+-.^_`|~').default('ambient_session'),
  path: matching(COOKIE_PATH, 'a path that begins with / and has no semicolon or < in it').default('/'),
  domain: matching(HOST_NAME, 'a host name such as example.com').optional(),
  secure: z.union([z.boolean(), z.literal('auto')], expected("true, false or 'auto'")).default('auto'),
  httpOnly: flag.default(true),
  sameSite: z.custom<SameSite | Capitalize<SameSite>>(isSameSite, expected("'lax', 'strict' or 'none'"))
    .default('lax')
    .transform(value => value.toLowerCase() as SameSite),
  partitioned: flag.default(false),
  secret: z.union([secret, secretList], secretFault)
    .default([])
    .transform(value => (isSecret(value) ? [value] : value).map(textOf)),
  encrypt: flag.default(false),
  block: blockSchema.default(false),
  previousUrl: flag.default(false),
  dontFlash: listMatching(NOT_EMPTY, 'a list of names of form fields').default([]),
  csrf: csrfSchema.default(false),
  flashValidation: flag.default(false),
  adopt: z.custom<AdoptOptions | readonly AdoptOptions[]>(value => [value].flat().every(isObject), adoptFault)
    .default([])
    .transform(adoptConfigOf),
  grace: seconds(0).default(10),
  sweep: z.union([z.literal(false), z.number().positive(sweepFault).max(MAX_SECONDS, tooManySeconds)], sweepFault).default(60),
  maxBytes: z.int(bytesFault).positive(bytesFault).default(1024 * 1024)
})

export type OptionName = keyof typeof sessionSchema.shape

export const optionNames = Object.keys(sessionSchema.shape) as OptionName[]

type Values<Options> = { [Name in keyof Options]-?: NonNullable<Options[Name]> }
type Same<A, B> = [A, B] extends [B, A] ? true : false
type Holds<Statement extends true> = Statement

/**
 * The documented options and the checked ones are the same, or this does not compile.
 *
 * @internal
 */
export type OptionsAgree = Holds<Same<Values<CamelCaseOptions>, Values<z.input<typeof sessionSchema>>>>

/** By its type alone: zod's own `readonly()` freezes what was given even where it is refused, and throws where that is a Buffer. */
function asReadonly<Input, Output> (list: z.ZodType<Output[], Input[]>): z.ZodType<readonly Output[], readonly Input[]> {
  return list
}

/** An option that is a flag or an object: `false` stays, `true` means the object with all its defaults. */
function flagOrParts<Shape extends z.ZodObject> (shape: Shape, what: string) {
  return z.custom<boolean | z.input<Shape>>(value => typeof value === 'boolean' || isObject(value), expected(what))
    .transform((value, context): false | z.output<Shape> => value !== false && inParts(shape, value === true ? {} : value, context))
}

/** Checks an object part by part, so that each fault names its part: a union that nothing fits does not say what was wrong. */
function inParts<Shape extends z.ZodObject> (
  shape: Shape, value: object, context: z.RefinementCtx, at: PropertyKey[] = []
): z.output<Shape> {
  const { data, error } = shape.safeParse(value)
  const add = (path: PropertyKey[], message: string): void => { context.addIssue({ code: 'custom', path: [...at, ...path], message }) }
  for (const issue of error?.issues ?? []) {
    if (issue.code !== 'unrecognized_keys') add(issue.path, issue.message)
    else for (const name of issue.keys) add([...issue.path, name], notAnOption(name, Object.keys(shape.shape)))
  }
  return data ?? z.NEVER
}

function adoptConfigOf (value: AdoptOptions | readonly AdoptOptions[], context: z.RefinementCtx): readonly AdoptConfig[] {
  return [value].flat().map((entry, index) => {
    const at = Array.isArray(value) ? [index] : []
    const { secret = [], path = '/', partitioned = false, ...rest } = inParts(adoptShape, entry, context, at)
    return { ...rest, path, partitioned, secret: [secret].flat() }
  })
}

function isConnectStore (value: unknown): boolean {
  return isObject(value) && missingMethods(value, ['get', 'destroy']).length === 0
}

function isFunction (value: unknown): boolean {
  return typeof value === 'function'
}

function isDriver (value: unknown): boolean {
  return isObject(value) ? missingMethods(value).length === 0 : DRIVERS.includes(value)
}

function driverFault (value: unknown): string {
  if (isObject(value)) {
    return `expected a SessionStore, got an object without the functions ${missingMethods(value).join(', ')}. A store for express-session goes into ` +
      "fromConnectStore(store), a client or pool into the option connection, beside driver: 'redis' or 'database'"
  }
  return `expected 'file', 'memory' (or 'array'), 'redis', 'database', 'cookie', 'null' or an object that is a SessionStore, got ${show(value)}`
}

function missingMethods (store: object, methods: readonly string[] = STORE_METHODS): string[] {
  return methods.filter(method => !isFunction((store as Record<string, unknown>)[method]))
}

function isConnection (value: unknown): boolean {
  return typeof value === 'string' ? CONNECTION_URL.test(value) : isObject(value) || typeof value === 'function'
}

function isSecret (value: string | Uint8Array | ReadonlyArray<string | Uint8Array>): value is string | Uint8Array {
  return typeof value === 'string' || types.isUint8Array(value)
}

/** Bytes stand for their base64url text, so that the same secret can be given in the environment. */
function textOf (secret: string | Uint8Array): string {
  if (typeof secret === 'string') return secret
  return Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength).toString('base64url')
}

function isSameSite (value: unknown): boolean {
  return typeof value === 'string' && SAME_SITES.includes(value.toLowerCase())
}

function isObject (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The message of every fault: what was expected and, unless it is confidential, what was found. */
function expected (what: string, describe = show): { error: (issue: { input?: unknown }) => string } {
  return { error: issue => `expected ${what}, got ${describe(issue.input)}` }
}
