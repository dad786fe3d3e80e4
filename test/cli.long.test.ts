import { execFile } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import t from 'tap'
import { main } from '../src/cli/main.ts'
import { resolveConfig } from '../src/config/resolve.ts'
import { optionNames } from '../src/config/schema.ts'
import { installInto, nowhere, resolved } from './config/helpers.ts'
import { BARE_ENVIRONMENT, TYPESCRIPT } from './helpers/environment.ts'

const root = resolve(import.meta.dirname, '..')
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }

interface Run {
  readonly code: number
  readonly out: string
  readonly err: string
}

function hint (file: string): string {
  return `register(ambientSession) reads ${file}. Beside options, name it: { configFile: '${file}', … }`
}

async function run (cwd: string, ...args: string[]): Promise<Run> {
  let out = ''
  let err = ''
  const code = await main(args, { cwd, out: text => { out += text }, err: text => { err += text } })
  return { code, out, err }
}

t.test('init writes a config file and a directory for the sessions that only its owner can enter', async t => {
  const cwd = t.testdir({ 'tsconfig.json': '{}', 'package.json': '{ "type": "module" }' })
  t.strictSame(await run(cwd, 'init'), {
    code: 0,
    out: `wrote   config/session.ts\nwrote   storage/framework/sessions/.gitignore\n${hint('config/session.ts')}\n`,
    err: ''
  })
  t.equal(statSync(join(cwd, 'storage/framework/sessions')).mode & 0o777, 0o700)
  t.equal(readFileSync(join(cwd, 'storage/framework/sessions/.gitignore'), 'utf8'), '*\n!.gitignore\n')
})

const kinds: Array<[project: string, files: Record<string, string>, file: string]> = [
  ['with a tsconfig.json', { 'tsconfig.json': '{}', 'package.json': '{ "type": "module" }' }, 'config/session.ts'],
  ['that depends on typescript', { 'package.json': '{ "type": "module", "devDependencies": { "typescript": "*" } }' }, 'config/session.ts'],
  ['of CommonJS with a tsconfig.json', { 'tsconfig.json': '{}', 'package.json': '{ "type": "commonjs" }' }, 'config/session.mts'],
  ['of CommonJS that depends on typescript', { 'package.json': '{ "dependencies": { "typescript": "*" } }' }, 'config/session.mts'],
  ['with a tsconfig.json and no package.json', { 'tsconfig.json': '{}' }, 'config/session.mts'],
  ['of ES modules', { 'package.json': '{ "type": "module", "dependencies": { "fastify": "*" } }' }, 'config/session.js'],
  ['of CommonJS', { 'package.json': '{ "name": "app" }' }, 'config/session.mjs'],
  ['without a package.json', {}, 'config/session.mjs']
]

for (const content of ['null', '[]', '"app"', '1']) {
  t.test(`init says what is wrong where package.json is ${content}, and writes nothing`, async t => {
    const cwd = t.testdir({ 'package.json': content })
    const { code, out, err } = await run(cwd, 'init')
    t.match({ code, out, err }, { code: 1, out: '', err: 'package.json has no JSON object in it' })
    t.same(readdirSync(cwd), ['package.json'])
  })
}

for (const [kind, files, file] of kinds) {
  t.test(`in a project ${kind} init writes ${file}, which gives exactly the defaults`, async t => {
    const cwd = t.testdir(files)
    await run(cwd, 'init')
    installInto(cwd)
    t.ok(existsSync(join(cwd, file)))
    t.strictSame(await resolveConfig({}, { cwd, env: {} }), { ...await resolved({}), files: join(cwd, 'storage/framework/sessions') })
  })
}

for (const [kind, files, file] of kinds) {
  t.test(`in a project ${kind} plain Node.js loads ${file}, and says nothing`, async t => {
    const cwd = t.testdir(files)
    await run(cwd, 'init')
    const written = readFileSync(join(cwd, file), 'utf8')
    writeFileSync(join(cwd, file), written.replace('// lifetime: 120', 'lifetime: 5').replace('defineConfig({', `defineConfig({${file.endsWith('ts') ? '...{} as object,' : ''}`))
    await installCompiled(cwd)
    const program = join(cwd, 'program.mjs')
    await build({
      stdin: { contents: "import { resolveConfig } from './src/config/resolve.ts'; console.log((await resolveConfig()).lifetime)", resolveDir: root },
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['jiti'],
      outfile: program
    })
    symlinkSync(join(root, 'node_modules/jiti'), join(cwd, 'node_modules/jiti'))
    t.strictSame(await runFile(process.execPath, ['program.mjs'], cwd), { code: 0, out: '5\n', err: '' })
  })
}

/** Installs what config files import, as JavaScript, as it is published. */
async function installCompiled (cwd: string): Promise<void> {
  // As in installInto(): without one, the name means the package that this test belongs to.
  if (!existsSync(join(cwd, 'package.json'))) writeFileSync(join(cwd, 'package.json'), '{}')
  const directory = join(cwd, 'node_modules/ambient-session')
  await build({ entryPoints: [join(root, 'src/config/define.ts')], outfile: join(directory, 'define.js'), format: 'esm' })
  writeFileSync(join(directory, 'package.json'), '{ "name": "ambient-session", "type": "module", "exports": "./define.js" }')
}

/** Runs a program as users do: without this process's loaders. */
async function runFile (program: string, args: string[], cwd: string): Promise<Run> {
  return await new Promise<Run>(resolve => {
    execFile(program, args, { cwd, env: BARE_ENVIRONMENT }, (error, out, err) => { resolve({ code: Number(error?.code ?? 0), out, err }) })
  })
}

