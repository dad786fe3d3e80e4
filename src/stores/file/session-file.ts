import type { StoreKey } from '../store.ts'
import type { Slot } from './format.ts'
import { STAMP_LENGTH } from './format.ts'

const WORD = 4
const STAMP_WORDS = STAMP_LENGTH / WORD
const SESSION_NAME = /^[0-9a-f]{64}$/

/**
 * One session's file as this process knows it. What is known of the content is true as long as the stamps at the head of
 * both slots are the same: whoever writes changes one of them, and whoever removes the file or puts another one in its place
 * makes both of them unreadable first.
 */
export class SessionFile {
  readonly key: StoreKey
  readonly path: string
  readonly ino: number
  readonly size: number
  /** The current slot; undefined when the file is damaged. */
  slot: Slot | undefined
  /** Open for reading and writing, or undefined. */
  descriptor: number | undefined
  /** Whether it has been used since it was last looked at which descriptors to give up. */
  isUsed = true
  /** Whether its descriptor has to stay open. */
  isPinned = false
  /** When this was last seen to be the file at its path, by {@link performance.now}. */
  seenAt = 0
  /** The turn of this process at the commit lock in which it was last read or written. */
  turn: number | undefined
  /** The generation of which it is known that it has reached the disk. */
  flushed = 0
  readonly #stamps = new Int32Array(2 * STAMP_WORDS)

  constructor (key: StoreKey, path: string, ino: number, size: number) {
    this.key = key
    this.path = path
    this.ino = ino
    this.size = size
  }

  /** Bytes that a slot holds. */
  get capacity (): number {
    return this.size / 2
  }

  /** Whether the stamps can be compared: those of any file that this store has written can. */
  get hasStamps (): boolean {
    return this.capacity % WORD === 0 && this.capacity >= STAMP_LENGTH
  }

  /**
   * @param words what is read of the file
   * @param second where among the words the second slot begins
   * @returns whether the stamps are those that are known
   */
  hasStampsOf (words: Int32Array, second: number): boolean {
    const stamps = this.#stamps
    for (let word = 0; word < STAMP_WORDS; word++) {
      if (words[word] !== stamps[word] || words[second + word] !== stamps[STAMP_WORDS + word]) return false
    }
    return true
  }

  noteStamps (words: Int32Array, second: number): void {
    this.noteStamp(0, words)
    this.noteStamp(1, words, second)
  }

  /**
   * Notes what was written into one slot.
   *
   * @param from where among the words the slot begins
   */
  noteStamp (index: 0 | 1, words: Int32Array, from = 0): void {
    for (let word = 0; word < STAMP_WORDS; word++) this.#stamps[index * STAMP_WORDS + word] = words[from + word] as number
  }
}

/** Whether a file's name is that of a session: a key. */
export function isSessionName (name: string): name is StoreKey {
  return SESSION_NAME.test(name)
}
