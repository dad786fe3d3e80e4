/**
 * What the store's keys are called. In a cluster, the part in braces decides on which server a key is: the first two digits
 * of the session's key, so that a session, its lock and the list that it is in are always together.
 */
import type { StoreKey } from '../store.ts'

/** How many digits of a key are the name of its shard. */
const DIGITS = 2

/** The names of all shards, in the order of the keys in them. */
export const SHARDS: readonly string[] = Array.from({ length: 16 ** DIGITS }, (_, n) => n.toString(16).padStart(DIGITS, '0'))

export function shardOf (key: string): string {
  return key.slice(0, DIGITS)
}

export class Keys {
  readonly #prefix: string

  constructor (prefix: string) {
    this.#prefix = prefix
  }

  session (key: StoreKey): string {
    return `${this.#prefix}{${shardOf(key)}}:session:${key}`
  }

  lock (key: StoreKey): string {
    return `${this.#prefix}{${shardOf(key)}}:lock:${key}`
  }

  /** The list of all sessions of a shard. */
  shard (name: string): string {
    return `${this.#prefix}{${name}}:all`
  }

  /** The list of a user's sessions. It is on another server than they are, if there are several. */
  user (userId: string): string {
    return `${this.#prefix}user-sessions:${userId}`
  }
}
