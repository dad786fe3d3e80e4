/** The suite in the runners that driver authors use, as they would start them. */
import { execFile } from 'node:child_process'
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
const needsList = cases.filter(({ needs }) => needs === 'list').length
/** One of faults.ts, and a case that notices it. */
const FAULT = 'compares and sets in two steps'
const LOST_UPDATE = 'fifty compare-and-set loops at the same time lose nothing'

/** @param store which store of the fixture is tested */
function run (args: readonly string[], store: string): Promise<Run> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd: fixtures, env: { ...BARE_ENVIRONMENT, STORE: store } }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : error.code, output: stdout + stderr })
    })
  })
}

const nodeTest = (store: string): Promise<Run> => run(['--import', 'tsx', '--test', '--test-reporter', 'tap', 'node-test.fixture.ts'], store)
const vitest = (store: string): Promise<Run> =>
  run([join(fixtures, '../../../node_modules/vitest/vitest.mjs'), 'run', '--root', fixtures, '--reporter', 'verbose'], store)

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
