/**
 * What has to be atomic, as scripts that the server runs. Redis keeps a script under its SHA-1 until it is restarted or
 * told to forget it, so that it is sent in full only where it is not known. What the values look like is in record.ts.
 *
 * Whether a session has expired is the server's decision alone: its key has a time to live, and what has expired is not
 * there. A key lives through the millisecond that is its end, and a session does not: hence the ends of keys one earlier.
 *
 * A server whose memory is full refuses a script's first command that needs more of it, and none after the first that has
 * written. So a commit begins with a command that needs memory, and is refused as a whole; moving an expiry or ending a session
 * begins with one that needs none, and is done even then.
 *
 * A server also refuses what its user has no right to, and what does not suit the type of a list. It undoes nothing of a script
 * that ends so. So the commands that put a session on its lists come before those that write it: a list may name too many.
 *
 * A client may send a command again when it has lost its connection before the answer. So every commit leaves a stamp, which
 * names its call: a record has those of its latest versions, the newest first, and a repeated call gets its first answer again
 * instead of a conflict with itself. A tombstone has the stamp of the call that has left it. Where there is to be no tombstone, the
 * stamp stays by itself for some seconds, and is read as nothing.
 */
import { createHash } from 'node:crypto'
import { ENDS, FIRST, LISTED, NEVER, NO_TOMBSTONE, REMEMBERED, STAMP_LENGTH, STAMPS, USER, VERSION } from './record.ts'

/** Characters of a session's key. */
const KEY_LENGTH = 64

export interface Script {
  readonly sha: string
  readonly source: string
  /** What the script returns, as text. Any other answer has come from elsewhere, and says nothing about what was done. */
  readonly answers: RegExp
}

function script (answers: RegExp, source: string): Script {
  return { answers, source, sha: createHash('sha1').update(source).digest('hex') }
}

/** Milliseconds in which the end of a session that leaves no tombstone may be sent again. */
const REPEATED_WITHIN = 10_000

/** Milliseconds by which a list outlives what is on it, so that it is not given another end each time that something is put on it. */
const LIST_STEP = 60_000

/**
 * A sorted set of what there is, scored by when it ends. It ends by itself after the last of it. What has ended is dropped each
 * time: one member that lives for a year must not keep the others that long. Where nothing is due, that costs one look.
 */
const enlist = (list: string, member: string, ends: string, margin: string): string => `
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  local left = redis.call('PTTL', ${list})
  redis.call('ZADD', ${list}, ${ends}, ${member})
  redis.call('ZREMRANGEBYSCORE', ${list}, '-inf', now - ${margin})
  if now + left < ${ends} + ${margin} then
    redis.call('PEXPIREAT', ${list}, ${ends} + ${margin} + ${LIST_STEP})
  end`

const isRecord = `string.find(found, '^${'%d'.repeat(VERSION.length)} ')`
const member = `string.sub(KEYS[1], -${KEY_LENGTH})`

/**
 * KEYS: session, list of all. ARGV: expected version, the new one, expiry, end of the key; until when the list of the user is
 * known to have the session (`NEVER`: not known; '': it has no user), stamp, the user's line, the rest of the record.
 *
 * What is compared and kept has its place in the text, since taking it apart would cost more than all else that is done here.
 *
 * @returns 1, 'conflict', 'gone'; or 'unlisted', and nothing was written, when the user's list has to be written first
 */
export const COMPARE_AND_SET = script(/^(?:1|conflict|gone|unlisted)$/, `
local sub = string.sub
local found = redis.call('GET', KEYS[1])
if found and sub(found, 1, ${NO_TOMBSTONE.length + 1}) == '${NO_TOMBSTONE} ' then found = false end
local ends, listed, stamps = '', '', '${'-'.repeat(STAMPS.length - STAMP_LENGTH)}'
if found then
  local version = sub(found, ${VERSION.first}, ${VERSION.last})
  if version ~= ARGV[1] then
    if not ${isRecord} then return 'gone' end
    local later = version - ARGV[1] - 1
    local at = ${STAMPS.first} + later * ${STAMP_LENGTH}
    if later >= 0 and later < ${REMEMBERED} and sub(found, at, at + ${STAMP_LENGTH - 1}) == ARGV[6] then return 1 end
    return 'conflict'
  end
  ends = sub(found, ${ENDS.first}, ${ENDS.last})
  stamps = sub(found, ${STAMPS.first}, ${STAMPS.last - STAMP_LENGTH})
  if sub(found, ${USER.first}, ${USER.first - 1} + #ARGV[7]) == ARGV[7] then listed = sub(found, ${LISTED.first}, ${LISTED.last}) end
elseif ARGV[1] ~= '${FIRST}' then
  return 'gone'
end
if ARGV[5] == '' then
  listed = '${NEVER}'
elseif listed < ARGV[3] then
  if ARGV[5] < ARGV[3] then return 'unlisted' end
  listed = ARGV[5]
end
if ends ~= ARGV[3] then${enlist('KEYS[2]', member, 'ARGV[3]', '0')}
end
redis.call('SET', KEYS[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. listed .. ' ' .. ARGV[6] .. stamps .. ' ' .. ARGV[7] .. ARGV[8], 'PXAT', ARGV[4])
return 1
`)

