/**
 * Making slots, as `format.ts` describes and reads them. Byte by byte, because V8 spends most of the time on texts that are
 * put together only to be copied.
 */
import { crc32 } from 'node:zlib'
import type { KeptRecord } from '../kept-record.ts'
import { factsOf } from '../facts.ts'
import type { Entry } from './format.ts'
import { CHECKED_FROM, CHECKSUM_LENGTH, FACTS_FROM, GENERATION_LENGTH, LINE_FEED, WORD } from './format.ts'

const SPACE = 32
const DIGIT_ZERO = 48
const HEX_DIGITS = Buffer.from('0123456789abcdef')
/** In bytes. */
const LONGEST_CHARACTER = 4
const MIN_CAPACITY = 512
/** A slot is made this much larger than its first content, so that most sessions never have to move. */
const HEADROOM = 1.25
/** Bytes before the payload, without what is said of a user: with numbers as long as they can be. */
const LONGEST_HEADING = 160
/** Bytes of the names of what is said of a user. */
const LONGEST_NAMES = 80
/** Bytes that are kept for making slots; longer ones get memory of their own. */
const SHARED = 64 * 1024
/** As many lengths that differ in their last bits are remembered at most. */
const MOST_VIEWS = 64
const VERSION = bytesOf('{"format":1,"version":')
const BYTES = bytesOf(',"bytes":')
const NULL = bytesOf('null')
const END = bytesOf('}\n')

/** Memory in which slots are made. What it holds counts until the next one is. */
export class SlotWriter {
  readonly #memory: Buffer
  /** The memory as numbers of four bytes each. */
  readonly words: Int32Array
  #slot: Buffer
  /** Where the line feeds begin that are left of the slots before. */
  #usedTo = 0
  #checked: Buffer[] = []

