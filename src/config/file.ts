/** `config/session.*` under the working directory: finding it and loading what it exports. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createJiti } from 'jiti'
import { SessionConfigError } from '../errors.ts'
import { show } from './describe.ts'

/** In the order in which they are looked for. */
const CANDIDATES = ['ts', 'mts', 'js', 'mjs', 'cjs'].map(extension => `config/session.${extension}`)

/** Node.js 22.18 and later run TypeScript by leaving the types out. */
const nodeStripsTypes = Boolean((process.features as { typescript?: unknown }).typescript)

/** @returns the file's path relative to the working directory, or `undefined` when there is none */
export function findConfigFile (cwd: string): string | undefined {
  return CANDIDATES.find(candidate => existsSync(join(cwd, candidate)))
}

/**
 * @param file as {@link findConfigFile} gives it
 * @returns the options that the file exports by default, not checked yet
 * @throws SessionConfigError naming the file when it cannot be loaded or exports no options
 */
export async function loadConfigFile (cwd: string, file: string, stripsTypes = nodeStripsTypes): Promise<object> {
  const load = file.endsWith('ts') && !stripsTypes ? importTranspiled : importNative
  const exported = await load(join(cwd, file)).catch((error: unknown) => {
    throw new SessionConfigError([`could not be loaded: ${firstLine(error)}`], file, { cause: error })
  })
  if (!('default' in exported)) {
    throw new SessionConfigError(['has no default export; it should have export default defineConfig({ … })'], file)
  }
  const options: unknown = await unwrapped(exported.default)
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new SessionConfigError([`should export an object of options by default, got ${show(options)}`], file)
  }
  return options
}

async function importNative (path: string): Promise<object> {
  return await import(pathToFileURL(path).href) as object
}

async function importTranspiled (path: string): Promise<object> {
  // No cache on disk: it would be written into the application's node_modules.
  return await createJiti(path, { fsCache: false, interopDefault: false }).import(path)
}

/** What tsc or a bundler made of `export default` for CommonJS comes wrapped once more. */
function unwrapped (exported: unknown): unknown {
  const isWrapper = typeof exported === 'object' && exported !== null && '__esModule' in exported && 'default' in exported
  return isWrapper ? exported.default : exported
}

function firstLine (error: unknown): string | undefined {
  return String(error instanceof Error ? error.message : error).split('\n', 1)[0]
}
