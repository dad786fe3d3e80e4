/** Jest 29 in CommonJS: a project of its own, which transforms this package as its page says. */
import { execFile } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { BARE_ENVIRONMENT } from '../helpers/environment.ts'

const root = join(import.meta.dirname, '../..')

/** @returns the line of the page that begins like this: what is written there is what runs here */
function fromPage (beginning: string): string {
  const lines = readFileSync(join(root, 'docs/works-with.md'), 'utf8').split('\n')
  const line = lines.find(line => line.startsWith(`\`${beginning}`))
  if (line === undefined) throw new Error(`docs/works-with.md has no line that begins with ${beginning}`)
  return line.slice(1, -1)
}

const project = {
  'package.json': '{ "name": "project", "version": "1.0.0" }',
  'esm.js': fromPage('exports.process'),
  'app.test.js': `
    const Fastify = require('fastify')
    const { default: ambientSession, runWithSession, session } = require('ambient-session')

    const values = { name: 'ada', date: new Date(0), map: new Map([[1, new Set([2n])]]), bytes: Buffer.from('bytes') }

    async function application () {
      const app = Fastify()
      await app.register(ambientSession, { files: __dirname + '/sessions' })
      app.get('/in/:name', async req => { session({ ...values, name: req.params.name }) })
      app.get('/', async () => { expect(session().only(Object.keys(values))).toEqual({ ...values, name: session('name') }); return session('name') })
      return app
    }

    test('two visitors', async () => {
      const app = await application()
      const cookies = []
      for (const name of ['ada', 'eve']) {
        const { cookies: [{ name: key, value }] } = await app.inject('/in/' + name)
        cookies.push({ [key]: value })
      }
      const pages = await Promise.all(cookies.map(cookies => app.inject({ url: '/', cookies })))
      expect(pages.map(({ body }) => body)).toEqual(['ada', 'eve'])
      await app.close()
    })

    test('a visitor', async () => {
      const { visitor } = require('ambient-session/testing')
      const app = await application()
      const ada = visitor(app).actingAs('ada')
      await ada.get('/in/ada')
      await ada.assertSessionHas('name', 'ada')
      expect((await ada.session()).userId).toBe('ada')
      await app.close()
    })

    test('a function that calls session()', () => {
      expect(runWithSession({ name: 'ada' }, () => session('name'))).toBe('ada')
    })
  `
}

async function run (directory: string): Promise<{ code: unknown, output: string }> {
  return await new Promise(resolve => {
    const args = [join(root, 'node_modules/jest/bin/jest.js'), '--rootDir', directory, '--cacheDirectory', join(directory, 'cache')]
    execFile(process.execPath, args, { cwd: directory, env: BARE_ENVIRONMENT }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, output: stdout + stderr })
    })
  })
}

/** The package as it is installed, so that the patterns of the configuration apply to it. */
function install (directory: string): string {
  for (const file of ['dist', 'package.json']) cpSync(join(root, file), join(directory, 'node_modules/ambient-session', file), { recursive: true })
  return directory
}

t.test('an application and a function are tested with require()', async t => {
  const config = `module.exports = { ${fromPage('transform:')} }`
  const { code, output } = await run(install(t.testdir({ ...project, 'jest.config.js': config })))
  t.equal(code, 0, output)
  t.match(output, 'Tests:       3 passed, 3 total')
})

t.test('without the transform Jest refuses the package, as it does every ES module', async t => {
  const { code, output } = await run(install(t.testdir({ ...project, 'jest.config.js': 'module.exports = {}' })))
  t.equal(code, 1)
  t.match(output, 'transformIgnorePatterns')
})
