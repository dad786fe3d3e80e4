/** What users install: the packed package, looked at from outside. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')

interface Packed { filename: string, files: { path: string }[] }

async function pack (destination: string): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', destination], { cwd: root })
  const [packed] = JSON.parse(stdout) as [Packed]
  return packed
}

t.test('the package holds what users need and nothing else', async t => {
  const { files } = await pack(t.testdir())
  const needless = files.map(({ path }) => path).filter(path => !/^(dist\/.+\.(js|d\.ts)|docs\/.+\.md|examples\/.+\.(ts|js|html|service)|examples\/deploy\/Dockerfile|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/.test(path))
  t.same(needless, [])
  t.ok(files.some(({ path }) => path === 'dist/index.js'))
})

t.test('publint finds nothing', async t => {
  const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: false })
  t.same(messages.map(message => formatMessage(message, pkg)), [])
})

t.test('are-the-types-wrong finds nothing', async t => {
  const directory = t.testdir()
  const { filename } = await pack(directory)
  await t.resolves(run('npx', ['attw', join(directory, filename), '--profile', 'esm-only'], { cwd: root }))
})

t.test('it can be required from CommonJS, with the plugin as its default', async t => {
  const { stdout } = await run(process.execPath, ['-e', `
    const { default: plugin, ambientSession, session } = require('ambient-session')
    console.log(plugin === ambientSession, typeof session)
  `], { cwd: root, env: { ...process.env, _TAPJS_PROCESSINFO_COVERAGE_: '0' } })
  t.equal(stdout.trim(), 'true function')
})

t.test('its runtime dependencies are few and known', async t => {
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
  t.same(Object.keys(dependencies).sort(), [
    '@fastify/cookie', 'fastest-levenshtein', 'fastify-plugin', 'fs-native-extensions', 'jiti', 'lru-cache', 'proper-lockfile', 'zod'
  ])
})
