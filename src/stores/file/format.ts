/**
 * A session's file: two slots of equal size, each able to hold a whole generation of the session. A commit overwrites the
 * older one; a reader takes the newest whose checksum is right. So a reader at the same moment, or a crash in the middle,
 * finds the generation before, and a commit is one write into blocks that the file has already.
 *
 * ```
 *  slot 0                                  slot 1
 * | echo | body …          free |  head  ||  head  | body …          free | echo |
 *   16     capacity - 80           64         64      capacity - 80         16
 * ```
 *
 * The heads of both slots lie side by side, so that one small read shows whether anything in the file has changed. A head
 * has the checksum, the generation, the times and the lengths; the body is the payload and, behind it, what is known of the
 * user as JSON. The echo repeats checksum and generation at the other end of the slot: where both differ from the head's, the
 * slot was being written when its process died, and its commit was never acknowledged. Any other slot whose checksum is
 * wrong was damaged later.
 */
import { crc32 } from 'node:zlib'
import { isRecord, type StoredRecord, type Tombstone, type Version } from '../store.ts'

/** A tombstone, and what is needed to sweep it away. */
export interface KeptTombstone extends Tombstone {
  readonly version: Version
  readonly expiresAt: Date
  /** Whose session it was: it leaves the index of users when its file is swept away. */
  readonly userId: string | undefined
}

export type Entry = StoredRecord | KeptTombstone

/** What is kept of the user behind the payload. */
type Facts = Pick<StoredRecord, 'userId' | 'ipAddress' | 'userAgent'>

/** What a file says. */
export interface Content {
  /** The newest generation that is whole; undefined when there is none. */
  readonly entry: Entry | undefined
  readonly generation: number
  readonly index: 0 | 1
  /** Whether the other slot claims to be newer and is not whole: its version may have been seen, and is not to be given out again. */
  readonly isUncertain: boolean
  /** Whether something that was written whole is not whole any more. */
  readonly isDamaged: boolean
}

export const HEAD = 64
/** How often a file is read of which neither slot is whole: another process may have been halfway through its second write meanwhile. */
export const READ_ATTEMPTS = 3
const ECHO = 16
/** Checksum and generation, as a head begins and an echo repeats them. */
const STAMP = 16
const MIN_CAPACITY = 512
/** A slot is made this much larger than its first content, so that most sessions never need a larger file. */
const HEADROOM = 1.25

const FORMAT = 1
const KINDS = ['record', 'ended', 'regenerated', 'replaced'] as const
// Where in a head its fields are. What is checked begins behind the checksum.
const CHECKED = 4
const KIND = 5
const GENERATION = 8
const VERSION = 16
const CREATED_AT = 24
const EXPIRES_AT = 32
const LAST_ACTIVITY = 40
const PAYLOAD_BYTES = 48
const FACTS_BYTES = 52

/** @returns the capacity of a slot that is made for such a body */
export function capacityFor ({ payloadBytes, factsBytes }: Body): number {
  return Math.max(MIN_CAPACITY, 2 ** Math.ceil(Math.log2((payloadBytes + factsBytes + HEAD + ECHO) * HEADROOM)))
}

/** What an entry is written as. */
export interface Body {
  readonly payload: string
  readonly payloadBytes: number
  readonly facts: string
  readonly factsBytes: number
}

export function bodyOf (entry: Entry): Body {
  const payload = isRecord(entry) ? entry.payload : ''
  const { userId, ipAddress, userAgent }: Facts = entry
  const known = JSON.stringify({ userId, ipAddress, userAgent })
  const facts = known === '{}' ? '' : known
  return { payload, payloadBytes: Buffer.byteLength(payload), facts, factsBytes: Buffer.byteLength(facts) }
}

export function fits ({ payloadBytes, factsBytes }: Body, capacity: number): boolean {
  return payloadBytes + factsBytes + HEAD + ECHO <= capacity
}

/** Writes a slot into the first `capacity` bytes of the memory given. The body must fit. */
export function encodeSlot (memory: Buffer, capacity: number, index: 0 | 1, generation: number, entry: Entry, body: Body): void {
  const { head, bodyAt, echo } = placesIn(capacity, index)
  const { payload, payloadBytes, facts, factsBytes } = body
  memory.fill(0, head, head + HEAD)
  memory.write(payload, bodyAt, payloadBytes)
  memory.write(facts, bodyAt + payloadBytes, factsBytes)
  const end = bodyAt + payloadBytes + factsBytes
  // Nothing of another session, nor of an earlier and longer generation, is left behind it.
  memory.fill(0, end, index === 0 ? head : capacity)
  memory[head + CHECKED] = FORMAT
  memory[head + KIND] = isRecord(entry) ? 0 : KINDS.indexOf(entry.reason)
  memory.writeDoubleLE(generation, head + GENERATION)
  memory.writeDoubleLE(entry.version, head + VERSION)
  memory.writeDoubleLE((isRecord(entry) ? entry.createdAt : entry.since).getTime(), head + CREATED_AT)
  memory.writeDoubleLE(entry.expiresAt.getTime(), head + EXPIRES_AT)
  memory.writeDoubleLE((isRecord(entry) ? entry.lastActivity?.getTime() : undefined) ?? NaN, head + LAST_ACTIVITY)
  memory.writeUInt32LE(payloadBytes, head + PAYLOAD_BYTES)
  memory.writeUInt32LE(factsBytes, head + FACTS_BYTES)
  memory.writeUInt32LE(checksumOf(memory, head, bodyAt, end), head)
  memory.copy(memory, echo, head, head + STAMP)
}

