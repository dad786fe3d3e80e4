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
import { factsOf } from '../facts.ts'
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
  /** What its heading says of times, if this process has written it: it is mostly what the next one says as well. */
  readonly times: string | undefined

  constructor (entry: Entry, generation: number, index: 0 | 1, hasUnfinishedNext: boolean, times?: string) {
    this.entry = entry
    this.generation = generation
    this.index = index
    this.hasUnfinishedNext = hasUnfinishedNext
    this.times = times
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

const LINE_FEED = 10
const SPACE = 32
const DIGIT_ZERO = 48
const HEX_DIGITS = Buffer.from('0123456789abcdef')
const CHECKSUM_LENGTH = 8
/** The slot's content from here on is covered by the checksum. */
const CHECKED_FROM = CHECKSUM_LENGTH + 1
const GENERATION_LENGTH = 12
const FACTS_FROM = CHECKED_FROM + GENERATION_LENGTH + 1
/** As long as these first bytes of a slot are the same, so is its content: checksum and generation, and what makes whole words of them. */
export const STAMP_LENGTH = 24
/** As many lengths that differ in their last bits are remembered at most. */
const MOST_VIEWS = 64
const MIN_CAPACITY = 512
/** In bytes. */
const LONGEST_CHARACTER = 4
/** A slot is made this much larger than its first content, so that most sessions never have to move. */
const HEADROOM = 1.25

/**
 * Fills a slot.
 *
 * @param times what {@link timesOf} says of the entry
 * @returns whether it has room for the entry; if not, what is in it does not count
 */
export function fillSlot (slot: Buffer, entry: Entry, generation: number, times: string): boolean {
  const { payload } = entry
  if (payload === undefined) return fill(slot, headingOf(entry, times, null), '', 0, generation)
  // Where all characters are ASCII there are as many bytes, which need not be counted beforehand. Where they are not, what is
  // written is longer than that, even if it is cut off: as long as there is room for one character more.
  return fillWith(slot, entry, generation, times, payload, payload.length, LONGEST_CHARACTER) ||
    fillWith(slot, entry, generation, times, payload, Buffer.byteLength(payload), 0)
}

function fillWith (slot: Buffer, entry: Entry, generation: number, times: string, payload: string, bytes: number, spare: number): boolean {
  const heading = headingOf(entry, times, bytes)
  return FACTS_FROM + heading.length + bytes + spare <= slot.length && fill(slot, heading, payload, bytes, generation)
}

function fill (slot: Buffer, heading: string, payload: string, bytes: number, generation: number): boolean {
  const payloadFrom = FACTS_FROM + heading.length
  slot.write(heading, FACTS_FROM, 'latin1')
  if (slot.write(payload, payloadFrom) !== bytes) return false
  const end = payloadFrom + bytes
  slot.fill(LINE_FEED, end)
  writeGeneration(slot, generation)
  writeChecksum(slot, crc32(views.get(slot, end)))
  return true
}

/** What checksums cover of the memory in which slots are made. To make such a view costs as much as the checksum. */
class CheckedViews {
  #slot: Buffer | undefined
  #views: Buffer[] = []

  get (slot: Buffer, end: number): Buffer {
    if (slot !== this.#slot) {
      this.#slot = slot
      this.#views = []
    }
    const index = end % MOST_VIEWS
    const known = this.#views[index]
    if (known?.length === end - CHECKED_FROM) return known
    const view = slot.subarray(CHECKED_FROM, end)
    this.#views[index] = view
    return view
  }
}

const views = new CheckedViews()

function headingOf (entry: Entry, times: string, bytes: number | null): string {
  return `{"format":1,"version":${entry.version},${times},"bytes":${bytes}${factsIn(entry)}}\n`
}

/**
 * What the heading of an entry says of times.
 *
 * @param before what was in the file before
 */
export function timesOf ({ createdAt, expiresAt }: Entry, before: Slot | undefined): string {
  const isSame = before !== undefined && before.entry.createdAt === createdAt && before.entry.expiresAt === expiresAt
  return (isSame ? before.times : undefined) ?? `"createdAt":${createdAt.getTime()},"expiresAt":${expiresAt.getTime()}`
}

// By hand, because V8 makes texts of other numbers than small decimal ones slowly, and pads them slowly.

function writeGeneration (slot: Buffer, generation: number): void {
  let rest = generation
  let at = CHECKED_FROM + GENERATION_LENGTH - 1
  for (; rest > 0; at--) {
    slot[at] = DIGIT_ZERO + rest % 10
    rest = Math.floor(rest / 10)
  }
  for (; at >= CHECKED_FROM; at--) slot[at] = DIGIT_ZERO
  slot[CHECKED_FROM + GENERATION_LENGTH] = SPACE
}

function writeChecksum (slot: Buffer, checksum: number): void {
  let rest = checksum
  for (let at = CHECKSUM_LENGTH - 1; at >= 0; at--) {
    slot[at] = HEX_DIGITS[rest & 15] as number
    rest >>>= 4
  }
  slot[CHECKSUM_LENGTH] = SPACE
}

/** @returns the size of slot to give to a record that needs a file of its own */
export function capacityFor (entry: KeptRecord, times: string): number {
  const bytes = Buffer.byteLength(entry.payload)
  const length = FACTS_FROM + headingOf(entry, times, bytes).length + bytes
  return Math.max(MIN_CAPACITY, 2 ** Math.ceil(Math.log2(length * HEADROOM)))
}

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

/** What follows the members that every heading has. All of it in ASCII, so that it has as many bytes as characters. */
function factsIn ({ userId, ipAddress, userAgent, lastActivity }: Entry): string {
  const facts = factsOf({ userId, ipAddress, userAgent, lastActivity: lastActivity?.getTime() })
  if (facts === undefined) return ''
  return `,${JSON.stringify(facts).slice(1, -1)}`.replace(/[\u007f-\uffff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
