/**
 * A session's file: two slots of equal size, each able to hold a whole generation of the session. A commit overwrites the
 * slot that is not current; whoever reads takes the newest slot whose checksum is right. So a reader at the same moment,
 * or a crash in the middle, finds the generation before, and a commit costs one write into blocks that are already there.
 *
 * A slot is readable text: a checksum and the facts on the first line, the payload below, line feeds up to the slot's end.
 *
 * ```
 * 3f2a9c01 {"format":1,"generation":7,"version":6,"createdAt":1764000000000,"expiresAt":1764007200000,"bytes":27}
 * {"data":{"userId":"ada"}}
 * ```
 */
import { crc32 } from 'node:zlib'

/** A living session, or (without payload) the tombstone of one that was ended. */
export interface Entry {
  readonly version: number
  /** Milliseconds since 1970, as are all times here. */
  readonly createdAt: number
  readonly expiresAt: number
  readonly payload: string | undefined
}

/** An entry and where in the file it stands. */
export interface Slot {
  readonly entry: Entry
  readonly generation: number
  readonly index: 0 | 1
  /** Bytes that a slot of this file holds. */
  readonly capacity: number
}

/** The first line of a slot. */
interface Facts {
  readonly format: 1
  readonly generation: number
  readonly version: number
  readonly createdAt: number
  readonly expiresAt: number
  /** Length of the payload, or null for a tombstone. */
  readonly bytes: number | null
}

/** A slot's first line, and where in the slot the payload begins. */
interface Heading {
  readonly facts: Facts
  readonly payloadStart: number
}

const LINE_FEED = 10
const CHECKSUM_LENGTH = 8
/** The slot's content from here on is covered by the checksum. */
const CHECKED_FROM = CHECKSUM_LENGTH + 1
const MIN_CAPACITY = 512
/** A slot is made this much larger than its first content, so that most sessions never have to move. */
const HEADROOM = 1.25

/** The content of a slot, of which only the size is known so far to whoever has to find room for it. */
export interface Content {
  readonly length: number
  /** @returns the content, filled up with line feeds to a number of bytes */
  fill (size: number): Buffer
}

export function encodeEntry ({ version, createdAt, expiresAt, payload }: Entry, generation: number): Content {
  const bytes = payload === undefined ? null : Buffer.byteLength(payload)
  const facts: Facts = { format: 1, generation, version, createdAt, expiresAt, bytes }
  const line = JSON.stringify(facts)
  const payloadStart = CHECKED_FROM + line.length + 1
  const length = payloadStart + (bytes ?? 0)
  return {
    length,
    fill (size) {
      const slot = Buffer.allocUnsafe(size)
      slot.write(line, CHECKED_FROM, 'latin1')
      slot[payloadStart - 1] = LINE_FEED
      if (payload !== undefined) slot.write(payload, payloadStart)
      const checksum = crc32(slot.subarray(CHECKED_FROM, length))
      slot.write(`${checksum.toString(16).padStart(CHECKSUM_LENGTH, '0')} `, 'latin1')
      return slot.fill(LINE_FEED, length)
    }
  }
}

/** @returns the size of slot to give to content that needs a file of its own */
export function capacityFor ({ length }: Content): number {
  return Math.max(MIN_CAPACITY, 2 ** Math.ceil(Math.log2(length * HEADROOM)))
}

/** @returns the current slot of a file, or `undefined` when neither of the two is whole */
export function decodeFile (file: Buffer): Slot | undefined {
  const capacity = file.length / 2
  const slots = [file.subarray(0, capacity), file.subarray(capacity)] as const
  const [first, second] = [readHeading(slots[0]), readHeading(slots[1])]
  return generationOf(first) > generationOf(second)
    ? decodeSlot(slots[0], first, 0) ?? decodeSlot(slots[1], second, 1)
    : decodeSlot(slots[1], second, 1) ?? decodeSlot(slots[0], first, 0)
}

function generationOf (heading: Heading | undefined): number {
  return heading?.facts.generation ?? 0
}

function readHeading (slot: Buffer): Heading | undefined {
  const end = slot.indexOf(LINE_FEED)
  if (end <= CHECKED_FROM) return undefined
  try {
    // The checksum vouches for what the facts say; all there is to see before that is whether they are of this format.
    const facts = JSON.parse(slot.toString('latin1', CHECKED_FROM, end)) as Facts
    return facts.format === 1 ? { facts, payloadStart: end + 1 } : undefined
  } catch {
    return undefined
  }
}

function decodeSlot (slot: Buffer, heading: Heading | undefined, index: 0 | 1): Slot | undefined {
  if (heading === undefined) return undefined
  const { facts: { generation, version, createdAt, expiresAt, bytes }, payloadStart } = heading
  const length = payloadStart + (bytes ?? 0)
  const checksum = Number.parseInt(slot.toString('latin1', 0, CHECKSUM_LENGTH), 16)
  if (length > slot.length || crc32(slot.subarray(CHECKED_FROM, length)) !== checksum) return undefined
  const payload = bytes === null ? undefined : slot.toString('utf8', payloadStart, length)
  return { entry: { version, createdAt, expiresAt, payload }, generation, index, capacity: slot.length }
}
