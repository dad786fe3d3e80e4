/** Lists of sessions, in the order of their keys. */
import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { isStoreKey } from '../../session/id.ts'
import { inOrder } from '../in-order.ts'
import { listedAs, unexpired } from '../record.ts'
import { isRecord, type ListedRecord, type ListFilter, type Page, type RecordPage, type StoreKey } from '../store.ts'
import { codeOf, READ_ONLY_CODES } from './disk.ts'
import type { Entry } from './format.ts'
import { type Inspected, inspectFile } from './inspect.ts'
import { nameOf, namesIn, type UserIndex, type UserName } from './user-index.ts'

const NO_FILE = Symbol('something else than a file')
const UNREADABLE = Symbol('a file that this process may not read')
const MOVED = Symbol('a session that goes on under another id')
/** What reading one file may say without there being anything wrong with the others: a right that is missing, a bad block. */
const UNREADABLE_CODES: ReadonlyArray<string | undefined> = ['EACCES', 'EPERM', 'EIO']
/** What opening a link, a directory or a socket says. */
const NO_FILE_CODES: ReadonlyArray<string | undefined> = ['ENOTREG', 'ELOOP', 'EMLINK', 'EISDIR', 'ENXIO']
/** Files that are looked at together. The thread pool has four threads, if nobody has changed that. */
const AT_ONCE = 8

export interface Listing {
  readonly directory: string
  readonly users: UserIndex
  /**
   * Looks into a session's file under its lock.
   *
   * @param user from whose index the session is removed if it belongs to another user
   */
  readonly settle: (key: StoreKey, user?: UserName) => Promise<Entry | undefined>
  /** Called for a session that this process may not read. */
  readonly reportUnreadable: (key: StoreKey, cause: unknown) => void
}

type Look = ListedRecord | typeof UNREADABLE | typeof MOVED | undefined

interface Candidates {
  readonly keys: readonly StoreKey[]
  readonly look: (key: StoreKey) => Promise<Look>
}

/** Lists sessions, and removes stale entries from the index of a user whose sessions are listed. */
export async function listSessions (listing: Listing, filter: ListFilter, { limit, after = '' }: Page): Promise<RecordPage> {
  const { keys, look } = await candidatesOf(listing, filter)
  const records: ListedRecord[] = []
  const moved: StoreKey[] = []
  let [unreadable, sinceLastRecord] = [0, 0]
  for await (const { key, record } of looksAt(inOrder(keys, after), look)) {
    if (record === UNREADABLE) sinceLastRecord++
    if (record === MOVED) moved.push(key)
    if (!isListed(record)) continue
    // One more than the limit: there is a next page, which begins behind the last record.
    if (records.length === limit) return { records, next: records.at(-1)?.key, unreadable, moved }
    records.push(record)
    unreadable += sinceLastRecord
    sinceLastRecord = 0
  }
  return { records, next: undefined, unreadable: unreadable + sinceLastRecord, moved }
}

/** @returns how many sessions a list would have, of which the directory is read once and not for each page */
export async function countSessions (listing: Listing, filter: ListFilter): Promise<number> {
  const { keys, look } = await candidatesOf(listing, filter)
  let count = 0
  for await (const { record } of looksAt(keys, look)) if (isListed(record)) count++
  return count
}

async function candidatesOf (listing: Listing, { userId }: ListFilter): Promise<Candidates> {
  if (userId === undefined) return { keys: (await namesIn(listing.directory)).filter(isStoreKey), look: async key => await lookAtAny(listing, key) }
  const user = nameOf(userId)
  return { keys: await listing.users.keysOf(user), look: async key => await lookAtOneOf(listing, key, userId, user) }
}

async function lookAtAny (listing: Listing, key: StoreKey): Promise<Look> {
  const found = await inspectSession(listing, key)
  if (!isInspected(found)) return found === UNREADABLE ? found : undefined
  return listed(key, isUnclear(found) ? await settled(listing, key, found) : found?.content?.entry)
}

