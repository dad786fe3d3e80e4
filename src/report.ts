/** A fault that fails no request, reported to the application. Names keys, never ids or values. */
export interface SessionWarning {
  readonly code:
    | 'AMBIENT_SESSION_UNSAVED' | 'AMBIENT_SESSION_DROPPED' | 'AMBIENT_SESSION_DAMAGED' | 'AMBIENT_SESSION_STORE'
    | 'AMBIENT_SESSION_COOKIE' | 'AMBIENT_SESSION_FORM' | 'AMBIENT_SESSION_ADOPT' | 'AMBIENT_SESSION_END'
  readonly message: string
  /** SHA-256 of the session's id, where one session is concerned. */
  readonly key?: string
  /** The names of the session's keys that are concerned. */
  readonly keys?: readonly string[]
  readonly cause?: unknown
}

export type Report = (warning: SessionWarning) => void

/** A logger of Fastify's: the application's, or a request's, whose lines say which request it is. */
interface Logger {
  readonly level?: unknown
  warn (details: object, message: string): void
}

/** Warnings go to the log, or to the process where the application does not log. */
export function reportTo (log: Logger): Report {
  if (typeof log.level !== 'string') return reportToProcess
  return ({ message, cause, ...details }) => { log.warn(cause === undefined ? details : { ...details, err: cause }, message) }
}

/** Reports where there is no logger: as a warning of the process. */
export const reportToProcess: Report = warning => {
  process.emitWarning(warning.message, { type: 'SessionWarning', code: warning.code })
}
