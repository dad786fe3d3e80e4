/** Records as the fields of a hash: texts and milliseconds, legible with HGETALL. */
import type { NewRecord, StoredRecord, Version } from '../store.ts'

/** The fields of a record without its payload, in the order in which they are asked for. */
export const FACTS = ['version', 'createdAt', 'expiresAt', 'userId', 'ipAddress', 'userAgent', 'lastActivity'] as const

/** What a commit sets and, because the record does not have it any more, removes. The version and the expiry are the script's. */
export function fieldsOf ({ payload, createdAt, userId, ipAddress, userAgent, lastActivity }: NewRecord): { set: string[], remove: string[] } {
  const optional = { userId, ipAddress, userAgent, lastActivity: lastActivity && milliseconds(lastActivity) }
  const set = ['payload', payload, 'createdAt', milliseconds(createdAt)]
  const remove: string[] = []
  for (const [name, value] of Object.entries(optional)) {
    if (value === undefined) remove.push(name)
    else set.push(name, value)
  }
  return { set, remove }
}

/** @returns undefined when there is no record, or none that this package has written */
export function factsOf (values: readonly (string | undefined)[]): Omit<StoredRecord, 'payload'> | undefined {
  const [version, createdAt, expiresAt, userId, ipAddress, userAgent, lastActivity] = values
  if (version === undefined || createdAt === undefined || expiresAt === undefined) return undefined
  return {
    version: Number(version) as Version,
    createdAt: dateOf(createdAt),
    expiresAt: dateOf(expiresAt),
    ...userId !== undefined && { userId },
    ...ipAddress !== undefined && { ipAddress },
    ...userAgent !== undefined && { userAgent },
    ...lastActivity !== undefined && { lastActivity: dateOf(lastActivity) }
  }
}

export function milliseconds (date: Date): string {
  return String(date.getTime())
}

function dateOf (text: string): Date {
  return new Date(Number(text))
}
