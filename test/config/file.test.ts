import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { loadConfigFile } from '../../src/config/file.ts'
import { resolveConfig } from '../../src/config/resolve.ts'
import { TYPESCRIPT } from '../helpers/environment.ts'
import { errorOf, installInto } from './helpers.ts'

async function lifetimeIn (cwd: string): Promise<number> {
  return (await resolveConfig({}, { cwd, env: {} })).lifetime
}

for (const extension of ['ts', 'mts', 'js', 'mjs']) {
  t.test(`config/session.${extension} is found and its default export taken`, async t => {
    const cwd = t.testdir({ 'package.json': '{ "type": "module" }', config: { [`session.${extension}`]: 'export default { lifetime: 5 }' } })
    t.equal(await lifetimeIn(cwd), 5)
  })
}

t.test('config/session.cjs is found and its module.exports taken', async t => {
  t.equal(await lifetimeIn(t.testdir({ config: { 'session.cjs': 'module.exports = { lifetime: 5 }' } })), 5)
})

t.test('a default export that was compiled to CommonJS is found', async t => {
  const compiled = 'Object.defineProperty(exports, "__esModule", { value: true }); exports.default = { lifetime: 5 }'
  t.equal(await lifetimeIn(t.testdir({ config: { 'session.cjs': compiled } })), 5)
})

t.test('a promise of options is waited for', async t => {
  t.equal(await lifetimeIn(t.testdir({ config: { 'session.mjs': 'export default Promise.resolve({ lifetime: 5 })' } })), 5)
})

t.test('of several files the TypeScript one is taken', async t => {
  const cwd = t.testdir({ config: { 'session.ts': 'export default { lifetime: 5 }', 'session.mjs': 'export default { lifetime: 6 }' } })
  t.equal(await lifetimeIn(cwd), 5)
})

t.test('without a file the defaults hold', async t => {
  t.equal(await lifetimeIn(t.testdir({ config: { 'other.mjs': '' } })), 120)
})

t.test('with options of one\'s own no file is looked for', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'throw new Error("was loaded")' } })
  t.equal((await resolveConfig({ cookie: 'sid' }, { cwd, env: {} })).lifetime, 120)
})

const typed = `import { defineConfig } from 'ambient-session'
import { minutes } from './minutes.ts'
type Minutes = number
const lifetime: Minutes = minutes
export default defineConfig({ lifetime })`

for (const stripsTypes of [false, true]) {
  t.test(`TypeScript is loaded ${stripsTypes ? 'by the runtime where it can' : 'by jiti where the runtime cannot'}`, async t => {
    const cwd = installInto(t.testdir({
      'package.json': '{ "type": "module" }',
      config: { 'session.ts': typed, 'minutes.ts': 'export const minutes: number = 5' }
    }))
    t.strictSame(await loadConfigFile(cwd, 'config/session.ts', stripsTypes), { lifetime: 5 })
    t.notOk(existsSync(join(cwd, 'node_modules/.cache')), 'nothing is written into the project')
  })
}

t.test('TypeScript that neither the runtime nor jiti can load says what is needed', async t => {
  const cwd = t.testdir({ config: { 'session.ts': typed } })
  const withoutJiti = `export async function resolve (name, context, next) {
    if (name === 'jiti') throw new Error('Cannot find package jiti')
    return await next(name, context)
  }`
  const program = `import { register } from 'node:module'
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(withoutJiti)}`)})
    const { loadConfigFile } = await import(${JSON.stringify(import.meta.resolve('../../src/config/file.ts'))})
    await loadConfigFile(${JSON.stringify(cwd)}, 'config/session.ts', false).catch(({ message, cause }) => { console.log(message, cause.cause.message) })`
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', TYPESCRIPT, '--input-type=module', '--eval', program])
  t.equal(
    stdout.trim(),
    'config/session.ts: could not be loaded: TypeScript needs Node.js 22.18 or later, or the package jiti (npm i jiti) Cannot find package jiti'
  )
})

t.test('a file that throws is named, and its error is the cause', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'throw new Error("no such vault\\nat all")' } })
  const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
  t.equal(error.message, 'config/session.mjs: could not be loaded: no such vault')
  t.match(error.cause, { message: 'no such vault\nat all' })
})

t.test('a file that throws something else than an error is named, too', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'throw "no vault"' } })
  const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
  t.equal(error.message, 'config/session.mjs: could not be loaded: no vault')
})

t.test('a file whose options are a promise that is rejected is named, too', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'export default Promise.reject(new Error("the vault is sealed"))' } })
  const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
  t.equal(error.message, 'config/session.mjs: could not be loaded: the vault is sealed')
})

t.test('a file with a mistake in its syntax is named', async t => {
  const cwd = t.testdir({ config: { 'session.ts': 'export default {' } })
  const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
  t.match(error.message, /^config\/session\.ts: could not be loaded: ./)
})

t.test('a file without a default export is refused', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'export const lifetime = 5' } })
  const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
  t.equal(error.message, 'config/session.mjs: has no default export; it should have export default defineConfig({ … })')
})

for (const [source, kind] of [['null', 'null'], ['[]', 'a list'], ['() => ({})', 'a function'], ['undefined', 'undefined']] as const) {
  t.test(`a default export that is ${kind} is refused`, async t => {
    const cwd = t.testdir({ config: { 'session.mjs': `export default ${source}` } })
    const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
    t.equal(error.message, `config/session.mjs: should export an object of options by default, got ${kind}`)
  })
}

t.test('faults in the options of a file name the file', async t => {
  const cwd = t.testdir({ config: { 'session.mjs': 'export default { lifetime: 0 }' } })
  const error = await errorOf(resolveConfig({}, { cwd, env: {} }))
  t.equal(error.message, 'config/session.mjs: lifetime: expected a number of minutes greater than 0, got 0')
})
