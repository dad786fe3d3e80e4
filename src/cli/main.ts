/** The command line, apart from the process it runs in. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { init } from './init.ts'

const USAGE = `Usage: ambient-session init

Commands:
  init           writes config/session.ts (or .js, .mjs) with every option explained, and
                 storage/framework/sessions/.gitignore; files that exist are left as they are

Options:
  -h, --help     shows this text
  -v, --version  shows the version
`

export interface Terminal {
  readonly cwd: string
  readonly out: (text: string) => void
  readonly err: (text: string) => void
}

/** @returns the exit code */
export async function main (args: readonly string[], { cwd, out, err }: Terminal): Promise<number> {
  try {
    const { help, version, command } = parse(args)
    if (help) out(USAGE)
    else if (version) out(`${ownVersion()}\n`)
    else if (command === 'init') out(`${(await init(cwd)).join('\n')}\n`)
    else throw new UsageError(command === undefined ? 'a command is missing' : `unknown command: ${command}`)
    return 0
  } catch (error) {
    err(`ambient-session: ${(error as Error).message}\n`)
    if (error instanceof UsageError) err(`\n${USAGE}`)
    return 1
  }
}

class UsageError extends Error {}

interface Command {
  readonly command: string | undefined
  readonly help: boolean
  readonly version: boolean
}

function parse (args: readonly string[]): Command {
  const { values: { help, version }, positionals: [command, ...rest] } = readArgs(args)
  if (rest.length > 0) throw new UsageError(`unexpected: ${rest.join(' ')}`)
  return { command, help, version }
}

function readArgs (args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'v', default: false }
      }
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function ownVersion (): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
