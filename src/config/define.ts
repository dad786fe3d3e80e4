import type { SessionOptions } from './options.ts'

/**
 * Types a `config/session.ts` while it is being written; returns what it was given.
 *
 * @example
 * ```ts
 * export default defineConfig({ lifetime: 60 })
 * ```
 */
export function defineConfig (options: SessionOptions): SessionOptions {
  return options
}
