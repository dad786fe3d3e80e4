/**
 * What `durable` can be shown to do without cutting the power: that the kernel is asked to flush the file, and for a new one
 * its directory, before the answer leaves.
 */
import { mkdirSync, readFileSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { canTrace, unless } from './needs.ts'
import { result, start, type Step } from './servers.ts'

const skip = unless(canTrace(), 'strace')

t.test('durable', { skip }, async t => {
  const [beginning, change, growth, end] = await traced(t, true,
    [['put', 'name', 'ada']], [['put', 'name', 'eve']], [['put', 'name', 'x'.repeat(50_000)]], [['invalidate']])

  await t.test('flushes a new session and its directory before the answer leaves', async t => {
    t.ok(beginning?.includes('flush of a file'))
    t.equal(beginning?.at(-1), 'flush of the directory', 'which is flushed last, when the file has its name')
  })

  await t.test('flushes every change of a session before the answer leaves', async t => {
    t.ok(change?.includes('flush of a file'))
  })

  await t.test('flushes a session that has outgrown its file, and the directory in which it has been replaced', async t => {
    t.ok(growth?.includes('flush of a file'))
    t.equal(growth?.at(-1), 'flush of the directory')
  })

  await t.test('flushes the end of a session before the answer leaves', async t => {
    t.ok(end?.includes('flush of a file'))
  })
})

t.test('without durable nothing is flushed', { skip }, async t => {
  const flushes = await traced(t, false, [['put', 'name', 'ada']], [['put', 'name', 'x'.repeat(50_000)]], [['invalidate']])
  t.same(flushes, [[], [], []])
})

/** Runs requests of one visitor on a server whose system calls are recorded. @returns for each what was flushed before its answer */
async function traced (t: Test, durable: boolean, ...requests: Step[][]): Promise<string[][]> {
  const directory = realpathSync(t.testdir())
  const files = join(directory, 'sessions')
  mkdirSync(files)
  const log = join(directory, 'trace')
  // With -D it is the server that is the test's child; -y names the files behind descriptors.
  const server = await start(t, { files, durable }, {
    under: ['strace', '-D', '-f', '-y', '-qq', '-s', '12', '-o', log, '-e', 'trace=fsync,fdatasync,write,writev']
  })
  const ada = server.visitor()
  for (const steps of requests) await result(ada, ...steps)
  await server.stop()
  const calls = readFileSync(log, 'utf8').split('\n').flatMap(line => kindOf(line, files))
  return requests.map(() => calls.splice(0, calls.indexOf('answer') + 1).slice(0, -1))
}

/** What a line of the trace is, if it is anything that counts here. */
function kindOf (line: string, files: string): string[] {
  if (line.includes('"HTTP/1.1 200')) return ['answer']
  const [, path] = /\bf(?:data)?sync\(\d+<([^>]*)>/.exec(line) ?? []
  if (path === files) return ['flush of the directory']
  return path?.startsWith(files) === true ? ['flush of a file'] : []
}