/**
 * KEYS: session, list of all. ARGV: expiry, end of the key, last activity or '-'; until when the list of that user is known to
 * have the session, the user's line.
 *
 * Removing nothing from the list needs no memory, so that the rest is done even if there is none.
 *
 * @returns 1, or 0 when there is no living session; or its user's line, and nothing was changed, when the list has to be written first
 */
export const TOUCH = script(/^(?:[01]|".*"\n)$/s, `
local sub = string.sub
local found = redis.call('GET', KEYS[1])
if not found or not ${isRecord} then return 0 end
local user, created, activity, rest = string.match(found, '^([^\\n]*\\n)(%d+) (%S+)(\\n.*)$', ${USER.first})
if not user then return 0 end
local listed = sub(found, ${LISTED.first}, ${LISTED.last})
if user ~= '\\n' and listed < ARGV[1] then
  if user ~= ARGV[5] or ARGV[4] < ARGV[1] then return user end
  listed = ARGV[4]
end
if ARGV[3] ~= '-' then activity = ARGV[3] end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', 0)
${enlist('KEYS[2]', member, 'ARGV[1]', '0')}
redis.call('PEXPIREAT', KEYS[1], ARGV[2])
redis.call('SET', KEYS[1], sub(found, 1, ${ENDS.first - 1}) .. ARGV[1] .. ' ' .. listed .. ' ' .. sub(found, ${STAMPS.first}, ${USER.first - 1}) ..
  user .. created .. ' ' .. activity .. rest, 'XX', 'KEEPTTL')
return 1
`)

/**
 * KEYS: session, list of all. ARGV: expected version or '', end of the tombstone's key or '', stamp, tombstone without its stamp.
 *
 * A session leaves the list when it has ended, and not before. Looking for it there fails where the list is none.
 *
 * @returns 'conflict', 'gone' or 'destroyed'; or, which means destroyed as well, the user's line: the list of the user still names the session
 */
export const DESTROY = script(/^(?:destroyed|conflict|gone|".*"\n)$/s, `
local found = redis.call('GET', KEYS[1])
if not found then return 'gone' end
if not ${isRecord} then return string.sub(found, -${STAMP_LENGTH}) == ARGV[3] and 'destroyed' or 'gone' end
if ARGV[1] ~= '' and ARGV[1] ~= string.sub(found, ${VERSION.first}, ${VERSION.last}) then return 'conflict' end
redis.call('ZSCORE', KEYS[2], ${member})
redis.call('DEL', KEYS[1])
if ARGV[2] ~= '' then
  redis.call('SET', KEYS[1], ARGV[4] .. ' ' .. ARGV[3], 'PXAT', ARGV[2])
else
  redis.call('SET', KEYS[1], '${NO_TOMBSTONE} ' .. ARGV[3], 'PX', ${REPEATED_WITHIN})
end
redis.call('ZREM', KEYS[2], ${member})
local user = string.match(found, '^[^\\n]*\\n', ${USER.first})
if user and user ~= '\\n' then return user end
return 'destroyed'
`)

/** KEYS: list of a user. ARGV: key, until when to list it, milliseconds by which the clocks of two servers may differ. */
export const ENLIST_FOR_USER = script(/^1$/, `
local ends = math.max(tonumber(ARGV[2]), tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0))
${enlist('KEYS[1]', 'ARGV[1]', 'ends', 'ARGV[3]')}
return 1
`)

/** KEYS: lock. ARGV: token, lease. @returns 1 when the token holds the lock now */
export const LOCK = script(/^[01]$/, `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
`)

/** KEYS: lock. ARGV: token. Releases the lock if the token holds it. */
export const UNLOCK = script(/^[01]$/, `
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
`)
