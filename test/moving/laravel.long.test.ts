/** A visitor of an application on Laravel's own session classes goes on in the program of docs/moving/laravel.md. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { visitor } from '../../src/testing.ts'
import { unless } from '../concurrency/needs.ts'
import { blocksOf } from '../helpers/doc-blocks.ts'
import { startProgram } from '../helpers/process.ts'

const root = join(import.meta.dirname, '../..')
const APPLICATION = join(import.meta.dirname, 'laravel.php')
const name = 'docs/moving/laravel.md'
const program = blocksOf({ name, text: readFileSync(join(root, name), 'utf8') }).find(({ language }) => language === 'ts')?.code.join('\n') ?? ''
const [, key = ''] = /Buffer\.from\('([^']+)', 'base64'\)/.exec(program) ?? []

/** Is put behind the page's program, which has an `app` and makes no routes. */
const ROUTES = `
app.get('/', () => ({ user: session('user', 'a guest'), cart: session('cart'), userId: session().userId }))
app.get('/add', async () => { session().push('cart', 'ink') })
console.log(await app.listen({ port: 0, host: '127.0.0.1' }))
`

/** @returns where it listens */
async function laravel (t: Test, files: string): Promise<string> {
  const server = spawn('php', ['-S', '127.0.0.1:0', APPLICATION], { env: { ...process.env, APP_KEY: key, FILES: files }, stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(async () => {
    server.kill('SIGKILL')
    await once(server, 'exit')
  })
  for await (const line of createInterface(server.stderr)) {
    const [, origin] = /Development Server \((\S+)\) started/.exec(line) ?? []
    if (origin !== undefined) return origin
  }
  throw new Error('PHP\'s server has ended')
}

const hasLaravel = spawnSync('php', ['-r', "require 'Illuminate/Session/autoload.php'; require 'Illuminate/Http/autoload.php';"]).status === 0

t.test('a visitor who is signed in with Laravel stays so', { skip: unless(hasLaravel, "PHP with Laravel's session classes") }, async t => {
  // Within the repository, so that the program finds the package and its dependencies.
  const directory = t.testdir()
  const files = join(directory, 'laravel')
  mkdirSync(files)
  const before = visitor(await laravel(t, files))
  await before.get('/login')
  t.equal((await before.get('/')).text, 'Ada Löwe')
  t.equal(readdirSync(files).length, 1)

  const file = join(directory, 'application.ts')
  writeFileSync(file, program + ROUTES)
  const after = startProgram(t, file, [], { cwd: directory })
  const ada = visitor(await after.firstLine())
  const headers = { cookie: await before.cookieHeader() }
  t.same((await ada.get('/', { headers })).json(), { user: 'Ada Löwe', cart: ['lamp'], userId: '7' })
  t.same(readdirSync(files), [])

  await t.test('and keeps what is put in here', async t => {
    await ada.get('/add')
    t.match((await ada.get('/')).json(), { cart: ['lamp', 'ink'] })
  })

  await t.test('and is a guest with the old cookie in the old application', async t => {
    t.equal((await before.get('/')).text, 'a guest')
  })
})
