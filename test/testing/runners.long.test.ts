/** The suite and the visitors in the runners that their users have, as they would start them. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testStore } from '../../src/testing.ts'
import { cases } from '../../src/testing/suite.ts'
import { BARE_ENVIRONMENT } from '../helpers/environment.ts'
import { ReferenceStore } from './reference-store.ts'

interface Run {
  readonly code: number | string | null | undefined
  readonly output: string
}

const fixtures = join(import.meta.dirname, 'fixtures')
const root = join(import.meta.dirname, '../..')
const modules = join(root, 'node_modules')
const needsList = cases.filter(({ needs }) => needs === 'list' || needs === 'count').length
/** One of faults.ts, and a case that notices it. */
const FAULT = 'compares and sets in two steps'
const LOST_UPDATE = 'fifty compare-and-set loops at the same time lose nothing'

/** @param store which store of the fixture is tested */
function run (args: readonly string[], store: string, cwd = fixtures): Promise<Run> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd, env: { ...BARE_ENVIRONMENT, STORE: store } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, output: stdout + stderr })
    })
  })
}

const nodeTest = (store: string): Promise<Run> => run(['--import', 'tsx', '--test', '--test-reporter', 'tap', 'node-test.fixture.ts'], store)
const vitest = (store: string): Promise<Run> =>
  run([join(modules, 'vitest/vitest.mjs'), 'run', '--root', fixtures, '--reporter', 'verbose'], store)

t.test('under tap', async t => {
  await testStore((name, run) => t.test(name, run), () => new ReferenceStore())
})

t.test('under node:test', async t => {
  const { code, output } = await nodeTest('without list')
  t.equal(code, 0, output)
  t.match(output, `# pass ${cases.length - needsList}\n`)
  t.match(output, `# skipped ${needsList}\n`)
  t.match(output, '# SKIP the store has no list()')
})

t.test('under node:test a fault fails the test that is about it', async t => {
  const { code, output } = await nodeTest(FAULT)
  t.equal(code, 1)
  t.match(output, new RegExp(`^not ok \\d+ - ${LOST_UPDATE}`, 'm'))
})

t.test('under vitest', async t => {
  const { code, output } = await vitest('without list')
  t.equal(code, 0, output)
  t.match(output, `${cases.length - needsList} passed | ${needsList} skipped (${cases.length})`)
})

t.test('under vitest a fault fails the test that is about it', async t => {
  const { code, output } = await vitest(FAULT)
  t.equal(code, 1)
  t.match(output, `FAIL  vitest.fixture.ts > ${LOST_UPDATE}`)
})

/** What is said of the test of each fixture whose expectation is wrong. */
const WRONG = "the session has another 'cart' than expected"

t.test('visitors under node:test', async t => {
  const { code, output } = await run(['--import', 'tsx', '--test', '--test-reporter', 'tap', 'visitor-node-test.fixture.ts'], '')
  t.equal(code, 1)
  t.match(output, /^ok \d+ - a visitor fills a cart/m)
  t.match(output, /^not ok \d+ - a wrong expectation/m)
  t.match(output, WRONG)
})

t.test('visitors under vitest', async t => {
  const { code, output } = await run([join(modules, 'vitest/vitest.mjs'), 'run', '--root', fixtures, '--config', 'visitor.vitest.config.ts', '--reporter', 'verbose'], '')
  t.equal(code, 1)
  t.match(output, '1 failed | 1 passed (2)')
  t.match(output, WRONG)
})

t.test('visitors under Jest, in a project of CommonJS that has the package installed', async t => {
  const project = t.testdir({
    'package.json': '{ "jest": { "testMatch": ["**/*.fixture.cjs"], "transform": {}, "testEnvironment": "node" } }',
    'visitor.fixture.cjs': readFileSync(join(fixtures, 'visitor-jest.fixture.cjs'), 'utf8'),
    node_modules: { 'ambient-session': t.fixture('symlink', root) }
  })
  const { code, output } = await run(['--experimental-vm-modules', join(modules, 'jest/bin/jest.js')], '', project)
  t.equal(code, 1)
  t.match(output, '1 failed, 1 passed, 2 total')
  t.match(output, WRONG)
})
