/** Processes that are stopped for a while in the middle of their work, and go on as if nothing had happened. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { FileStore, SessionStoreError, type StoreKey } from '../../src/index.ts'
import { type Program, startProgram } from '../helpers/process.ts'
import { isRecord, newKey } from '../stores/conformance.ts'
import { append } from './append.ts'
import { Load } from './load.ts'
import { canTrace, unless } from './needs.ts'
import { start } from './servers.ts'

/** Milliseconds for which a process is stopped: longer than any lock that goes by times alone would hold. */
const STOPPED_FOR = 5_000
const STOPS = Number(process.env['STOPS'] ?? 2)

t.setTimeout(900_000 + STOPS * 30_000)

t.test('a server that is stopped under load, and continued, loses nothing and overwrites nothing of another one\'s', async t => {
  const files = t.testdir()
  const [one, other] = [await start(t, { files }), await start(t, { files })]
  for (let stop = 1; stop <= STOPS; stop++) {
    const loads = [await Load.begin(one), await Load.begin(other)]
    const running = loads.map(load => load.run([one, other]))
    await loads[0]?.progresses(50 + Math.floor(Math.random() * 50))
    one.process.kill('SIGSTOP')
    await delay(STOPPED_FOR)
    one.process.kill('SIGCONT')
    await Promise.all(loads.map(async load => { await load.progresses(50) }))
    await Promise.all(running.map(async each => { await each.stop() }))
    for (const load of loads) {
      t.same([...await load.faults(one), ...await load.faults(other)], [], `stop ${stop}`)
      t.ok(load.refusals.every(text => (JSON.parse(text) as { code: string }).code === 'ERR_SESSION_STORE'), 'refused requests get a 503 that names the store')
    }
  }
})

t.test('a process that is stopped in the middle of a commit neither loses a commit nor undoes those of others', async t => {
  const { store, directory, key } = await beginning(t)
  const writer = startWriter(t, directory, key, 1, ['stopping'])
  await writer.said('inside')
  const ours = appendWhile(store, key, delay(STOPPED_FOR))
  await delay(STOPPED_FOR)
  // Stops where it is asked for the payload: once more if its commit met a conflict.
  const continuing = setInterval(() => { writer.process.kill('SIGCONT') }, 100)
  t.teardown(() => { clearInterval(continuing) })
  const theirs = await wordsOf(writer)
  t.same(await missing(store, key, [...theirs, ...await ours]), [])
})

t.test('a process that is held up right before it writes neither loses a commit nor undoes those of others', {
  skip: unless(canTrace(), 'strace')
}, async t => {
  const { store, directory, key } = await beginning(t)
  const held = ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=pwrite64', '-e', `inject=pwrite64:delay_enter=${STOPPED_FOR * 1000}:when=5`]
  const writer = startWriter(t, directory, key, 20, [], held)
  await writer.said('ready')
  const begin = performance.now()
  const ours = appendWhile(store, key, writer.ended)
  const theirs = await wordsOf(writer)
  t.equal(theirs.length, 20)
  t.ok(performance.now() - begin >= STOPPED_FOR, 'it was held up')
  t.same(await missing(store, key, [...theirs, ...await ours]), [])
})

async function beginning (t: Test): Promise<{ store: FileStore, directory: string, key: StoreKey }> {
  const directory = t.testdir()
  const store = new FileStore({ directory, report: ({ message }) => { t.fail(message) } })
  t.teardown(() => { store.close() })
  await store.open()
  const key = newKey()
  await store.compareAndSet(key, { payload: 'begun', createdAt: new Date(), expiresAt: new Date(Date.now() + 3_600_000) }, undefined)
  return { store, directory, key }
}

/** Starts a process that appends words, and prints those that are stored. */
function startWriter (t: Test, directory: string, key: StoreKey, count: number, how: readonly string[] = [], under: readonly string[] = []): Program {
  return startProgram(t, join(import.meta.dirname, 'writer.ts'), [directory, key, count, ...how], { under })
}

/** Resolves with the words that a writer has stored, when it has ended. */
async function wordsOf (writer: Program): Promise<string[]> {
  return (await writer.ended).filter(line => line.startsWith('theirs'))
}

/** Appends one word after the other. @returns those of which the store said that they are stored */
async function appendWhile (store: FileStore, key: StoreKey, end: Promise<unknown>): Promise<string[]> {
  const over = new AbortController()
  void end.then(() => { over.abort() })
  const acknowledged: string[] = []
  for (let n = 0; !over.signal.aborted; n++) {
    const word = `ours${n}`
    await append(store, key, word).then(() => { acknowledged.push(word) }, (error: unknown) => {
      if (!(error instanceof SessionStoreError)) throw error
    })
    // The other one is to have its turns, and the payload to stay short.
    await delay(5)
  }
  return acknowledged
}

async function missing (store: FileStore, key: StoreKey, words: readonly string[]): Promise<string[]> {
  const record = await store.read(key)
  const stored = isRecord(record) ? record.payload.split(' ') : []
  return words.filter(word => !stored.includes(word))
}
