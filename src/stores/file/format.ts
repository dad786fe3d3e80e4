/**
 * A session's file: two slots of equal size, each able to hold a whole generation of the session. A commit overwrites the
 * slot that is not current; whoever reads takes the newest slot whose checksum is right. So a reader at the same moment,
 * or a crash in the middle, finds the generation before, and a commit costs one write into blocks that are already there.
 *
 * A slot is readable text: a checksum, the number of the generation and the facts on the first line, the payload below, line
 * feeds up to the slot's end.
 *
 * ```
 * 3f2a9c01 000000000007 {"format":1,"version":6,"createdAt":1764000000000,"expiresAt":1764007200000,"bytes":27}
 * {"data":{"userId":"ada"}}
 * ```
 *
 * A session that has a user says so on the first line as well, behind the rest.
 */
import { crc32 } from 'node:zlib'
import type { Facts } from '../facts.ts'
import { KeptRecord } from '../kept-record.ts'
import type { Version } from '../store.ts'

/** What is left of a session that was ended. */
export interface Tombstone {
  readonly payload: undefined
  readonly version: Version
  readonly createdAt: Date
  readonly expiresAt: Date
  /** Whose it was is kept, for the one who sweeps it away: that is when it leaves the index. */
  readonly userId: string | undefined
  readonly ipAddress?: undefined
  readonly userAgent?: undefined
  readonly lastActivity?: undefined
}

/** What is in a slot. */
export type Entry = KeptRecord | Tombstone

/** An entry and where in the file it stands. */
export class Slot {
  readonly entry: Entry
  readonly generation: number
  readonly index: 0 | 1
  /** Whether the other slot begins like a later one that is not whole: somebody is writing it, or has died while doing so. */
  readonly hasUnfinishedNext: boolean

  constructor (entry: Entry, generation: number, index: 0 | 1, hasUnfinishedNext: boolean) {
    this.entry = entry
    this.generation = generation
    this.index = index
    this.hasUnfinishedNext = hasUnfinishedNext
  }
}

/** What the first line says after the generation. Times are milliseconds since 1970. */
interface Heading extends Facts<number> {
  readonly format: 1
  readonly version: Version
  readonly createdAt: number
  readonly expiresAt: number
  /** Length of the payload, or null for a tombstone. */
  readonly bytes: number | null
}

export const LINE_FEED = 10
/** Bytes that are compared at once where it is asked whether a slot is the same. */
export const WORD = 4
export const CHECKSUM_LENGTH = 8
/** The slot's content from here on is covered by the checksum. */
export const CHECKED_FROM = CHECKSUM_LENGTH + 1
export const GENERATION_LENGTH = 12
export const FACTS_FROM = CHECKED_FROM + GENERATION_LENGTH + 1
/** As long as these first bytes of a slot are the same, so is its content: checksum and generation, and what makes whole words of them. */
export const STAMP_LENGTH = 24

/** @returns the current slot of a file, or `undefined` when neither of the two is whole */
export function decodeFile (file: Buffer): Slot | undefined {
  const capacity = Math.floor(file.length / 2)
  const slots = [file.subarray(0, capacity), file.subarray(capacity)] as const
  const generations = [generationOf(slots[0]), generationOf(slots[1])] as const
  const newest = generations[0] > generations[1] ? 0 : 1
  const other = newest === 0 ? 1 : 0
  return decodeSlot(slots[newest], generations[newest], newest, false) ?? decodeSlot(slots[other], generations[other], other, true)
}

/** What the slot says its generation is; 0 when it says nothing of the kind. */
function generationOf (slot: Buffer): number {
  const generation = Number(slot.toString('latin1', CHECKED_FROM, CHECKED_FROM + GENERATION_LENGTH))
  return Number.isInteger(generation) ? generation : 0
}

function decodeSlot (slot: Buffer, generation: number, index: 0 | 1, hasUnfinishedNext: boolean): Slot | undefined {
  const read = generation > 0 ? readHeading(slot) : undefined
  if (read === undefined) return undefined
  const { heading, payloadFrom } = read
  const { bytes } = heading
  const length = payloadFrom + (bytes ?? 0)
  const checksum = Number.parseInt(slot.toString('latin1', 0, CHECKSUM_LENGTH), 16)
  if (length > slot.length || crc32(slot.subarray(CHECKED_FROM, length)) !== checksum) return undefined
  const payload = bytes === null ? undefined : slot.toString('utf8', payloadFrom, length)
  return new Slot(entryOf(heading, payload), generation, index, hasUnfinishedNext)
}

function entryOf (heading: Heading, payload: string | undefined): Entry {
  const { version, userId, ipAddress, userAgent } = heading
  const createdAt = new Date(heading.createdAt)
  const expiresAt = new Date(heading.expiresAt)
  if (payload === undefined) return { payload, version, createdAt, expiresAt, userId }
  const lastActivity = heading.lastActivity === undefined ? undefined : new Date(heading.lastActivity)
  return new KeptRecord({ payload, createdAt, expiresAt, userId, ipAddress, userAgent, lastActivity }, version)
}

function readHeading (slot: Buffer): { heading: Heading, payloadFrom: number } | undefined {
  const end = slot.indexOf(LINE_FEED, FACTS_FROM)
  if (end === -1) return undefined
  try {
    // The checksum vouches for what the heading says.
    const heading = JSON.parse(slot.toString('latin1', FACTS_FROM, end)) as Heading | null
    return heading?.format === 1 ? { heading, payloadFrom: end + 1 } : undefined
  } catch {
    return undefined
  }
}
