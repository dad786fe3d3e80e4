/**
 * A session as one text:
 *
 * ```
 * VERSION EXPIRES LISTED STAMPS the user's id as JSON, or nothing
 * CREATED LAST-ACTIVITY
 * address and user agent as JSON, or nothing
 * the payload
 * ```
 *
 * and a tombstone as one line: `REASON SINCE STAMP`; where there is to be none, `- STAMP`, which is nothing to readers. Times are
 * milliseconds since 1970; `-` stands for none. LISTED is until when the list of the user is sure to have the session. All up to the
 * user has its place, for the scripts.
 */
import type { EndReason, NewRecord, StoredRecord, Tombstone, Version } from '../store.ts'

/** Length of a stamp. One is compared only with that of the version that its call would have written, so that it may be short. */
export const STAMP_LENGTH = 10
/** Versions whose stamps a record has. */
export const REMEMBERED = 8

/** Where a part of the text is, counted from 1 as Lua does. */
interface Place {
  readonly first: number
  readonly last: number
  readonly length: number
}

const VERSION_DIGITS = 10
const TIME_DIGITS = 13
export const VERSION = placeAt(1, VERSION_DIGITS)
export const ENDS = placeAfter(VERSION, TIME_DIGITS)
export const LISTED = placeAfter(ENDS, TIME_DIGITS)
export const STAMPS = placeAfter(LISTED, REMEMBERED * STAMP_LENGTH)
export const USER = { first: STAMPS.last + 2 }

function placeAt (first: number, length: number): Place {
  return { first, length, last: first + length - 1 }
}

/** There is a space in between. */
function placeAfter ({ last }: Place, length: number): Place {
  return placeAt(last + 2, length)
}

/** The version that is expected of what is to be created. */
export const FIRST = versionText(0)
/** A time before all others. */
export const NEVER = timeText(0)

export function versionText (version: number): string {
  return String(version).padStart(VERSION_DIGITS, '0')
}

export function timeText (milliseconds: number): string {
  return String(milliseconds).padStart(TIME_DIGITS, '0')
}

/** The end of a key: it lives through the millisecond that is its end, and a session does not. */
export function keyEnd (expiresAt: Date): string {
  return String(expiresAt.getTime() - 1)
}

const NONE = '-'
/** What stands in the place of a tombstone where there is to be none. */
export const NO_TOMBSTONE = NONE

export function activityOf (lastActivity: Date | undefined): string {
  return lastActivity === undefined ? NONE : String(lastActivity.getTime())
}

export function userLine (userId: string | undefined): string {
  return userId === undefined ? '\n' : `${JSON.stringify(userId)}\n`
}

/** @param line of a session that has a user */
export function userOf (line: string): string {
  return JSON.parse(line) as string
}

/** What is below the user's line. */
export function restOf ({ payload, createdAt, lastActivity, ipAddress, userAgent }: NewRecord): string {
  const origin = ipAddress === undefined && userAgent === undefined ? '' : JSON.stringify([ipAddress ?? null, userAgent ?? null])
  return `${createdAt.getTime()} ${activityOf(lastActivity)}\n${origin}\n${payload}`
}

const HEAD = new RegExp(`^\\d{${VERSION.length}} \\d{${ENDS.length}} \\d{${LISTED.length}} \\S{${STAMPS.length}} `)
const TIMES = /^(\d+) (\d+|-)$/
const TOMBSTONE = /^(ended|regenerated|replaced) (\d+) \S+$/

/**
 * @param text of which only the payload may be cut off
 * @returns undefined when it is none that this store has written
 */
export function entryIn (text: string): StoredRecord | Tombstone | undefined {
  if (!HEAD.test(text)) return tombstoneIn(text)
  const user = text.indexOf('\n')
  const line = text.slice(USER.first - 1, user)
  const times = text.indexOf('\n', user + 1)
  const origin = text.indexOf('\n', times + 1)
  const [, createdAt, lastActivity] = TIMES.exec(text.slice(user + 1, times)) ?? []
  if (createdAt === undefined || origin <= times) return undefined
  const [ipAddress, userAgent] = origin === times + 1 ? [] : JSON.parse(text.slice(times + 1, origin)) as (string | null)[]
  return {
    version: Number(text.slice(0, VERSION.last)) as Version,
    createdAt: new Date(Number(createdAt)),
    expiresAt: new Date(Number(text.slice(ENDS.first - 1, ENDS.last))),
    payload: text.slice(origin + 1),
    userId: line === '' ? undefined : userOf(line),
    ipAddress: ipAddress ?? undefined,
    userAgent: userAgent ?? undefined,
    lastActivity: lastActivity === NONE ? undefined : new Date(Number(lastActivity))
  }
}

function tombstoneIn (text: string): Tombstone | undefined {
  const [, reason, since] = TOMBSTONE.exec(text) ?? []
  return reason === undefined ? undefined : { reason: reason as EndReason, since: new Date(Number(since)) }
}
