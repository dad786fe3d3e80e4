/**
 * What has to be atomic, as scripts that the server runs. Redis keeps a script under its SHA-1 until it is restarted or
 * told to forget it, so that it is sent in full only where it is not known.
 *
 * Whether a session has expired is the server's decision alone: its key has a time to live, and what has expired is not
 * there. A key lives through the millisecond that is its end, and a session does not: hence the ends of keys one earlier.
 *
 * A server whose memory is full refuses a script's first command that needs more of it, and none after the first that has
 * written. So a commit begins with the command that stores, and is refused as a whole; moving an expiry or ending a session
 * begins with one that needs nothing, and is done even then.
 */
import { createHash } from 'node:crypto'

export interface Script {
  readonly sha: string
  readonly source: string
}

function script (source: string): Script {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

/** Length of a stamp, which names one call of one process. */
export const STAMP_LENGTH = 16
/** How many later commits a commit may be behind, and still be known as done when it is sent again. */
const REMEMBERED = 8

const CLOCK = `
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`

/** A sorted set of what there is, scored by when it ends; it lives as long as the last of it, and sheds what has ended. */
const ENLIST = `${CLOCK}
local function enlist(set, member, ends, margin)
  redis.call('ZADD', set, ends, member)
  local now = clock()
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now - margin)
  if now + redis.call('PTTL', set) < ends + margin then redis.call('PEXPIREAT', set, ends + margin) end
end
`

/**
 * KEYS: session, list of all. ARGV: key, expected version or '', expiry, stamp; until when the user's list is known to have
 * the session (0: not known; '': it has no user), user; how many fields to remove, these fields, then fields and values to set.
 *
 * A client may send a command again when it has lost its connection before the answer. Recent commits are remembered by
 * their stamps, newest first, so that this gives the version that was written and not a conflict with itself.
 *
 * @returns the version, 'conflict', 'gone'; or 'unlisted', and nothing was written, when the user's list has to be told first
 */
export const COMPARE_AND_SET = script(`${ENLIST}
local expected, ends, stamp, listed, user = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local found = redis.call('HMGET', KEYS[1], 'version', 'gone', 'expiresAt', 'recent', 'userId', 'listedUntil')
local version, recent, listedUntil = found[1], found[4] or '', found[6]
if found[2] or (not version and expected ~= '') then return 'gone' end
if version and version ~= expected then
  local at = string.find(recent, stamp, 1, true)
  if at and (at - 1) % ${STAMP_LENGTH} == 0 then return version - (at - 1) / ${STAMP_LENGTH} end
  return 'conflict'
end
if listed == '' then
  listedUntil = 0
elseif found[5] ~= user or tonumber(listedUntil) < ends then
  if tonumber(listed) < ends then return 'unlisted' end
  listedUntil = listed
end
version = (tonumber(version) or 0) + 1
recent = string.sub(stamp .. recent, 1, ${REMEMBERED * STAMP_LENGTH})
redis.call('HSET', KEYS[1], 'version', version, 'expiresAt', ARGV[3], 'recent', recent, 'listedUntil', listedUntil, unpack(ARGV, 8 + ARGV[7]))
if ARGV[7] ~= '0' then redis.call('HDEL', KEYS[1], unpack(ARGV, 8, 7 + ARGV[7])) end
if found[3] ~= ARGV[3] then
  redis.call('PEXPIREAT', KEYS[1], ends - 1)
  enlist(KEYS[2], ARGV[1], ends, 0)
end
return version
`)

/**
 * KEYS: session, list of all. ARGV: key, expiry, last activity or ''; until when the list of that user is known to have the
 * session, user.
 *
 * @returns 1, or 0 when there is no living session; or its user, and nothing was changed, when the list has to be told first
 */
export const TOUCH = script(`${ENLIST}
local ends = tonumber(ARGV[2])
local found = redis.call('HMGET', KEYS[1], 'version', 'gone', 'userId', 'listedUntil')
local user, listedUntil = found[3], found[4]
if found[2] or not found[1] then return 0 end
if user and tonumber(listedUntil) < ends then
  if user ~= ARGV[5] or tonumber(ARGV[4]) < ends then return { user } end
  listedUntil = ARGV[4]
end
redis.call('PEXPIREAT', KEYS[1], ends - 1)
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'expiresAt', ARGV[2], 'listedUntil', listedUntil)
  if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'lastActivity', ARGV[3]) end
end
enlist(KEYS[2], ARGV[1], ends, 0)
return 1
`)

/**
 * KEYS: session, list of all. ARGV: key, expected version or '', end of the tombstone or '', stamp.
 *
 * The tombstone bears the stamp of the call that has put it there, for a client that sends it again.
 */
export const DESTROY = script(`
local found = redis.call('HMGET', KEYS[1], 'version', 'gone')
if found[2] == ARGV[4] then return 'destroyed' end
if found[2] or not found[1] then return 'gone' end
if ARGV[2] ~= '' and ARGV[2] ~= found[1] then return 'conflict' end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('DEL', KEYS[1])
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'gone', ARGV[4])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3] - 1)
end
return 'destroyed'
`)

/** KEYS: list of a user. ARGV: key, until when to list it, milliseconds by which the clocks of two servers may differ. */
export const ENLIST_FOR_USER = script(`${ENLIST}
local ends = math.max(tonumber(ARGV[2]), tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1]) or 0))
enlist(KEYS[1], ARGV[1], ends, tonumber(ARGV[3]))
return 1
`)

/** KEYS: lock. ARGV: token, lease. @returns 1 when the token holds the lock now */
export const LOCK = script(`
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
`)

/** KEYS: lock. ARGV: token. Lets go of the lock if the token holds it. */
export const UNLOCK = script(`
return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0
`)
