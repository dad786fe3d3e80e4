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

/** Reports where there is no logger: as a warning of the process. */
export const reportToProcess: Report = warning => {
  process.emitWarning(warning.message, { type: 'SessionWarning', code: warning.code })
}
