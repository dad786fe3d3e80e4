/** Config files: `config/session.*` under the working directory, or one that `configFile` names. */
import { existsSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { SessionConfigError } from '../errors.ts'
import { show } from './describe.ts'

/** In the order in which they are looked for. */
const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs']
const CANDIDATES = EXTENSIONS.map(extension => `config/session${extension}`)

/** Node.js 22.18 and later run TypeScript by leaving the types out. */
const nodeStripsTypes = Boolean((process.features as { typescript?: unknown }).typescript)

/** @returns the file's path relative to the working directory, or `undefined` when there is none */
export function findConfigFile (cwd: string): string | undefined {
  return CANDIDATES.find(candidate => existsSync(resolve(cwd, candidate)))
}

/** @throws SessionConfigError when the path that `configFile` names leads to no config file */
export function assertConfigFile (cwd: string, file: string): void {
  const problem = !EXTENSIONS.includes(extname(file))
    ? `expected a file that ends with ${EXTENSIONS.join(', ')}, got ${show(file)}`
    : existsSync(resolve(cwd, file)) ? undefined : `there is no file ${show(file)} in ${cwd}`
  if (problem !== undefined) throw new SessionConfigError([`configFile: ${problem}`])
}

/**
 * @param file an absolute path, or one from the working directory
 * @returns the options that the file exports by default, not checked yet
 * @throws SessionConfigError naming the file when it cannot be loaded or exports no options
 */
export async function loadConfigFile (cwd: string, file: string, stripsTypes = nodeStripsTypes): Promise<object> {
  const load = file.endsWith('ts') && !stripsTypes ? importTranspiled : importNative
  const fail = (error: unknown): never => {
    throw new SessionConfigError([`could not be loaded: ${firstLine(error)}`], file, { cause: error })
  }
  const exported = await load(resolve(cwd, file)).catch(fail)
  if (!('default' in exported)) {
    throw new SessionConfigError(['has no default export; it should have export default defineConfig({ … })'], file)
  }
  const options: unknown = await unwrapped(exported.default).catch(fail)
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new SessionConfigError([`should export an object of options by default, got ${show(options)}`], file)
  }
  return options
}

async function importNative (path: string): Promise<object> {
  return await import(pathToFileURL(path).href) as object
}

async function importTranspiled (path: string): Promise<object> {
  // Loaded only where it is needed: bundles may lack it, and bundlers know by the catch that it is optional.
  const { createJiti } = await import('jiti').catch((cause: unknown) => {
    throw new Error('TypeScript needs Node.js 22.18 or later, or the package jiti (npm i jiti)', { cause })
  })
  // No cache on disk: it would be written into the application's node_modules.
  return await createJiti(path, { fsCache: false, interopDefault: false }).import(path)
}

function firstLine (error: unknown): string | undefined {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0]
}

/**
 * @param imported options, or what an import of them gives: a promise, a module, what a compiler made of one for CommonJS
 * @returns the options, or whatever is in their place
 */
export async function unwrapped (imported: unknown): Promise<unknown> {
  const value = await imported
  const isModule = typeof value === 'object' && value !== null && 'default' in value && value.default !== value
  return isModule ? await unwrapped(value.default) : value
}
