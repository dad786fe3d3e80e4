/** `ambient-session init`: what an application needs before it can change an option. */
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { findConfigFile } from '../config/file.ts'
import { configFile } from './config-file.ts'

const SESSIONS = 'storage/framework/sessions'
const WATCHED = 'add storage to what it ignores, --ignore-watch=".ts$ storage"'
const IGNORE_ALL = '*\n!.gitignore\n'

/**
 * Writes what is not there yet.
 *
 * @returns a line for each file, saying what became of it, and one on how the config file comes to be read
 */
export async function init (cwd: string): Promise<string[]> {
  const present = findConfigFile(cwd)
  const manifest = readPackage(cwd)
  const file = present ?? newConfigFile(cwd, manifest)
  return [
    await write(cwd, file, configFile),
    await writeIgnoreFile(cwd),
    `register(ambientSession) reads ${file}. Beside options, name it: { configFile: '${file}', … }`,
    ...uses('fastify-cli', manifest) ? [`fastify start --watch starts anew at each change of a session: ${WATCHED}`] : []
  ]
}

async function writeIgnoreFile (cwd: string): Promise<string> {
  const directory = join(cwd, SESSIONS)
  await mkdir(dirname(directory), { recursive: true })
  await mkdir(directory, { recursive: true, mode: 0o700 })
  return write(cwd, `${SESSIONS}/.gitignore`, IGNORE_ALL)
}

async function write (cwd: string, file: string, text: string): Promise<string> {
  const path = join(cwd, file)
  if (existsSync(path)) return `exists  ${file} (left as it is)`
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, text, { flag: 'wx' })
  return `wrote   ${file}`
}

/** TypeScript where the project uses it, and an ES module in the form that its package.json calls for. */
function newConfigFile (cwd: string, manifest: Manifest): string {
  const language = existsSync(join(cwd, 'tsconfig.json')) || uses('typescript', manifest) ? 'ts' : 'js'
  return `config/session.${manifest.type === 'module' ? '' : 'm'}${language}`
}

interface Manifest {
  readonly type?: unknown
  readonly dependencies?: object
  readonly devDependencies?: object
}

function uses (name: string, { dependencies, devDependencies }: Manifest): boolean {
  return name in { ...dependencies, ...devDependencies }
}

function readPackage (cwd: string): Manifest {
  const path = join(cwd, 'package.json')
  if (!existsSync(path)) return {}
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw new Error(`package.json cannot be read: ${(cause as Error).message}`, { cause })
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content
  throw new Error('package.json has no JSON object in it: write one with npm init, or correct it')
}
