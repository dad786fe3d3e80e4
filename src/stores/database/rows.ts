/** Between rows of the table and the records of the contract. */
import type { EndReason, ListedRecord, NewRecord, StoredRecord, StoreKey, Tombstone, Version } from '../store.ts'
import type { Row } from './database.ts'
import type { Column } from './schema.ts'
import { unescaped, type Value } from './statement.ts'

export function rowOf (record: NewRecord, version: number): Record<Column, Value> {
  const { payload, createdAt, expiresAt, userId, ipAddress, userAgent, lastActivity } = record
  return {
    payload,
    version,
    created_at: createdAt.getTime(),
    expires_at: expiresAt.getTime(),
    user_id: userId ?? null,
    ip_address: ipAddress ?? null,
    user_agent: userAgent ?? null,
    last_activity: lastActivity?.getTime() ?? null,
    ended_at: null,
    end_reason: null
  }
}

export function recordIn (row: Row): StoredRecord | Tombstone {
  const payload = textIn(row.payload)
  return payload === undefined ? { reason: row.end_reason as EndReason, since: timeIn(row.ended_at) } : { payload, ...factsIn(row) }
}

export function listedIn (row: Row): ListedRecord {
  return { key: row.id as StoreKey, ...factsIn(row) }
}

function factsIn (row: Row): Omit<StoredRecord, 'payload'> {
  return {
    version: Number(row.version) as Version,
    createdAt: timeIn(row.created_at),
    expiresAt: timeIn(row.expires_at),
    userId: textIn(row.user_id),
    ipAddress: textIn(row.ip_address),
    userAgent: textIn(row.user_agent),
    lastActivity: row.last_activity === null ? undefined : timeIn(row.last_activity)
  }
}

function textIn (value: unknown): string | undefined {
  return typeof value === 'string' ? unescaped(value) : undefined
}

/** Drivers give large integers as text, as numbers or as BigInt. */
function timeIn (value: unknown): Date {
  return new Date(Number(value))
}
