import type { StoredRecord, Version } from './store.ts'

/** A record as JSON can hold it. Times are milliseconds since 1970. */
export interface PlainRecord {
  readonly payload: string
  readonly version: Version
  readonly createdAt: number
  readonly expiresAt: number
  readonly userId?: string | undefined
  readonly ipAddress?: string | undefined
  readonly userAgent?: string | undefined
  readonly lastActivity?: number | undefined
}

export function plainOf ({ createdAt, expiresAt, lastActivity, ...rest }: StoredRecord): PlainRecord {
  return {
    ...rest,
    createdAt: createdAt.getTime(),
    expiresAt: expiresAt.getTime(),
    ...lastActivity !== undefined && { lastActivity: lastActivity.getTime() }
  }
}

export function recordOf ({ createdAt, expiresAt, lastActivity, ...rest }: PlainRecord): StoredRecord {
  return {
    ...rest,
    createdAt: new Date(createdAt),
    expiresAt: new Date(expiresAt),
    ...lastActivity !== undefined && { lastActivity: new Date(lastActivity) }
  }
}
