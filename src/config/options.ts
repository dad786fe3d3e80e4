/** What users write, and what the rest of the package gets to see of it. */
import type { SessionStore } from '../stores/store.ts'

/** `null` and `undefined` mean the same as leaving an option out. */
type Optional<T> = T | null | undefined

export type SameSite = 'lax' | 'strict' | 'none'

export interface BlockOptions {
  /** Seconds after which the lock lets go by itself, should the request still be running. Default: 10. */
  lock?: number | undefined
  /** Seconds to wait for another request before answering 423. Default: 10. */
  wait?: number | undefined
}

/** The options under their own names. */
export interface CamelCaseOptions {
  /**
   * Where sessions are kept: `'file'`, `'memory'` (or `'array'`: gone with the process), `'redis'` and `'database'` (which
   * need a `connection`), `'cookie'` (in the browser, encrypted; needs a `secret`), `'null'` (kept nowhere), or any object
   * that is a SessionStore. Default: `'file'`.
   */
  driver?: Optional<'file' | 'memory' | 'array' | 'redis' | 'database' | 'cookie' | 'null' | SessionStore>
  /** Directory of the file store, relative to the working directory. Default: `'storage/framework/sessions'`. */
  files?: Optional<string>
  /** File store: wait for the disk on every commit, so that a power failure loses none. Default: `false`. */
  durable?: Optional<boolean>
  /**
   * File store: read through the thread pool, before the handler runs, so that slow storage (a network file system) does
   * not hold up the event loop. On a local disk it costs more than it saves. Default: `false`.
   */
  asyncReads?: Optional<boolean>
  /**
   * Where the drivers `redis` and `database` find their server: a URL (`redis://`, `rediss://`, `postgres://`, `mysql://`,
   * `mariadb://`, `sqlite:FILE`), or the client that the application already has. Default: none.
   */
  connection?: Optional<string | object>
  /** Table of the driver `database`, perhaps with its schema in front. Default: `'sessions'`. */
  table?: Optional<string>
  /** Whether the driver `database` makes its table when it is missing. Default: `false`. */
  createTable?: Optional<boolean>
  /** Seconds for which the drivers `redis` and `database` wait for an answer before the request fails with 503. Default: 2. */
  timeout?: Optional<number>
  /** Idle timeout: minutes without use after which a session ends. Fractions are fine. Default: 120. */
  lifetime?: Optional<number>
  /**
   * Absolute timeout: minutes after its creation at which a session ends whatever its use. Where it is shorter than
   * `lifetime` it simply comes first. Default: none.
   */
  absoluteLifetime?: Optional<number>
  /** Leaves Max-Age out of the cookie, so that browsers forget it when they close. Default: `false`. */
  expireOnClose?: Optional<boolean>
  /** Name of the cookie. Default: `'ambient_session'`. */
  cookie?: Optional<string>
  /** Path of the cookie. Default: `'/'`. */
  path?: Optional<string>
  /** Domain of the cookie. Default: none, so only the host that set it gets it back. */
  domain?: Optional<string>
  /** Whether the cookie is for HTTPS only; `'auto'` follows the request's protocol. Default: `'auto'`. */
  secure?: Optional<boolean | 'auto'>
  /** Hides the cookie from scripts in the page. Default: `true`. */
  httpOnly?: Optional<boolean>
  /** Which requests of other sites carry the cookie; upper or lower case. Default: `'lax'`. */
  sameSite?: Optional<SameSite | Capitalize<SameSite>>
  /** Keeps the cookie apart for every top-level site (CHIPS). Default: `false`. */
  partitioned?: Optional<boolean>
  /**
   * Signs the cookie, and what `encrypt` derives its keys from. At least 32 characters. Of a list the first one is used
   * and all of them are accepted, which is how secrets are rotated. Default: none.
   */
  secret?: Optional<string | readonly string[]>
  /** Encrypts what the store keeps with AES-256-GCM; needs a `secret`. Default: `false`. */
  encrypt?: Optional<boolean>
  /**
   * Lets only one request at a time work on a session, on every route. `true` means `{ lock: 10, wait: 10 }`, in
   * seconds. Default: `false`.
   */
  block?: Optional<boolean | BlockOptions>
  /** Records the URL of GET pages for `previousUrl()`, which costs a write per page. Default: `false`. */
  previousUrl?: Optional<boolean>
  /** Seconds for which an ended session's key is remembered as ended. Default: 60. */
  grace?: Optional<number>
  /** Seconds between two removals of expired records in the background; `false` turns them off. Default: 60. */
  sweep?: Optional<number | false>
  /** Largest size of one session as the store keeps it, in bytes. Default: 1048576 (1 MiB). */
  maxBytes?: Optional<number>
}

type SnakeCase<Name extends string> = Name extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${SnakeCase<Rest>}`
  : Name

/** The names of a Laravel file: `http_only` for `httpOnly`. */
type SnakeCaseOptions = {
  [Name in keyof CamelCaseOptions as Name extends SnakeCase<Name> ? never : SnakeCase<Name>]?: CamelCaseOptions[Name]
}

/** What can be given to the plugin or exported by a `config/session.ts`. Everything is optional. */
export interface SessionOptions extends CamelCaseOptions, SnakeCaseOptions {}

/** The options checked and complete. See {@link SessionOptions} for what each one means. */
export interface SessionConfig {
  readonly driver: 'file' | 'memory' | 'redis' | 'database' | 'cookie' | 'null' | SessionStore
  /** An absolute path. */
  readonly files: string
  readonly durable: boolean
  readonly asyncReads: boolean
  readonly connection?: string | object | undefined
  readonly table: string
  readonly createTable: boolean
  /** Seconds. */
  readonly timeout: number
  /** Minutes. */
  readonly lifetime: number
  /** Minutes. */
  readonly absoluteLifetime?: number | undefined
  readonly expireOnClose: boolean
  readonly cookie: string
  readonly path: string
  readonly domain?: string | undefined
  readonly secure: boolean | 'auto'
  readonly httpOnly: boolean
  readonly sameSite: SameSite
  readonly partitioned: boolean
  /** Empty when none was given. The first one signs and encrypts, all of them verify and decrypt. */
  readonly secret: readonly string[]
  readonly encrypt: boolean
  /** Seconds. */
  readonly block: false | { readonly lock: number, readonly wait: number }
  readonly previousUrl: boolean
  /** Seconds. */
  readonly grace: number
  /** Seconds. */
  readonly sweep: number | false
  readonly maxBytes: number
}
