/** Lists of sessions, in the order of their keys. */
import { join } from 'node:path'
import { isStoreKey } from '../../session/id.ts'
import { inOrder } from '../in-order.ts'
import { listedAs, unexpired } from '../record.ts'
import { isRecord, type ListedRecord, type Page, type RecordPage, type StoreKey } from '../store.ts'
import { codeOf } from './disk.ts'
import type { Entry } from './format.ts'
import { type Inspected, inspectFile } from './inspect.ts'
import { nameOf, namesIn, type UserIndex, type UserName } from './user-index.ts'

const NO_FILE = Symbol('something else than a file')
/** What opening a link, a directory or a socket says. */
const NO_FILE_CODES: ReadonlyArray<string | undefined> = ['ENOTREG', 'ELOOP', 'EMLINK', 'EISDIR', 'ENXIO']

export interface Listing {
  readonly directory: string
  readonly users: UserIndex
  /**
   * Looks into a session's file under its lock.
   *
   * @param user from whose index the session is removed if it belongs to another user
   */
  readonly settle: (key: StoreKey, user?: UserName) => Promise<Entry | undefined>
}

export async function listAll ({ directory, settle }: Listing, page: Page): Promise<RecordPage> {
  return await pageOf((await namesIn(directory)).filter(isStoreKey), page, async key => {
    const found = await inspectSession(directory, key)
    if (found === NO_FILE) return undefined
    return listed(key, isUnclear(found) ? await settle(key) : found?.content?.entry)
  })
}

/** Lists one user's sessions, and removes stale entries from the index. */
export async function listOfUser ({ directory, users, settle }: Listing, userId: string, page: Page): Promise<RecordPage> {
  const user = nameOf(userId)
  return await pageOf(await users.keysOf(user), page, async key => {
    const found = await inspectSession(directory, key)
    if (found === NO_FILE) return undefined
    const entry = isUnclear(found) || isStale(found, user) ? await settle(key, user) : found?.content?.entry
    return entry?.userId === userId ? listed(key, entry) : undefined
  })
}

/**
 * Removes entries from the index that crashes have left, or whose session has another user now.
 *
 * @param pause called between sessions
 * @param signal ends it after the session at hand
 */
export async function removeStale ({ directory, users, settle }: Listing, pause: () => Promise<void>, signal?: AbortSignal): Promise<void> {
  for (const user of await users.users()) {
    for (const key of await users.keysOf(user)) {
      if (signal?.aborted === true) return
      const found = await inspectSession(directory, key)
      if (found !== NO_FILE && isStale(found, user)) await settle(key, user)
      await pause()
    }
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

/** @returns NO_FILE for what no store has put there: lists leave it out */
async function inspectSession (directory: string, key: StoreKey): Promise<Inspected | typeof NO_FILE | undefined> {
  try {
    return await inspectFile(join(directory, key))
  } catch (error) {
    if (!NO_FILE_CODES.includes(codeOf(error))) throw error
    return NO_FILE
  }
}

function listed (key: StoreKey, entry: Entry | undefined): ListedRecord | undefined {
  const current = unexpired(entry)
  return isRecord(current) ? listedAs(key, current) : undefined
}

async function pageOf (keys: readonly StoreKey[], { limit, after = '' }: Page, look: (key: StoreKey) => Promise<ListedRecord | undefined>): Promise<RecordPage> {
  const records: ListedRecord[] = []
  for (const key of inOrder(keys, after)) {
    const record = await look(key)
    if (record === undefined) continue
    // One more than the limit: there is a next page.
    if (records.length === limit) return { records, next: records.at(-1)?.key }
    records.push(record)
  }
  return { records, next: undefined }
}