/** @returns what is in a file; undefined when nothing was ever written into it, or it has been wiped */
export function decodeFile (file: Buffer): Content | undefined {
  const capacity = Math.floor(file.length / 2)
  if (capacity < HEAD + ECHO) return isBlank(file) ? undefined : NOTHING_WHOLE
  const slots = [decodeSlot(file.subarray(0, capacity), 0), decodeSlot(file.subarray(capacity, 2 * capacity), 1)] as const
  const index = slots[1].entry !== undefined && (slots[0].entry === undefined || slots[1].generation > slots[0].generation) ? 1 : 0
  const [{ entry, generation }, other] = [slots[index], slots[index === 0 ? 1 : 0]]
  if (entry === undefined) return slots.every(({ isBlank }) => isBlank) ? undefined : NOTHING_WHOLE
  const isUncertain = other.entry === undefined && other.claim > generation
  return { entry: entry(), generation, index, isUncertain, isDamaged: isUncertain && !other.isTorn }
}

/** What a file says of which neither slot is whole. */
const NOTHING_WHOLE: Content = { entry: undefined, generation: 0, index: 1, isUncertain: true, isDamaged: true }

interface Slot {
  /** Decodes the entry; undefined when the slot is not whole. */
  readonly entry: (() => Entry) | undefined
  readonly generation: number
  /** The latest generation that it may have been. */
  readonly claim: number
  readonly isBlank: boolean
  readonly isTorn: boolean
}

function decodeSlot (slot: Buffer, index: 0 | 1): Slot {
  const { head, bodyAt, echo } = placesIn(slot.length, index)
  const [generation, echoed] = [slot.readDoubleLE(head + GENERATION), slot.readDoubleLE(echo + GENERATION)]
  const claim = Math.max(generation, echoed)
  return {
    entry: decodeEntry(slot, head, bodyAt),
    generation,
    // What is no number may have been any.
    claim: Number.isNaN(claim) ? Infinity : claim,
    isBlank: isBlank(slot.subarray(head, head + HEAD)) && isBlank(slot.subarray(echo, echo + ECHO)),
    isTorn: slot.readUInt32LE(head) !== slot.readUInt32LE(echo) && generation !== echoed
  }
}

function decodeEntry (slot: Buffer, head: number, bodyAt: number): (() => Entry) | undefined {
  const [payloadBytes, factsBytes] = [slot.readUInt32LE(head + PAYLOAD_BYTES), slot.readUInt32LE(head + FACTS_BYTES)]
  const end = bodyAt + payloadBytes + factsBytes
  const kind = KINDS[slot[head + KIND] as number]
  if (slot[head + CHECKED] !== FORMAT || kind === undefined || payloadBytes + factsBytes + HEAD + ECHO > slot.length) return undefined
  if (checksumOf(slot, head, bodyAt, end) !== slot.readUInt32LE(head)) return undefined
  // From here on the checksum vouches for what is read.
  return () => {
    const { userId, ipAddress, userAgent } = (factsBytes === 0 ? {} : JSON.parse(slot.toString('utf8', bodyAt + payloadBytes, end))) as Facts
    const version = slot.readDoubleLE(head + VERSION) as Version
    const createdAt = new Date(slot.readDoubleLE(head + CREATED_AT))
    const expiresAt = new Date(slot.readDoubleLE(head + EXPIRES_AT))
    if (kind !== 'record') return { reason: kind, since: createdAt, version, expiresAt, userId }
    const payload = slot.toString('utf8', bodyAt, bodyAt + payloadBytes)
    const activity = slot.readDoubleLE(head + LAST_ACTIVITY)
    const lastActivity = Number.isNaN(activity) ? undefined : new Date(activity)
    return { payload, version, createdAt, expiresAt, userId, ipAddress, userAgent, lastActivity }
  }
}

function placesIn (capacity: number, index: 0 | 1): { head: number, bodyAt: number, echo: number } {
  return index === 0 ? { head: capacity - HEAD, bodyAt: ECHO, echo: 0 } : { head: 0, bodyAt: HEAD, echo: capacity - ECHO }
}

function checksumOf (slot: Buffer, head: number, bodyAt: number, end: number): number {
  return crc32(slot.subarray(bodyAt, end), crc32(slot.subarray(head + CHECKED, head + HEAD)))
}

function isBlank (bytes: Buffer): boolean {
  return bytes.every(byte => byte === 0)
}
