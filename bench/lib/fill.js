/** Very many sessions, quickly: through the store itself and not by HTTP. */
import { hash, randomBytes } from 'node:crypto'
import { statfsSync } from 'node:fs'
import { FileStore } from '../../dist/index.js'

/** Commits of one group share the cost of the store's lock. */
const GROUP = 500
const COOKIE = 'ambient_session'
/** Of one session's file on a file system with blocks of this size. */
const BLOCK = 4096

/**
 * A session that the server made, as the one after which all others are made.
 *
 * @param {string} directory
 * @param {string} cookie
 */
export function recordOf (directory, cookie) {
  const id = cookie.slice(COOKIE.length + 1)
  return storeIn(directory).read(keyOf(id))
}

/**
 * @param {string} directory
 * @param {number} count
 * @param {{ payload: string, createdAt: Date, expiresAt: Date }} record
 * @returns {Promise<string[]>} the cookies of as many new sessions
 */
export async function fill (directory, count, record) {
  assertRoom(directory, count)
  const store = storeIn(directory)
  const cookies = []
  while (cookies.length < count) {
    const ids = Array.from({ length: Math.min(GROUP, count - cookies.length) }, () => randomBytes(32).toString('base64url'))
    await Promise.all(ids.map(id => store.compareAndSet(keyOf(id), record, undefined)))
    for (const id of ids) cookies.push(`${COOKIE}=${id}`)
  }
  await store.close()
  return cookies
}

function storeIn (directory) {
  return new FileStore({ directory, report: ({ message }) => { throw new Error(message) } })
}

function keyOf (id) {
  return hash('sha256', id, 'hex')
}

function assertRoom (directory, count) {
  const { bavail, bsize, ffree, files } = statfsSync(directory)
  // Some file systems make inodes as they are needed, and say that they have none.
  const hasInodes = files === 0 || ffree > count
  if (!hasInodes || bavail * bsize < count * BLOCK * 1.5) throw new Error(`the disk has no room for ${count} session files`)
}