t.test('the config file leaves the environment its say', async t => {
  const cwd = installInto(t.testdir({}))
  await run(cwd, 'init')
  t.equal((await resolveConfig({}, { cwd, env: { SESSION_LIFETIME: '5' } })).lifetime, 5)
})

t.test('the config file names every option with its default', async t => {
  const cwd = installInto(t.testdir({}))
  await run(cwd, 'init')
  const text = readFileSync(join(cwd, 'config/session.mjs'), 'utf8')
  writeFileSync(join(cwd, 'config/everything.mjs'), text.replaceAll(/^ {2}\/\/ (\w+: .*,)$/gm, '  $1'))
  const { default: options } = await import(pathToFileURL(join(cwd, 'config/everything.mjs')).href) as { default: object }
  t.strictSame(Object.keys(options), optionNames)
  t.strictSame(await resolved(options), await resolved({}))
})

t.test('init leaves what is there as it is', async t => {
  const cwd = t.testdir({
    config: { 'session.mjs': 'export default {}' },
    storage: { framework: { sessions: { '.gitignore': 'mine' } } },
    'tsconfig.json': '{}'
  })
  t.strictSame(await run(cwd, 'init'), {
    code: 0,
    out: 'exists  config/session.mjs (left as it is)\nexists  storage/framework/sessions/.gitignore (left as it is)\n' +
      `${hint('config/session.mjs')}\n`,
    err: ''
  })
  t.equal(readFileSync(join(cwd, 'config/session.mjs'), 'utf8'), 'export default {}')
  t.equal(readFileSync(join(cwd, 'storage/framework/sessions/.gitignore'), 'utf8'), 'mine')
  t.notOk(existsSync(join(cwd, 'config/session.ts')))
})

t.test('init tells who uses fastify-cli what its watcher is to ignore', async t => {
  const { out } = await run(t.testdir({ 'package.json': '{ "dependencies": { "fastify-cli": "^8.0.2" } }' }), 'init')
  t.match(out, /fastify start --watch .*--ignore-watch="\.ts\$ storage"/)
  t.notMatch((await run(t.testdir({ 'package.json': '{}' }), 'init')).out, /watch/)
})

t.test('init fails with a message where it cannot write', async t => {
  const broken = await run(t.testdir({ 'package.json': '{' }), 'init')
  t.match(broken, { code: 1, err: /package\.json cannot be read: / })
  const { code, err } = await run(t.testdir({ storage: 'a file' }), 'init')
  t.equal(code, 1)
  t.match(err, /^ambient-session: .*(ENOTDIR|EEXIST)/)
  const occupied = await run(t.testdir({ config: 'a file' }), 'init')
  t.equal(occupied.code, 1)
})

t.test('--help and --version answer and succeed', async t => {
  t.match(await run(nowhere, '--help'), { code: 0, out: /^Usage: ambient-session init/, err: '' })
  t.match(await run(nowhere, '-h', 'init'), { code: 0, out: /^Usage:/ })
  t.strictSame(await run(nowhere, '--version'), { code: 0, out: `${version}\n`, err: '' })
})

t.test('an unknown command or option fails with the usage', async t => {
  for (const [args, message] of [
    [['instal'], 'unknown command: instal'],
    [[], 'a command is missing'],
    [['init', 'here'], 'unexpected: here'],
    [['init', '--force'], "Unknown option '--force'"],
    [['init', '--dialect', 'mysql'], '--dialect and --table belong to the command table']
  ] as const) {
    const { code, out, err } = await run(nowhere, ...args)
    t.equal(code, 1)
    t.equal(out, '')
    t.ok(err.startsWith(`ambient-session: ${message}`), err)
    t.match(err, 'Usage: ambient-session init')
  }
})

t.test('table prints the SQL of a table, and needs to know for which database', async t => {
  for (const dialect of ['postgres', 'mysql', 'sqlite']) {
    t.match(await run(nowhere, 'table', '--dialect', dialect), { code: 0, out: /^create table if not exists ["`]sessions["`] \(/, err: '' })
    t.match(await run(nowhere, 'table', '--dialect', dialect, '--table', 'app.logins'), { code: 0, out: /["`]app["`]\.["`]logins["`] \(/, err: '' })
  }
  for (const args of [['table'], ['table', '--dialect', 'oracle']]) {
    t.strictSame(await run(nowhere, ...args), {
      code: 1, out: '', err: 'ambient-session: table needs --dialect with one of: postgres, mysql, sqlite\n'
    })
  }
  const named = await run(nowhere, 'table', '--dialect', 'sqlite', '--table', 'no; name')
  t.match(named, { code: 1, out: '', err: 'expected a name of letters, digits and underscores' })
})

t.test('the bin runs in the working directory and sets the exit code', async t => {
  const cwd = t.testdir({ 'package.json': '{}' })
  const bin = (...args: string[]) => new Promise<Run>(resolve => {
    execFile(process.execPath, ['--import', TYPESCRIPT, join(root, 'src/cli.ts'), ...args], { cwd }, (error, out, err) => {
      resolve({ code: Number(error?.code ?? 0), out, err })
    })
  })
  t.match(await bin('init'), { code: 0, out: 'wrote   config/session.mjs\n', err: '' })
  t.ok(existsSync(join(cwd, 'config/session.mjs')))
  t.match(await bin('nonsense'), { code: 1, out: '', err: /unknown command: nonsense/ })
})
