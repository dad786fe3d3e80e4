import { SessionConfigError } from '../errors.ts'
import type { Surroundings } from './check.ts'
import { checkOptions } from './check.ts'
import { show } from './describe.ts'
import { findConfigFile, loadConfigFile } from './file.ts'
import type { SessionConfig, SessionOptions } from './options.ts'

/**
 * Completes and checks the options. Without any, those of `config/session.{ts,mts,js,mjs,cjs}` are taken if there is such
 * a file. What is given nowhere comes from the environment (`SESSION_*`), or else from the defaults.
 *
 * @throws SessionConfigError with all problems at once
 */
export async function resolveConfig (options?: SessionOptions | null, { env = process.env, cwd = process.cwd() }: Partial<Surroundings> = {}): Promise<SessionConfig> {
  const given: unknown = options ?? {}
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new SessionConfigError([`expected an object, got ${show(given)}`])
  }
  const file = Object.keys(given).length === 0 ? findConfigFile(cwd) : undefined
  if (file === undefined) return checkOptions(given, { env, cwd })
  return checkOptions(await loadConfigFile(cwd, file), { env, cwd }, file)
}
