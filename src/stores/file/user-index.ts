/**
 * Which sessions are a user's: an empty file for each, `.users/<SHA-256 of the user's id>/<key of the session>`. It is made
 * before the session's own file first names the user, so that a crash can leave one too many and never one too few. The
 * session's file has the last word; what is here says only where to look.
 *
 * To be changed only while the commit lock is held: otherwise a file could go between its making and that of its session.
 */
import { hash } from 'node:crypto'
import { closeSync, mkdirSync, openSync, rmdirSync, rmSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { StoreKey } from '../store.ts'
import { flushDirectory } from './open-files.ts'

/** What stands for a user's id here. */
export type UserName = string & { readonly brand: 'UserName' }

const DIRECTORY_MODE = 0o700
const FILE_MODE = 0o600

export class UserIndex {
  readonly #directory: string
  readonly #isDurable: boolean

  /** @param isDurable whether it has to be as safe from a loss of power as the sessions are */
  constructor (directory: string, isDurable: boolean) {
    this.#directory = join(directory, '.users')
    this.#isDurable = isDurable
  }

  /** Notes that a session is going to be a user's. */
  add (userId: string, key: StoreKey): void {
    const directory = this.#directoryOf(nameOf(userId))
    const path = join(directory, key)
    try {
      makeFile(path)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      // Not recursive: where the directory of the sessions is missing, somebody else has to make it.
      this.#makeDirectory(this.#directory)
      this.#makeDirectory(directory)
      makeFile(path)
    }
    if (this.#isDurable) flushDirectory(directory)
  }

  /** Forgets a session, which must not be the user's any more. */
  remove (user: UserName, key: StoreKey): void {
    const directory = this.#directoryOf(user)
    rmSync(join(directory, key), { force: true })
    try {
      rmdirSync(directory)
    } catch {
      // There are others in it; or it has gone already.
    }
  }

  /** @returns the sessions that may be a user's; none of those that are is missing */
  async keysOf (user: UserName): Promise<StoreKey[]> {
    return await namesIn(this.#directoryOf(user)) as StoreKey[]
  }

  /** @returns all users that may have sessions */
  async users (): Promise<UserName[]> {
    return await namesIn(this.#directory) as UserName[]
  }

  #directoryOf (user: UserName): string {
    return join(this.#directory, user)
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

function makeFile (path: string): void {
  closeSync(openSync(path, 'a', FILE_MODE))
}

async function namesIn (directory: string): Promise<string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
    return []
  })
}

function codeOf (error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
