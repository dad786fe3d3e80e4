/** Commits to a file store in a loop, without HTTP. */
import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { FileStore } from '../../dist/index.js'
import { answer } from '../lib/wire.js'
import { LIFETIME, newVisitor } from './visitor.js'

/** Commits in one turn of the event loop: as many as the other part of the benchmark has connections. */
const COMMITS_IN_A_TURN = 32
const DATA = JSON.stringify(newVisitor())

const [directory] = process.argv.slice(2)
const store = new FileStore({ directory, report: ({ message }) => { console.error(message) } })
await store.open()

/** @type {{ key: string, version: number }[]} */
let sessions = []

answer({
  /** @returns {Promise<string[]>} the keys of as many new sessions */
  async create (count) {
    sessions = []
    for (let made = 0; made < count; made++) {
      const key = randomBytes(32).toString('hex')
      sessions.push({ key, version: await store.compareAndSet(key, recordOf(0), undefined) })
    }
    return sessions.map(({ key }) => key)
  },
  /** Commits to sessions that another process has created. */
  async adopt (keys) {
    sessions = await Promise.all(keys.map(async key => ({ key, version: await versionOf(key) })))
  },
  commit
})

/**
 * @param {object} options in milliseconds
 * @param {number} options.duration
 * @param {number} [options.thenWorkFor] how long the event loop is not turned after the last commit
 */
async function commit ({ duration, thenWorkFor = 0 }) {
  const result = { commits: 0, failures: 0, longest: 0 }
  const end = performance.now() + duration
  for (let count = 1; performance.now() < end; count++) {
    const begin = performance.now()
    try {
      await commitOnce(sessions[count % sessions.length], count)
      result.commits++
    } catch {
      result.failures++
    }
    result.longest = Math.max(result.longest, performance.now() - begin)
    if (count % COMMITS_IN_A_TURN === 0) await turn()
  }
  const workUntil = performance.now() + thenWorkFor
  while (performance.now() < workUntil);
  return result
}

/** As a session does it: on a conflict it reads again. */
async function commitOnce (session, count) {
  for (;;) {
    const version = await store.compareAndSet(session.key, recordOf(count), session.version)
    if (version === 'gone') throw new Error('a session has gone')
    session.version = version === 'conflict' ? await versionOf(session.key) : version
    if (version !== 'conflict') return
  }
}

async function versionOf (key) {
  const record = await store.read(key)
  if (record?.version === undefined) throw new Error('a session has gone')
  return record.version
}

function recordOf (count) {
  const now = Date.now()
  return { payload: `{"count":${count},"data":${DATA}}`, createdAt: new Date(now), expiresAt: new Date(now + LIFETIME * 1000) }
}
