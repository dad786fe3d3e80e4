/** Applications that esbuild has put into one file, on a machine without node_modules. */
import { exec, spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { build, type BuildOptions } from 'esbuild'
import t, { type Test } from 'tap'
import { BARE_ENVIRONMENT } from './helpers/environment.ts'

const root = resolve(import.meta.dirname, '..')
/** The packages that docs/bundling.md names: those that only some applications have, and those that are no JavaScript. */
const OPTIONAL = ['better-sqlite3', 'fs-native-extensions', 'ioredis', 'iovalkey', 'jiti', 'kysely', 'mysql2', 'pg', 'redis']

const app = (options: string) => `
  import Fastify from 'fastify'
  import ambientSession, { session } from 'ambient-session'

  async function start () {
    const app = Fastify()
    await app.register(ambientSession, ${options})
    app.get('/', async () => 'visit ' + session().increment('visits'))
    await app.listen({ port: 0, host: '127.0.0.1' })
    console.log(app.server.address().port)
    process.on('SIGTERM', () => { app.close() })
  }

  start().catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
`

const formats: Record<string, BuildOptions> = {
  CommonJS: { format: 'cjs', outExtension: { '.js': '.cjs' } },
  'an ES module': {
    format: 'esm',
    outExtension: { '.js': '.mjs' },
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" }
  }
}

/** @returns the bundle's path, in a directory above which nothing is installed */
async function bundled (t: Test, options: string, settings: BuildOptions): Promise<{ file: string, directory: string }> {
  const directory = temporary(t)
  const { metafile, errors, warnings } = await build({
    stdin: { contents: app(options), resolveDir: root, sourcefile: 'app.js' },
    bundle: true,
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    outdir: directory,
    metafile: true,
    ...settings,
    alias: { 'ambient-session': join(root, 'src/index.ts'), ...settings.alias }
  })
  t.same([...errors, ...warnings], [], 'nothing to report')
  const [file = ''] = Object.keys(metafile?.outputs ?? {})
  return { file: resolve(file), directory }
}

interface Started {
  /** The first line that the program prints, or what it leaves on stderr when it ends before. */
  readonly said: string
  readonly stop: () => Promise<unknown>
}

async function start (file: string, cwd: string, env = {}): Promise<Started> {
  const child = spawn(process.execPath, [file], { cwd, env: { ...BARE_ENVIRONMENT, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (text: Buffer) => { errors += text.toString() })
  const closed = once(child, 'close')
  const line = once(createInterface({ input: child.stdout }), 'line').then(([text]) => String(text))
  const said = await Promise.race([line, closed.then(() => errors)])
  return { said, stop: async () => { child.kill(); await closed } }
}

/** The same visitor, twice, over the wire. */
async function visits (port: string): Promise<string[]> {
  const first = await fetch(`http://127.0.0.1:${port}/`)
  const cookie = first.headers.get('set-cookie')?.split(';')[0] ?? ''
  const second = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } })
  return [await first.text(), await second.text()]
}

for (const [format, settings] of Object.entries(formats)) {
  const kinds: Record<string, BuildOptions> = {
    'with the optional packages external': { external: OPTIONAL },
    'without the optional packages': { alias: Object.fromEntries(OPTIONAL.map(name => [name, `/absent/${name}`])) },
    'minified, with the optional packages external': { external: OPTIONAL, minify: true, keepNames: true }
  }
  for (const [kind, more] of Object.entries(kinds)) {
    t.test(`a bundle that is ${format} works ${kind}`, async t => {
      const { file, directory } = await bundled(t, '{}', { ...settings, ...more })
      for (const driver of ['memory', 'file']) {
        const { said, stop } = await start(file, directory, { SESSION_DRIVER: driver })
        try {
          t.match(said, /^\d+$/)
          t.same(await visits(said), ['visit 1', 'visit 2'])
        } finally {
          await stop()
        }
        t.equal(existsSync(join(directory, 'storage/framework/sessions')), driver === 'file')
      }
    })
  }

  t.test(`a driver's package that is not there is named by a bundle that is ${format}`, async t => {
    const { file, directory } = await bundled(t, "{ driver: 'database', connection: 'postgres://127.0.0.1/none' }", { ...settings, external: OPTIONAL })
    const { said, stop } = await start(file, directory)
    await stop()
    t.match(said, 'the package pg is not installed: npm i pg')
  })

  t.test(`an external package beside a bundle that is ${format} is found`, async t => {
    const { file, directory } = await bundled(t, "{ driver: 'database', connection: 'sqlite::memory:', createTable: true }", { ...settings, external: OPTIONAL })
    mkdirSync(join(directory, 'node_modules'))
    for (const name of ['kysely', 'better-sqlite3']) symlinkSync(join(root, 'node_modules', name), join(directory, 'node_modules', name))
    const { said, stop } = await start(file, directory)
    try {
      t.same(await visits(said), ['visit 1', 'visit 2'])
    } finally {
      await stop()
    }
  })
}

t.test('the commands of docs/bundling.md make bundles that run', async t => {
  const page = readFileSync(join(root, 'docs/bundling.md'), 'utf8')
  const { scripts } = JSON.parse(/```json\n(.*?)```/s.exec(page)?.[1] ?? '') as { scripts: Record<string, string> }
  t.same(Object.keys(scripts), ['bundle', 'bundle:esm'])
  for (const command of Object.values(scripts)) {
    const project = t.testdir({ src: { 'server.ts': app('{}') } })
    // The package itself is the one that stands here.
    await promisify(exec)(`${command} --alias:ambient-session='${join(root, 'src/index.ts')}'`, {
      cwd: project, env: { ...BARE_ENVIRONMENT, PATH: `${join(root, 'node_modules/.bin')}:${process.env.PATH}` }
    })
    const [name = ''] = readdirSync(join(project, 'dist'))
    const directory = temporary(t)
    copyFileSync(join(project, 'dist', name), join(directory, name))
    const { said, stop } = await start(join(directory, name), directory)
    try {
      t.same(await visits(said), ['visit 1', 'visit 2'])
    } finally {
      await stop()
    }
  }
})

function temporary (t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'bundle-'))
  t.teardown(() => { rmSync(directory, { recursive: true }) })
  return directory
}
