import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SessionConfigError } from '../../src/errors.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import type { SessionConfig } from '../../src/config/options.ts'

/** A directory without a config file. */
export const nowhere = '/nowhere'

export const aSecret = 'a secret of at least 32 characters'

/** Resolves options of any kind, as JavaScript would let them through, with nothing in the environment. */
export async function resolved (options: unknown, env: NodeJS.ProcessEnv = {}): Promise<SessionConfig> {
  return resolveConfig(options as object, { env, cwd: nowhere })
}

/** The faults found in options. */
export async function problemsOf (options: unknown, env: NodeJS.ProcessEnv = {}): Promise<readonly string[]> {
  return problemsIn(resolved(options, env))
}

export async function problemsIn (resolving: Promise<SessionConfig>): Promise<readonly string[]> {
  return (await errorOf(resolving)).problems
}

export async function errorOf (resolving: Promise<SessionConfig>): Promise<SessionConfigError> {
  const outcome = await resolving.catch((error: unknown) => error)
  if (outcome instanceof SessionConfigError) return outcome
  throw new Error('the options were accepted, or something else was thrown', { cause: outcome })
}

/**
 * Lets the files of a directory import `defineConfig` from 'ambient-session'. Needs no build of the package: it is the
 * source that is installed. A package.json keeps the name from meaning the package that the test itself belongs to.
 */
export function installInto (cwd: string): string {
  if (!existsSync(join(cwd, 'package.json'))) writeFileSync(join(cwd, 'package.json'), '{}')
  const directory = join(cwd, 'node_modules/ambient-session')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{ "name": "ambient-session", "type": "module", "exports": "./define.ts" }')
  symlinkSync(resolve(import.meta.dirname, '../../src/config/define.ts'), join(directory, 'define.ts'))
  return cwd
}
