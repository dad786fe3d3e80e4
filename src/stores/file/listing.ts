/** Lists of sessions, in the order of their keys. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { inOrder } from '../in-order.ts'
import type { ListedRecord, Page, RecordPage, StoreKey } from '../store.ts'
import type { Inspected } from './read-file.ts'
import { inspectFile, inspectFileSync } from './read-file.ts'
import { isSessionName } from './session-file.ts'
import type { UserIndex, UserName } from './user-index.ts'
import { nameOf } from './user-index.ts'

/** Files read at the same time. */
const AT_ONCE = 32

export interface Listing {
  readonly directory: string
  readonly users: UserIndex
  /** Runs a job while nobody else can write. */
  readonly exclusively: <T>(job: () => T) => Promise<T>
}

export async function listAll ({ directory }: Listing, page: Page): Promise<RecordPage> {
  const keys = (await readdir(directory)).filter(isSessionName)
  return await pageOf(keys, page, async key => listedIn(key, await inspectFile(join(directory, key))))
}

/** The same of one user's sessions. What the index has too much is taken out of it on the way. */
export async function listOfUser (listing: Listing, userId: string, page: Page): Promise<RecordPage> {
  const { directory, users, exclusively } = listing
  const user = nameOf(userId)
  return await pageOf(await users.keysOf(user), page, async key => {
    let found = await inspectFile(join(directory, key))
    // Somebody may be about to make or to write it. While nobody can, what is found is true.
    if (found === undefined || !isOf(found, user)) found = await exclusively(() => removeIfStale(listing, user, key))
    return found !== undefined && isOf(found, user) ? listedIn(key, found) : undefined
  })
}

/**
 * Takes out of the index what is too much in it: what is left there by a crash, or by a session that went to another user.
 *
 * @param pause called now and then
 */
export async function removeStale (listing: Listing, pause: () => Promise<void>): Promise<void> {
  const { directory, users, exclusively } = listing
  for (const user of await users.users()) {
    for (const key of await users.keysOf(user)) {
      if (isStale(inspectFileSync(join(directory, key)), user)) await exclusively(() => removeIfStale(listing, user, key))
      await pause()
    }
  }
}

/**
 * Takes a session out of the index of a user whose session it is not. To be called while nobody else can write.
 *
 * @returns what is in the session's file
 */
function removeIfStale ({ directory, users }: Listing, user: UserName, key: StoreKey): Inspected | undefined {
  const found = inspectFileSync(join(directory, key))
  if (isStale(found, user)) users.remove(user, key)
  return found
}

/** Of a damaged session nobody knows whose it is, until it is swept away. */
function isStale (found: Inspected | undefined, user: UserName): boolean {
  return found === undefined || (found.slot !== undefined && !isOf(found, user))
}

/** Whether a session is a user's, or was before it ended. */
function isOf ({ slot }: Inspected, user: UserName): boolean {
  const userId = slot?.entry.userId
  return userId !== undefined && nameOf(userId) === user
}

function listedIn (key: StoreKey, found: Inspected | undefined): ListedRecord | undefined {
  const entry = found?.slot?.entry
  if (entry?.payload === undefined || entry.expiresAt.getTime() <= Date.now()) return undefined
  return entry.listedAs(key)
}

async function pageOf (keys: readonly StoreKey[], { limit, after = '' }: Page, look: (key: StoreKey) => Promise<ListedRecord | undefined>): Promise<RecordPage> {
  const records: ListedRecord[] = []
  const rest = inOrder(keys.filter(key => key > after))
  // One more than is wanted says whether there is a next page.
  while (records.length <= limit) {
    const some = take(rest, Math.min(AT_ONCE, limit + 1 - records.length))
    if (some.length === 0) break
    for (const record of await Promise.all(some.map(look))) if (record !== undefined) records.push(record)
  }
  const page = records.slice(0, limit)
  return { records: page, next: records.length > limit ? page.at(-1)?.key : undefined }
}

/** Takes the next few, and leaves the others for later. */
function take (keys: Iterator<StoreKey, undefined>, count: number): StoreKey[] {
  const taken: StoreKey[] = []
  while (taken.length < count) {
    const next = keys.next()
    if (next.done === true) break
    taken.push(next.value)
  }
  return taken
}
