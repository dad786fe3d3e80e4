/**
 * The errors of this package. Each has a stable `code`, a message that says what was wrong and what to do about it, and the
 * `statusCode` that Fastify answers with. No message contains a session id, a secret or a stored value.
 *
 * Only assignments to `req.session` and to the global `session` throw plain TypeErrors.
 */
import { quote } from './session/names.ts'

/** Characters of a path that a message shows. */
const LONGEST_PATH = 100

/** What all errors inherit from, but for {@link SessionValueError} and {@link SessionUsageError}, which are TypeErrors. */
export abstract class SessionError extends Error {
  abstract readonly code: string
  readonly statusCode: number = 500

  constructor (message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

/** The options are wrong. `problems` lists every fault found, one sentence each. */
export class SessionConfigError extends SessionError {
  readonly code = 'ERR_SESSION_CONFIG'
  readonly problems: readonly string[]

  constructor (problems: readonly string[], source = 'the session options', options?: ErrorOptions) {
    super(`${source}: ${problems.length === 1 ? problems[0] : `${problems.length} problems\n${problems.map(p => `  - ${p}`).join('\n')}`}`, options)
    this.problems = problems
  }
}

/** Another plugin has already decorated the request with `session`, or this one was registered twice. */
export class SessionConflictError extends SessionError {
  readonly code = 'ERR_SESSION_CONFLICT'
}

/** `session()` was called where no request's session is in reach. */
export class SessionContextError extends SessionError {
  readonly code = 'ERR_SESSION_CONTEXT'
}

/** A value that cannot be stored and read back as it is, or a key that cannot be one. `path` names the place. */
export class SessionValueError extends TypeError {
  readonly code = 'ERR_SESSION_VALUE'
  readonly statusCode = 500
  readonly path: string

  constructor (path: string, problem: string) {
    super(`session value ${quote(path, LONGEST_PATH)} ${problem}`)
    this.name = new.target.name
    this.path = path
  }
}

/**
 * The Session was used in a way that JavaScript allows and that cannot work: a method was taken off it and called without it,
 * or a property was assigned to it.
 */
export class SessionUsageError extends TypeError {
  readonly code = 'ERR_SESSION_USAGE'
  readonly statusCode = 500

  constructor (message: string) {
    super(message)
    this.name = new.target.name
  }
}

/** A write to a session that the route asked to have read-only. */
export class SessionReadonlyError extends SessionError {
  readonly code = 'ERR_SESSION_READONLY'
}

/**
 * The payload is larger than `maxBytes`, or than what cookies hold. What is stored is unchanged, except after `invalidate()`: the
 * old session has ended then, and only the new one could not be stored.
 */
export class SessionTooLargeError extends SessionError {
  readonly code = 'ERR_SESSION_TOO_LARGE'
  readonly bytes: number
  readonly maxBytes: number

  /** @param place where the session would be kept */
  constructor (bytes: number, maxBytes: number, place: 'store' | 'cookies' = 'store') {
    super(place === 'store'
      ? `the session would take ${bytes} bytes and maxBytes allows ${maxBytes}, so nothing of it is stored. ` +
        'Keep large things elsewhere and a reference to them in the session, or raise maxBytes.'
      : `the session would take ${bytes} bytes in cookies, which hold ${maxBytes}, so it is not sent to the browser. ` +
        'Keep large things elsewhere and a reference to them in the session, or use another driver than \'cookie\'.')
    this.bytes = bytes
    this.maxBytes = maxBytes
  }
}

/**
 * A session began or got a new id where its cookie could not be sent: in `save()` after the headers have left, or in
 * `runWithSession()`.
 */
export class SessionHeadersSentError extends SessionError {
  readonly code = 'ERR_SESSION_HEADERS_SENT'
}

/** `save()` of a session that was ended (signed out, revoked, expired) or regenerated while it was used: nothing was stored. */
export class SessionEndedError extends SessionError {
  readonly code = 'ERR_SESSION_ENDED'
  override readonly statusCode = 409
}

/** `runWithSession({ app, id })` named a session that does not exist or has ended. */
export class SessionNotFoundError extends SessionError {
  readonly code = 'ERR_SESSION_NOT_FOUND'
  override readonly statusCode = 404
}

/** The request may be forged: it comes from a page of another origin, or does not bring the session's CSRF token. */
export class SessionCsrfError extends SessionError {
  readonly code = 'ERR_SESSION_CSRF'
  /** Laravel's: the page has expired. */
  override readonly statusCode = 419
}

/** The page or the call is for signed-in users, and the session has none. */
export class SessionUserError extends SessionError {
  readonly code = 'ERR_SESSION_USER'
  override readonly statusCode = 401
}

/** The application's store cannot list sessions, so that those of a user cannot be found. */
export class SessionListError extends SessionError {
  readonly code = 'ERR_SESSION_LIST'
}

/** A blocking route waited longer than its `wait` for the session. Fastify answers 423 with Retry-After. */
export class SessionLockTimeoutError extends SessionError {
  readonly code = 'ERR_SESSION_LOCK_TIMEOUT'
  override readonly statusCode = 423
  /** Seconds after which another attempt makes sense. */
  readonly retryAfter: number

  constructor (retryAfter: number) {
    super('another request holds this session exclusively and did not let go in time; try again shortly, ' +
      'or raise `wait` in the block option of the route')
    this.retryAfter = retryAfter
  }
}

/** The store could not be reached or written. The cause, for the log, says what was wrong. */
export class SessionStoreError extends SessionError {
  readonly code = 'ERR_SESSION_STORE'
  override readonly statusCode = 503
}
