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

interface Facts {
  readonly format: 1
  readonly generation: number
  readonly version: number
  readonly createdAt: number
  readonly expiresAt: number
  /** Length of the payload, or null for a tombstone. */
  readonly bytes: number | null
}

const LINE_FEED = 10
const CHECKSUM_LENGTH = 8
/** The slot's content from here on is covered by the checksum. */
const CHECKED_FROM = CHECKSUM_LENGTH + 1
const MIN_CAPACITY = 512
/** A slot is made this much larger than its first content, so that most sessions never have to move. */
const HEADROOM = 1.25

/** @returns the bytes of one slot, without padding */
export function encodeEntry ({ version, createdAt, expiresAt, payload }: Entry, generation: number): Buffer {
  const body = Buffer.from(payload ?? '')
  const facts: Facts = { format: 1, generation, version, createdAt, expiresAt, bytes: payload === undefined ? null : body.length }
  const checked = Buffer.concat([Buffer.from(`${JSON.stringify(facts)}\n`), body])
  const checksum = crc32(checked).toString(16).padStart(CHECKSUM_LENGTH, '0')
  return Buffer.concat([Buffer.from(`${checksum} `), checked])
}

/** @returns the size of slot to give to content that needs a file of its own */
export function capacityFor (content: Buffer): number {
  return Math.max(MIN_CAPACITY, 2 ** Math.ceil(Math.log2(content.length * HEADROOM)))
}

/** @returns content filled up to the size of a slot, or of a file of two slots */
export function pad (content: Buffer, size: number): Buffer {
  return Buffer.concat([content, Buffer.alloc(size - content.length, LINE_FEED)])
}

/** @returns the current slot of a file, or `undefined` when neither of the two is whole */
export function decodeFile (file: Buffer): Slot | undefined {
  const capacity = file.length / 2
  const first = decodeSlot(file.subarray(0, capacity), 0)
  const second = decodeSlot(file.subarray(capacity), 1)
  if (first === undefined || second === undefined) return first ?? second
  return first.generation > second.generation ? first : second
}

function decodeSlot (slot: Buffer, index: 0 | 1): Slot | undefined {
  const end = slot.indexOf(LINE_FEED)
  if (end <= CHECKED_FROM) return undefined
  const facts = factsIn(slot.toString('latin1', CHECKED_FROM, end))
  if (facts === undefined) return undefined
  const { generation, version, createdAt, expiresAt, bytes } = facts
  const payloadEnd = end + 1 + (bytes ?? 0)
  const checksum = Number.parseInt(slot.toString('latin1', 0, CHECKSUM_LENGTH), 16)
  if (payloadEnd > slot.length || crc32(slot.subarray(CHECKED_FROM, payloadEnd)) !== checksum) return undefined
  const payload = bytes === null ? undefined : slot.toString('utf8', end + 1, payloadEnd)
  return { entry: { version, createdAt, expiresAt, payload }, generation, index, capacity: slot.length }
}

/** The checksum vouches for what the facts say; all there is to see here is whether they are of this format. */
function factsIn (line: string): Facts | undefined {
  try {
    const facts = JSON.parse(line) as Facts
    return facts.format === 1 ? facts : undefined
  } catch {
    return undefined
  }
}
