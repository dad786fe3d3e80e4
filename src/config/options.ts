/** What users write, and what the rest of the package gets to see of it. */
import type { ConnectStore } from '../stores/connect.ts'
import type { SessionStore } from '../stores/store.ts'

/** `null` and `undefined` mean the same as leaving an option out. */
type Optional<T> = T | null | undefined

export type SameSite = 'lax' | 'strict' | 'none'

export interface BlockOptions {
  /** Seconds after which the lock is released even if the request is still running. Default: 10. */
  lock?: number | undefined
  /** Seconds to wait for another request before answering 423. Default: 10. */
  wait?: number | undefined
}

export interface CsrfOptions {
  /**
   * Paths that are not checked, such as those of webhooks: `'/webhooks/stripe'`. A `*` at the end stands for anything that
   * follows: `'/webhooks/*'`. Default: none.
   */
  except?: readonly string[] | undefined
  /** Other origins whose pages may send requests, and need no token: `'https://spa.example'`. Default: none. */
  origins?: readonly string[] | undefined
  /** Headers in which the token is looked for. Default: `['X-CSRF-TOKEN', 'X-XSRF-TOKEN']`. */
  headers?: readonly string[] | undefined
  /** Form field in which the token is looked for, and which `csrfField()` writes. Default: `'_token'`. */
  field?: string | undefined
  /**
   * Name of the cookie that axios and Angular read the token from to send it in `X-XSRF-TOKEN`; `false` for none. It is sent
   * once the session has a token. Default: `'XSRF-TOKEN'`.
   */
  cookie?: string | false | undefined
}

type UserIdInOldSession = string | number | null | undefined

/** Sessions of another package that go on here; see docs/moving/. */
export interface AdoptOptions {
  /** Name of the other package's cookie: `'connect.sid'`, `'sessionId'`, `'session'`, `'laravel_session'`. */
  cookie: string
  /**
   * A store for express-session or @fastify/session in which those sessions are. It needs the `secret` that signs the cookie. An
   * adopted session is destroyed there.
   */
  store?: Pick<ConnectStore, 'get' | 'destroy'> | undefined
  /** Signs the other package's cookie. Of a list all are accepted. */
  secret?: string | readonly string[] | undefined
  /**
   * Reads a session in place of a `store`: gets the cookie's value (without its signature, where there is a `secret`) and gives the
   * session's keys and values, or undefined. What it throws is a 503, but a SyntaxError: then the visitor is a new one.
   */
  read?: ((value: string) => object | null | undefined | Promise<object | null | undefined>) | undefined
  /** Ends the session where `read` has found it; gets the same value. */
  end?: ((value: string) => unknown) | undefined
  /** Gives the id of the user whose session it is, from its keys and values. */
  user?: ((data: Record<string, unknown>) => UserIdInOldSession | Promise<UserIdInOldSession>) | undefined
  /** Path of the other package's cookie. Default: `'/'`. */
  path?: string | undefined
  /** Domain of the other package's cookie. Default: none. */
  domain?: string | undefined
  /** Whether the other package's cookie is `Partitioned`. Default: `false`. */
  partitioned?: boolean | undefined
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
   * File store: read through the thread pool, before the handler runs, so that slow storage does not hold up the event loop.
   * On a fast disk it costs more than it saves. Default: `false`.
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
   * Signs the cookie, and what `encrypt` derives its keys from. At least 32 characters, or 32 bytes, which mean the same as
   * their base64url text. Of a list the first one is used and all of them are accepted, which is how secrets are rotated.
   * Default: none.
   */
  secret?: Optional<string | Uint8Array | ReadonlyArray<string | Uint8Array>>
  /** Encrypts what the store keeps with AES-256-GCM; needs a `secret`. Default: `false`. */
  encrypt?: Optional<boolean>
  /**
   * Lets only one request at a time work on a session, on every route. `true` means `{ lock: 10, wait: 10 }`, in
   * seconds. Default: `false`.
   */
  block?: Optional<boolean | BlockOptions>
  /** Records the URL of GET pages for `previousUrl()`, which costs a write per page. Default: `false`. */
  previousUrl?: Optional<boolean>
  /**
   * Form fields that `flashInput()` leaves out, besides files, `_token` and password fields: `['card_number']`. Default:
   * none.
   */
  dontFlash?: Optional<readonly string[]>
  /**
   * Refuses requests that another site makes the browser send, with 419: all but GET, HEAD, OPTIONS and TRACE, and the handshakes
   * of WebSockets. `true` means the defaults. Default: `false`.
   */
  csrf?: Optional<boolean | CsrfOptions>
  /**
   * Answers a form that fails its route's schema with a redirect back, with the errors and the input for the next page. Clients
   * that do not ask for HTML get Fastify's 400. Default: `false`.
   */
  flashValidation?: Optional<boolean>
  /** Sessions of another package, whose visitors stay signed in when an application moves to this one. Default: none. */
  adopt?: Optional<AdoptOptions | readonly AdoptOptions[]>
  /** Seconds for which an ended session's key is remembered as ended. Default: 10. */
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
export interface SessionOptions extends CamelCaseOptions, SnakeCaseOptions {
  /**
   * The config file to read, in place of `config/session.*`: an absolute path, one from the working directory, or a `file:` URL.
   * Options that are given beside it come before those of the file. It cannot stand in a config file. Default: none.
   */
  configFile?: Optional<string | URL>
}

/** The option `csrf`, checked and complete. */
export type CsrfConfig = { readonly [Name in keyof CsrfOptions]-?: NonNullable<CsrfOptions[Name]> }

/** An entry of the option `adopt`, checked and complete: it has a `store` or a `read`. */
export interface AdoptConfig extends Omit<AdoptOptions, 'secret' | 'path' | 'partitioned'> {
  /** Empty when none was given. */
  readonly secret: readonly string[]
  readonly path: string
  readonly partitioned: boolean
}

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
  readonly dontFlash: readonly string[]
  readonly csrf: false | CsrfConfig
  readonly flashValidation: boolean
  /** Empty when none was given. */
  readonly adopt: readonly AdoptConfig[]
  /** Seconds. */
  readonly grace: number
  /** Seconds. */
  readonly sweep: number | false
  readonly maxBytes: number
}
