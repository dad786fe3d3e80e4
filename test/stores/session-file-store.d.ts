declare module 'session-file-store' {
  import type session from 'express-session'

  interface Options {
    readonly path: string
    readonly retries: number
    readonly reapInterval: number
    readonly logFn: (text: string) => void
  }

  export default function (of: typeof session): new (options: Options) => session.Store
}