async function lookAtOneOf (listing: Listing, key: StoreKey, userId: string, user: UserName): Promise<Look> {
  const found = await inspectSession(listing, key)
  if (!isInspected(found)) return found === UNREADABLE ? found : undefined
  const entry = isUnclear(found) || isStale(found, user) ? await settled(listing, key, found, user) : found?.content?.entry
  if (entry?.userId !== userId) return undefined
  return 'reason' in entry && entry.reason === 'regenerated' ? MOVED : listed(key, entry)
}

/** Looks at several sessions at once, since most of the time goes into waiting for the thread pool, and gives them in their order. */
async function * looksAt (keys: Iterable<StoreKey>, look: Candidates['look']): AsyncGenerator<{ readonly key: StoreKey, readonly record: Look }> {
  const lookAt = async (key: StoreKey): Promise<{ key: StoreKey, record: Look }> => ({ key, record: await look(key) })
  let group: StoreKey[] = []
  for (const key of keys) {
    if (group.push(key) < AT_ONCE) continue
    yield * await Promise.all(group.map(lookAt))
    group = []
  }
  yield * await Promise.all(group.map(lookAt))
}

/**
 * Removes entries from the index that crashes have left, or whose session has another user now.
 *
 * @param pause called between sessions
 * @param signal ends it after the session at hand
 */
export async function removeStale (listing: Listing, pause: () => Promise<void>, signal?: AbortSignal): Promise<void> {
  for (const user of await listing.users.users()) {
    for (const key of await listing.users.keysOf(user)) {
      if (signal?.aborted === true) return
      const found = await inspectSession(listing, key)
      if (isInspected(found) && isStale(found, user)) await settled(listing, key, found, user)
      await pause()
    }
  }
}

/** Looks under the lock of a session's file; a file that may only be read is as it was found. */
async function settled ({ settle }: Listing, key: StoreKey, found: Inspected | undefined, user?: UserName): Promise<Entry | undefined> {
  try {
    return await settle(key, user)
  } catch (error) {
    if (!READ_ONLY_CODES.includes(codeOf(error))) throw error
    return found?.content?.entry
  }
}

/** Whether a session does not belong to the user. A damaged one may, until it is swept away. */
export function isStale (found: Pick<Inspected, 'content'> | undefined, user: UserName): boolean {
  if (found?.content === undefined) return true
  const { entry } = found.content
  return entry !== undefined && (entry.userId === undefined || nameOf(entry.userId) !== user)
}

/** Whether a file is damaged, was written again and again while it was read, or is blank: then a larger one may have taken its place. */
function isUnclear (found: Inspected | undefined): boolean {
  return found !== undefined && found.content?.entry === undefined
}

/** @returns NO_FILE for what no store has put there: lists leave it out; undefined when there is nothing */
async function inspectSession ({ directory, reportUnreadable }: Listing, key: StoreKey): Promise<Inspected | typeof NO_FILE | typeof UNREADABLE | undefined> {
  const path = join(directory, key)
  try {
    return await inspectFile(path)
  } catch (error) {
    if (NO_FILE_CODES.includes(codeOf(error))) return NO_FILE
    if (!UNREADABLE_CODES.includes(codeOf(error))) throw error
    // Where it is the directory that may not be entered, no session is to be had: this throws then.
    await lstat(path)
    reportUnreadable(key, error)
    return UNREADABLE
  }
}

function isInspected (found: Inspected | typeof NO_FILE | typeof UNREADABLE | undefined): found is Inspected | undefined {
  return typeof found !== 'symbol'
}

function isListed (record: Look): record is ListedRecord {
  return typeof record === 'object'
}

function listed (key: StoreKey, entry: Entry | undefined): ListedRecord | undefined {
  const current = unexpired(entry)
  return isRecord(current) ? listedAs(key, current) : undefined
}
