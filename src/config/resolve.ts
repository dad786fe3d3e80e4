/** From what users wrote to checked options: what is given in code, then a config file, the environment and the defaults. */
import { fileURLToPath } from 'node:url'
import { SessionConfigError } from '../errors.ts'
import { checkOptions, type Surroundings } from './check.ts'
import { show } from './describe.ts'
import { assertConfigFile, findConfigFile, loadConfigFile, unwrapped } from './file.ts'
import type { SessionConfig, SessionOptions } from './options.ts'

/** Where options have come from, beside the environment. */
export interface ConfigSource {
  /** The config file that was read. */
  readonly file?: string | undefined
  /** Whether options were given in code. */
  readonly isGiven: boolean
  /** A `config/session.*` that was not read, because options were given in code. */
  readonly unread?: string | undefined
}

/** {@link resolveConfigWithSource} for callers that need not know where the options have come from. */
export async function resolveConfig (options?: SessionOptions | null, surroundings: Partial<Surroundings> = {}): Promise<SessionConfig> {
  return (await resolveConfigWithSource(options, surroundings)).config
}

/**
 * Completes and checks the options. Those of a config file are taken where `configFile` names one, below the options given
 * beside it; or where no options are given and there is a `config/session.{ts,mts,js,mjs,cjs}`. What is given nowhere comes
 * from the environment (`SESSION_*`), or else from the defaults.
 *
 * @param options as they are, or what an import of a config file gives
 * @throws SessionConfigError with all problems at once
 */
export async function resolveConfigWithSource (
  options?: unknown, { env = process.env, cwd = process.cwd() }: Partial<Surroundings> = {}
): Promise<{ config: SessionConfig, source: ConfigSource }> {
  const { configFile, explicit } = await readGiven(options)
  const isGiven = Object.keys(explicit).length > 0
  const found = configFile ?? findConfigFile(cwd)
  if (found === undefined || (isGiven && configFile === undefined)) {
    return { config: checkOptions([{ options: explicit }], { env, cwd }), source: { isGiven, unread: found } }
  }
  if (configFile !== undefined) assertConfigFile(cwd, found)
  const layer = { options: await loadConfigFile(cwd, found) }
  // A fault names the file once: in front of everything, or of each option of the file where there are others.
  const config = isGiven
    ? checkOptions([{ options: explicit }, { ...layer, place: `${found}: ` }], { env, cwd })
    : checkOptions([layer], { env, cwd }, found)
  return { config, source: { file: found, isGiven } }
}

/** What Fastify's register() takes beside the options of a plugin, and what fastify-cli's tests hand on with them. */
const OF_FASTIFY = ['logLevel', 'logSerializers', 'skipOverride']

/** @fastify/autoload gives the path of a plugin's folder as a prefix of its routes. */
function isOfFastify (name: string, value: unknown): boolean {
  return OF_FASTIFY.includes(name) || (name === 'prefix' && typeof value === 'string' && /^(\/|$)/.test(value))
}

async function readGiven (options: unknown): Promise<{ configFile: string | undefined, explicit: object }> {
  const given = await unwrapped(options) ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) throw new SessionConfigError([`expected an object, got ${show(given)}`])
  const { configFile, config_file: other, ...others } = given as { configFile?: unknown, config_file?: unknown }
  const explicit = Object.fromEntries(Object.entries(others).filter(([name, value]) => value !== undefined && !isOfFastify(name, value)))
  return { configFile: configPathOf(configFile ?? other ?? undefined), explicit }
}

function configPathOf (file: unknown): string | undefined {
  if (file === undefined || isPath(file)) return file
  try {
    if (file instanceof URL || (typeof file === 'string' && file.startsWith('file:'))) return fileURLToPath(file)
  } catch {
    // Of another scheme, or of another host.
  }
  throw new SessionConfigError([`configFile: expected the path of a config file, got ${show(file)}`])
}

function isPath (value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('://')
}
