/**
 * Which sessions are a user's: an empty file for each, `.users/<SHA-256 of the user's id>/<key of the session>`. It is made
 * before the session's own file first names the user, so that a crash can leave an entry without a session and never the
 * reverse. The session's file decides whose it is; the index says only where to look.
 *
 * An entry is made and removed under the lock of its session's file.
 */
import { hash } from 'node:crypto'
import { closeSync, mkdirSync, rmdirSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isStoreKey } from '../../session/id.ts'
import type { StoreKey } from '../store.ts'
import { codeOf, CREATE, DIRECTORY_MODE, flushDirectory, openFile } from './disk.ts'

/** What stands for a user's id here. */
export type UserName = string & { readonly brand: 'UserName' }

/** Another process may remove a user's directory again and again, each time before anything is in it. */
const ATTEMPTS = 100

export class UserIndex {
  readonly #directory: string
  readonly #isDurable: boolean

  /** @param isDurable whether it has to be as safe from a loss of power as the sessions are */
  constructor (directory: string, isDurable: boolean) {
    this.#directory = join(directory, '.users')
    this.#isDurable = isDurable
  }

  /** Records that a session is going to be a user's. */
  add (userId: string, key: StoreKey): void {
    const directory = join(this.#directory, nameOf(userId))
    for (let attempt = 1; ; attempt++) {
      try {
        closeSync(openFile(join(directory, key), CREATE).descriptor)
        break
      } catch (error) {
        if (codeOf(error) !== 'ENOENT' || attempt === ATTEMPTS) throw error
      }
      // Not recursive: where the directory of the sessions is missing, there is no session to be listed.
      this.#makeDirectory(this.#directory)
      this.#makeDirectory(directory)
    }
    if (this.#isDurable) flushDirectory(directory)
  }

  /** Forgets a session, which must not be the user's any more. */
  remove (user: UserName, key: StoreKey): void {
    const directory = join(this.#directory, user)
    rmSync(join(directory, key), { force: true })
    try {
      rmdirSync(directory)
    } catch {
      // There are others in it; or it has gone already.
    }
  }

  /** @returns the sessions that may be a user's; none of those that are is missing */
  async keysOf (user: UserName): Promise<StoreKey[]> {
    return (await namesIn(join(this.#directory, user))).filter(isStoreKey)
  }

  /** @returns all users that may have sessions */
  async users (): Promise<UserName[]> {
    return (await namesIn(this.#directory)).filter(isStoreKey) as string[] as UserName[]
  }

  #makeDirectory (path: string): void {
    try {
      mkdirSync(path, { mode: DIRECTORY_MODE })
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
    }
    if (this.#isDurable) flushDirectory(dirname(path))
  }
}

/** Any text can be a user's id, and not any text the name of a directory. */
export function nameOf (userId: string): UserName {
  return hash('sha256', userId, 'hex') as UserName
}

export async function namesIn (directory: string): Promise<string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
    return []
  })
}