  constructor (size: number) {
    this.#memory = Buffer.allocUnsafeSlow(size).fill(LINE_FEED)
    this.words = new Int32Array(this.#memory.buffer, 0, size / WORD)
    this.#slot = this.#memory
  }

  /** The slot that was made last. */
  get slot (): Buffer {
    return this.#slot
  }

  /**
   * Makes a slot.
   *
   * @param times what {@link timesOf} says of the entry
   * @returns whether it has room for the entry; if not, what is in it does not count
   */
  fill (capacity: number, entry: Entry, generation: number, times: Uint8Array): boolean {
    // Most sessions of an application have slots of the same size, and making a view costs as much as filling it.
    if (this.#slot.length !== capacity) this.#slot = this.#memory.subarray(0, capacity)
    const { payload } = entry
    if (payload === undefined) return this.#fillWith(entry, generation, times, '', 0, 0)
    // Where all characters are ASCII there are as many bytes, which need not be counted beforehand. Where they are not, what is
    // written is longer than that, even if it is cut off: as long as there is room for one character more.
    return this.#fillWith(entry, generation, times, payload, payload.length, LONGEST_CHARACTER) ||
      this.#fillWith(entry, generation, times, payload, Buffer.byteLength(payload), 0)
  }

  /** @returns the size of slot to give to a record that needs a file of its own */
  capacityFor (entry: KeptRecord, times: Uint8Array): number {
    const bytes = Buffer.byteLength(entry.payload)
    const length = this.#putHeading(entry, times, bytes) + bytes
    return Math.max(MIN_CAPACITY, 2 ** Math.ceil(Math.log2(length * HEADROOM)))
  }

  #fillWith (entry: Entry, generation: number, times: Uint8Array, payload: string, bytes: number, spare: number): boolean {
    const slot = this.#slot
    const payloadFrom = this.#putHeading(entry, times, entry.payload === undefined ? undefined : bytes)
    const end = payloadFrom + bytes
    if (end + spare > slot.length) return false
    const usedTo = this.#usedTo
    this.#usedTo = Math.max(usedTo, slot.length)
    if (slot.write(payload, payloadFrom) !== bytes) return false
    if (end < usedTo) this.#memory.fill(LINE_FEED, end, usedTo)
    this.#usedTo = end
    putGeneration(slot, generation)
    putChecksum(slot, crc32(this.#checkedTo(end)))
    return true
  }

  /**
   * @param bytes of the payload; undefined for a tombstone
   * @returns where the payload begins
   */
  #putHeading (entry: Entry, times: Uint8Array, bytes: number | undefined): number {
    const memory = this.#memory
    let at = put(memory, FACTS_FROM, VERSION)
    at = putNumber(memory, at, entry.version)
    at = put(memory, at, times)
    at = put(memory, at, BYTES)
    at = bytes === undefined ? put(memory, at, NULL) : putNumber(memory, at, bytes)
    const facts = factsIn(entry)
    if (facts !== undefined) at = put(memory, at, facts)
    at = put(memory, at, END)
    this.#usedTo = Math.max(this.#usedTo, at)
    return at
  }

  /** What checksums cover. To make such a view costs as much as the checksum. */
  #checkedTo (end: number): Buffer {
    const index = end % MOST_VIEWS
    const known = this.#checked[index]
    if (known?.length === end - CHECKED_FROM) return known
    const view = this.#memory.subarray(CHECKED_FROM, end)
    this.#checked[index] = view
    return view
  }
}

const shared = new SlotWriter(SHARED)

/** @returns who makes a slot of so many bytes. It may be the one who made the last one. */
export function slotWriterFor (capacity: number): SlotWriter {
  return capacity <= SHARED ? shared : new SlotWriter(capacity)
}

/**
 * Whether there is room for an entry, to all appearances: {@link SlotWriter.fill} has the last word. What it could be wrong about
 * are characters of a user's id or a browser's name that take more room in the heading than one byte.
 */
export function seemsToFit ({ payload = '', userId, ipAddress, userAgent }: Entry, capacity: number): boolean {
  const facts = userId === undefined ? 0 : LONGEST_NAMES + userId.length + (ipAddress?.length ?? 0) + (userAgent?.length ?? 0)
  return LONGEST_HEADING + facts + Buffer.byteLength(payload) <= capacity
}

/** What the heading of an entry says of times, to be given to {@link SlotWriter.fill} again as long as they are the same. */
export function timesOf ({ createdAt, expiresAt }: Entry): Uint8Array {
  return bytesOf(`,"createdAt":${createdAt.getTime()},"expiresAt":${expiresAt.getTime()}`)
}

/** What follows the members that every heading has. All of it in ASCII, so that it has as many bytes as characters. */
function factsIn ({ userId, ipAddress, userAgent, lastActivity }: Entry): Uint8Array | undefined {
  const facts = factsOf({ userId, ipAddress, userAgent, lastActivity: lastActivity?.getTime() })
  if (facts === undefined) return undefined
  return bytesOf(`,${JSON.stringify(facts).slice(1, -1)}`.replace(/[\u007f-\uffff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`))
}

/** @param text of ASCII. What it says has memory of its own, and not a part of what many share. */
function bytesOf (text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'latin1'))
}

/** @returns where what follows begins */
function put (memory: Buffer, at: number, bytes: Uint8Array): number {
  memory.set(bytes, at)
  return at + bytes.length
}

/** @returns where what follows the number begins */
function putNumber (memory: Buffer, at: number, number: number): number {
  let end = at + 1
  for (let rest = number; rest >= 10; rest = Math.floor(rest / 10)) end++
  putDigits(memory, at, end, number)
  return end
}

function putGeneration (slot: Buffer, generation: number): void {
  putDigits(slot, CHECKED_FROM, CHECKED_FROM + GENERATION_LENGTH, generation)
  slot[CHECKED_FROM + GENERATION_LENGTH] = SPACE
}

/** With as many zeros in front as there is room for. */
function putDigits (memory: Buffer, from: number, end: number, number: number): void {
  let at = end - 1
  for (let rest = number; rest > 0; rest = Math.floor(rest / 10)) memory[at--] = DIGIT_ZERO + rest % 10
  while (at >= from) memory[at--] = DIGIT_ZERO
}

function putChecksum (slot: Buffer, checksum: number): void {
  let rest = checksum
  for (let at = CHECKSUM_LENGTH - 1; at >= 0; at--) {
    slot[at] = HEX_DIGITS[rest & 15] as number
    rest >>>= 4
  }
  slot[CHECKSUM_LENGTH] = SPACE
}
