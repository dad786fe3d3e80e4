/** Something the application should hear about although no request fails for it. Names keys, never ids or values. */
export interface SessionWarning {
  readonly code: 'AMBIENT_SESSION_UNSAVED' | 'AMBIENT_SESSION_DROPPED' | 'AMBIENT_SESSION_DAMAGED' | 'AMBIENT_SESSION_STORE'
  readonly message: string
  /** SHA-256 of the session's id, where one session is concerned. */
  readonly key?: string
  /** The names of the session's keys that are concerned. */
  readonly keys?: readonly string[]
  readonly cause?: unknown
}

export type Report = (warning: SessionWarning) => void

/** How a warning is told where there is no logger: once per code and message, on the process. */
export const reportToProcess: Report = warning => {
  process.emitWarning(warning.message, { type: 'SessionWarning', code: warning.code })
}
