/** What a process that is busy, stopped or killed does to the commits of another one. Checks the order of events, not times. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { FileStore, StoreKey, Version } from '../../src/index.ts'
import { type Program, startProgram } from '../helpers/process.ts'
import { create, readLiving, recordOf } from '../stores/conformance.ts'
import { fileStore } from '../stores/support.ts'

interface Stall {
  readonly store: FileStore
  readonly program: Program
  /** The session that the other process is in the middle of. */
  readonly key: StoreKey
  /** A session that it has written to before. */
  readonly another: { readonly key: StoreKey, readonly version: Version }
  readonly goOn: () => void
}

/** Another process that has written a session, and then is in the middle of something until `goOn()`. */
async function stalled (t: Test, how: 'busy' | 'stopped' | 'waiting'): Promise<Stall> {
  const { store, directory } = await fileStore(t)
  const { key } = await create(store, 'before')
  const made = await create(store, 'before')
  const go = join(directory, 'go-on')
  const program = startProgram(t, join(import.meta.dirname, 'stalling.ts'), [directory, key, made.key, how === 'busy' ? 'outside' : 'within', go])
  await program.said('waits')
  // By us: if it stopped itself, our SIGCONT could come before that, and be lost.
  if (how === 'stopped') program.process.kill('SIGSTOP')
  const { version } = await readLiving(store, made.key)
  return {
    store,
    program,
    key,
    another: { key: made.key, version },
    goOn: () => {
      writeFileSync(go, '')
      program.process.kill('SIGCONT')
    }
  }
}

t.test('beside a process that works without turning its event loop, every session is written at once', async t => {
  const { store, program, key, another, goOn } = await stalled(t, 'busy')
  t.type(store.compareAndSet(another.key, recordOf('ours'), another.version), 'number', 'also one that it has just written')
  const { version } = await readLiving(store, key)
  t.type(store.compareAndSet(key, recordOf('ours'), version), 'number')
  t.notOk(program.lines.includes('done'), 'it is still busy')
  goOn()
  await program.ended
  t.ok(program.lines.includes('done'))
})

t.test('a process that is stopped in the middle of a commit holds up that session, and no other', async t => {
  const { store, program, key, another, goOn } = await stalled(t, 'stopped')
  t.type(store.compareAndSet(another.key, recordOf('ours'), another.version), 'number')
  const { payload, version } = await readLiving(store, key)
  t.equal(payload, 'before', 'the session is read')
  const waiting = Promise.resolve(store.compareAndSet(key, recordOf('ours'), version))
  const events: string[] = []
  const settled = waiting.then(answer => { events.push(String(answer)) })
  await store.touch(another.key, new Date(Date.now() + 60_000))
  t.same(events, [], 'its commit waits')
  t.notOk(program.lines.includes('done'))
  events.push('goes on')
  goOn()
  await Promise.all([settled, program.ended])
  t.same(events, ['goes on', 'conflict'], 'the stopped process has written first')
  t.equal((await readLiving(store, key)).payload, 'theirs')
})

t.test('a process that is killed in the middle of a commit holds up nothing', async t => {
  const { store, program, key } = await stalled(t, 'waiting')
  await program.stop()
  const { payload, version } = await readLiving(store, key)
  t.equal(payload, 'before')
  t.type(store.compareAndSet(key, recordOf('ours'), version), 'number')
})
