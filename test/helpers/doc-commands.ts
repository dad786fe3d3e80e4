/**
 * The commands of `sh` blocks: npm's are held against package.json, the others are run in a project that has nothing but
 * a server.js. What npm installs is this package, or one that the programs of pages are run with.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Place } from './doc-blocks.ts'
import { BARE_ENVIRONMENT } from './environment.ts'

interface Manifest {
  readonly name: string
  readonly bin: Record<string, string>
  readonly scripts: Record<string, string>
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly peerDependencies: Record<string, string>
}

const run = promisify(execFile)

/** Starts as its options let it, and ends. */
const SERVER = `
import Fastify from 'fastify'
import ambientSession from 'ambient-session'
const app = Fastify()
await app.register(ambientSession)
await app.close()
`
/** Begins, after its variables, with a command that is safe to run. */
const NODE = /^(\w+=\S+ )*node /
/** What commands find in the environment. */
const ENVIRONMENT = {
  ...BARE_ENVIRONMENT,
  NEW_SECRET: 'a new secret of at least 32 characters',
  OLD_SECRET: 'an old secret of at least 32 characters'
}

export async function faultsInCommands (lines: readonly string[], place: Place): Promise<string[]> {
  const commands = lines.flatMap(line => line.replace(/(^|\s)#.*$/, '').split('&&')).map(command => command.trim())
  const manifest = JSON.parse(await readFile(join(place.root, 'package.json'), 'utf8')) as Manifest
  const faults = await Promise.all(commands.filter(command => command !== '').map(async command => await faultIn(command, manifest, place)))
  return faults.flatMap(fault => fault ?? [])
}

async function faultIn (command: string, manifest: Manifest, place: Place): Promise<string | undefined> {
  const [program, ...args] = command.split(/\s+/)
  if (program === 'npm') return faultInNpm(command, args, manifest)
  if (NODE.test(command)) return await failureOf(command, place)
  const [name = ''] = args
  const bin = program === 'npx' ? manifest.bin[name] : undefined
  if (bin === undefined) return `nothing runs the command: ${command}`
  return await failureOf(command.replace(`npx ${name}`, `node '${join(place.root, bin)}'`), place)
}

function faultInNpm (command: string, [task = '', ...args]: string[], manifest: Manifest): string | undefined {
  if (task === 'ci') return undefined
  const isInstall = task === 'i' || task === 'install'
  const known = isInstall ? installable(manifest) : manifest.scripts
  const wanted = isInstall ? args : task === 'run' ? args.slice(0, 1) : [task]
  const missing = wanted.filter(one => !Object.hasOwn(known, one))
  return missing.length === 0 ? undefined : `${command}: package.json does not know ${missing.join(', ')}`
}

function installable ({ name, dependencies, devDependencies, peerDependencies }: Manifest): Record<string, string> {
  return { [name]: '', ...dependencies, ...devDependencies, ...peerDependencies }
}

async function failureOf (command: string, { directory }: Place): Promise<string | undefined> {
  const cwd = await mkdtemp(join(directory, 'project-'))
  await writeFile(join(cwd, 'server.js'), SERVER)
  return await run('sh', ['-c', command], { cwd, env: ENVIRONMENT }).then(() => undefined, (error: Error) => error.message)
}
