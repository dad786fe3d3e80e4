import { KeptRecord } from '../kept-record.ts'
import type { Postponer } from '../postponing.ts'
import type { StoreKey } from '../store.ts'
import type { Entry, Slot } from './format.ts'
import { STAMP_LENGTH, WORD } from './format.ts'
import { timesOf } from './slot-writer.ts'

const SESSION_NAME = /^[0-9a-f]{64}$/

/** The first bytes of a slot, as numbers of four bytes each, in members: an array would be one more place to look at. */
class Stamp {
  #a = 0
  #b = 0
  #c = 0
  #d = 0
  #e = 0
  #f = 0

  is (words: Int32Array): boolean {
    return words[0] === this.#a && words[1] === this.#b && words[2] === this.#c &&
      words[3] === this.#d && words[4] === this.#e && words[5] === this.#f
  }

  note (words: Int32Array, from: number): void {
    this.#a = words[from] as number
    this.#b = words[from + 1] as number
    this.#c = words[from + 2] as number
    this.#d = words[from + 3] as number
    this.#e = words[from + 4] as number
    this.#f = words[from + 5] as number
  }
}

/** Of no slot: what is written has digits where this has zeros. */
const NO_STAMP = new Stamp()

/**
 * One session's file as this process knows it. What is known of the content is true as long as the head of the slot that is
 * not current is the same: whoever writes next writes there, and whoever removes the file or puts another one in its place
 * overwrites both slots with what is in neither of them otherwise.
 *
 * What is asked for at every read stands first: so it is together in the processor's caches.
 */
export class SessionFile {
  readonly key: StoreKey
  /** Open for reading and writing, or undefined. */
  descriptor: number | undefined
  /** What the current slot says; undefined when the file is damaged. */
  #entry: Entry | undefined
  /** When this was last seen to be the file at its path, in milliseconds by {@link performance.now}. */
  seenAt = 0
  /** The turn of this process at the commit lock in which it was last read or written. */
  turn: number | undefined
  /** Whether it has been used since it was last looked at which descriptors to give up. */
  isUsed = true
  /** Where the slot is that is written next. */
  nextAt = 0
  #next: Stamp
  #index: 0 | 1 = 1
  #generation = 0
  /** What the heading says of times: it is mostly what the next one says as well. */
  #times: Uint8Array | undefined
  /** Who waits for what is current to be written; undefined when it is. */
  postponer: Postponer | undefined
  readonly path: string
  readonly ino: number
  readonly size: number
  /** Whether its descriptor has to stay open. */
  isPinned = false
  /** The generation of which it is known that it has reached the disk. */
  flushed = 0
  readonly #first = new Stamp()
  readonly #second = new Stamp()

  constructor (key: StoreKey, path: string, ino: number, size: number) {
    this.key = key
    this.path = path
    this.ino = ino
    this.size = size
    this.#next = this.#first
  }

  /** What the current slot says; undefined when the file is damaged. */
  get entry (): Entry | undefined {
    return this.#entry
  }

  /** Which of the two slots is current. */
  get index (): 0 | 1 {
    return this.#index
  }

  /** That of the current slot. */
  get generation (): number {
    return this.#generation
  }

  /** Notes what was read. */
  noteRead (slot: Slot | undefined): void {
    this.#times = undefined
    if (slot === undefined) {
      this.#entry = undefined
      return
    }
    this.#note(slot.entry, slot.generation, slot.index)
    // Its head may be that of what is written there, of which the rest is still to come.
    if (slot.hasUnfinishedNext) this.#next = NO_STAMP
  }

  /** Notes what is written into a new file. */
  noteFirst (entry: Entry, generation: number, times: Uint8Array): void {
    this.#times = times
    this.#note(entry, generation, 0)
  }

  /** Notes what is written next. */
  noteNext (entry: Entry): void {
    const { createdAt, expiresAt } = this.#entry as Entry
    if (entry.createdAt !== createdAt || entry.expiresAt !== expiresAt) this.#times = undefined
    this.#note(entry, this.#generation + 1, this.#index === 0 ? 1 : 0)
  }

  /** What the heading of the current slot says of times. */
  get times (): Uint8Array {
    this.#times ??= timesOf(this.#entry as Entry)
    return this.#times
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
   * @param words what is read from {@link nextAt} on
   * @returns whether nothing has been written since what is known of the file
   */
  isStillNext (words: Int32Array): boolean {
    return this.#next.is(words)
  }

  /** Notes what both slots begin with, of which the second begins at a word of what is read of the file. */
  noteStamps (words: Int32Array, second: number): void {
    this.#first.note(words, 0)
    this.#second.note(words, second)
  }

  /** Notes what was written into one slot. */
  noteStamp (index: 0 | 1, words: Int32Array): void {
    (index === 0 ? this.#first : this.#second).note(words, 0)
  }

  #note (entry: Entry, generation: number, index: 0 | 1): void {
    this.#entry = entry
    this.#generation = generation
    this.#index = index
    this.nextAt = index === 0 ? this.capacity : 0
    this.#next = index === 0 ? this.#second : this.#first
    if (entry instanceof KeptRecord) entry.place = this
  }
}

/** Whether a file's name is that of a session: a key. */
export function isSessionName (name: string): name is StoreKey {
  return SESSION_NAME.test(name)
}
