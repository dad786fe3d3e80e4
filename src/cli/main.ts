/** The command line, apart from the process it runs in. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { dialects, migration } from '../stores/database/schema.ts'
import { init } from './init.ts'

const USAGE = `Usage: ambient-session init
       ambient-session table --dialect postgres|mysql|sqlite [--table sessions]

Commands:
  init           writes config/session.ts (or .mts, .js, .mjs) with every option explained, and
                 storage/framework/sessions/.gitignore; files that exist are left as they are
  table          prints the SQL that makes the table of the database store

Options:
  --dialect      the database: postgres, mysql (MariaDB as well) or sqlite
  --table        the table's name, perhaps with a schema in front; sessions by default
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
    const { help, version, command, dialect, table } = parse(args)
    if (help) out(USAGE)
    else if (version) out(`${ownVersion()}\n`)
    else if (command === 'init') out(`${(await init(cwd)).join('\n')}\n`)
    else if (command === 'table') out(tableSql(dialect, table))
    else throw new UsageError(command === undefined ? 'a command is missing' : `unknown command: ${command}`)
    return 0
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    err(`ambient-session: ${message}\n`)
    if (error instanceof UsageError || code?.startsWith('ERR_PARSE_ARGS_') === true) err(`\n${USAGE}`)
    return 1
  }
}

class UsageError extends Error {}

/** @returns the statements that make the table of the database store */
function tableSql (name: string | undefined, table = 'sessions'): string {
  const dialect = dialects.find(dialect => dialect === name)
  if (dialect === undefined) throw new Error(`table needs --dialect with one of: ${dialects.join(', ')}`)
  return migration(dialect, table).map(statement => `${statement};\n`).join('\n')
}

function parse (args: readonly string[]) {
  const { values: { help, version, dialect, table }, positionals: [command, ...rest] } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      version: { type: 'boolean', short: 'v', default: false },
      dialect: { type: 'string' },
      table: { type: 'string' }
    }
  })
  if (rest.length > 0) throw new UsageError(`unexpected: ${rest.join(' ')}`)
  if (command !== 'table' && (dialect ?? table) !== undefined) throw new UsageError('--dialect and --table belong to the command table')
  return { command, help, version, dialect, table }
}

function ownVersion (): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
