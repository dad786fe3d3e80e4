/** A config file of another name or place, and a config that the application imports itself. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import t from 'tap'
import ambientSession from '../../src/index.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { errorOf, nowhere, problemsOf } from './helpers.ts'

const files = {
  'shop.mjs': 'export default { lifetime: 5, cookie: "shop" }',
  config: { 'session.mjs': 'export default { lifetime: 6 }' }
}

t.test('configFile names the config file, from the working directory or from the root', async t => {
  const cwd = t.testdir(files)
  for (const configFile of ['shop.mjs', './shop.mjs', join(cwd, 'shop.mjs')]) {
    t.match(await resolveConfig({ configFile }, { cwd, env: {} }), { lifetime: 5, cookie: 'shop' })
  }
  t.match(await resolveConfig({ config_file: 'shop.mjs' } as object, { cwd, env: {} }), { lifetime: 5 })
})

t.test('options beside configFile come before those of the file, and these before the environment', async t => {
  const cwd = t.testdir({ 'shop.mjs': 'export default { lifetime: 5, http_only: true, cookie: "shop" }' })
  const config = await resolveConfig({ configFile: 'shop.mjs', httpOnly: false, cookie: null }, { cwd, env: { SESSION_LIFETIME: '7', SESSION_PATH: '/shop' } })
  t.match(config, { lifetime: 5, httpOnly: false, cookie: 'shop', path: '/shop' })
})

t.test('without a value configFile names none, and config/session.* is looked for', async t => {
  const cwd = t.testdir(files)
  for (const configFile of [undefined, null]) t.equal((await resolveConfig({ configFile }, { cwd, env: {} })).lifetime, 6)
})

t.test('faults of the file name the file, and those of the options beside it do not', async t => {
  const cwd = t.testdir({ 'shop.mjs': 'export default { lifetme: 5, path: 1, sweep: 0 }' })
  const given = await errorOf(resolveConfig({ configFile: 'shop.mjs', grace: -1, sweep: 5 }, { cwd, env: {} }))
  t.strictSame(given.problems, [
    'shop.mjs: lifetme: is not an option; did you mean lifetime?',
    'shop.mjs: path: expected a path that begins with / and has no semicolon or < in it, got 1',
    'grace: expected a number of seconds, 0 or more, got -1'
  ])
  const alone = await errorOf(resolveConfig({ configFile: 'shop.mjs' }, { cwd, env: {} }))
  t.match(alone.message, /^shop\.mjs: 3 problems\n {2}- lifetme: /)
})

t.test('configFile may be an absolute path, or a file: URL', async t => {
  const cwd = t.testdir({ elsewhere: { 'shop.mjs': 'export default { lifetime: 5 }' } })
  const path = join(cwd, 'elsewhere/shop.mjs')
  for (const configFile of [path, pathToFileURL(path), pathToFileURL(path).href]) t.equal((await resolveConfig({ configFile }, { cwd: nowhere, env: {} })).lifetime, 5)
  t.strictSame(await problemsOf({ configFile: new URL('https://shop.example/shop.mjs') }), ['configFile: expected the path of a config file, got an object'])
})

t.test('a configFile that leads to no config file is refused', async t => {
  const refused = async (configFile: unknown) => await problemsOf({ configFile })
  t.strictSame(await refused('config/shop.ts'), [`configFile: there is no file "config/shop.ts" in ${nowhere}`])
  t.strictSame(await refused('config/shop.json'), ['configFile: expected a file that ends with .ts, .mts, .js, .mjs, .cjs, got "config/shop.json"'])
  t.strictSame(await refused(''), ['configFile: expected the path of a config file, got ""'])
  t.strictSame(await refused('https://shop.example/shop.ts'), ['configFile: expected the path of a config file, got a URL'])
  t.strictSame(await refused('file://elsewhere/shop.ts'), ['configFile: expected the path of a config file, got a URL'])
  t.strictSame(await refused('file:///app/shop.ts'), [`configFile: there is no file "/app/shop.ts" in ${nowhere}`])
  t.strictSame(await refused({}), ['configFile: expected the path of a config file, got an object'])
  t.strictSame(await problemsOf({ configFil: 'x' }), ['configFil: is not an option; did you mean configFile?'])
})

t.test('a config file cannot name another one', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'export default { configFile: "shop.mjs" }' } })
  const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
  t.equal(error.message, 'config/session.mjs: configFile: belongs into register(): a config file cannot name another one')
})

t.test('a config that was imported can be given in whatever form the import gives it', async t => {
  const cwd = t.testdir(files)
  writeFileSync(join(cwd, 'compiled.cjs'), 'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = { lifetime: 5 }')
  const imported = async (file: string) => await import(pathToFileURL(join(cwd, file)).href) as { default: object }
  const forms: Record<string, object> = {
    'its default export': (await imported('shop.mjs')).default,
    'the module': await imported('shop.mjs'),
    'the promise of the module': imported('shop.mjs'),
    'what was compiled to CommonJS': (await imported('compiled.cjs')).default,
    'the module of what was compiled to CommonJS': await imported('compiled.cjs')
  }
  for (const [form, options] of Object.entries(forms)) t.equal((await resolveConfig(options, { cwd: nowhere, env: {} })).lifetime, 5, form)
})

t.test('register() takes an imported config: its default export, the module, and the promise of it', async t => {
  const cwd = t.testdir({ 'shop.mjs': 'export default { driver: "memory", sweep: false, cookie: "shop" }' })
  const imported = async () => await import(pathToFileURL(join(cwd, 'shop.mjs')).href) as { default: object }
  for (const options of [(await imported()).default, await imported(), imported()]) {
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(ambientSession, options)
    app.get('/', request => {
      request.session({ seen: true })
      return 'seen'
    })
    t.strictSame((await app.inject('/')).cookies.map(({ name }) => name), ['shop'])
  }
})

t.test('a faulty imported config is refused as one that was written out', async t => {
  t.strictSame(await problemsOf({ default: { lifetime: 0 } }), ['lifetime: expected a number of minutes greater than 0, got 0'])
  t.strictSame(await problemsOf(Promise.resolve('config')), ['expected an object, got "config"'])
  const circular = { default: {} as object }
  circular.default = circular
  t.strictSame(await problemsOf(circular), ['default: is not an option'])
})
