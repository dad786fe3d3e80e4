/** What the stores do alike: whether a record has expired, whether it may be replaced, and its next version. */
import { isRecord, type ListedRecord, type StoredRecord, type StoreKey, type Tombstone, type Version } from './store.ts'

/** @returns the entry, unless it has expired */
export function unexpired<Entry extends { readonly expiresAt: Date }> (entry: Entry | undefined): Entry | undefined {
  return entry !== undefined && entry.expiresAt.getTime() > Date.now() ? entry : undefined
}

/**
 * @param current what has not expired
 * @returns why a record must not be written in its place; undefined when it may
 */
export function refusalToSet (current: StoredRecord | Tombstone | undefined, expected: Version | undefined): 'conflict' | 'gone' | undefined {
  if (current === undefined) return expected === undefined ? undefined : 'gone'
  if (!isRecord(current)) return 'gone'
  return current.version === expected ? undefined : 'conflict'
}

/** @returns the version of what is written in the place of a version; of a new record, where none is expected */
export function versionAfter (expected: Version | undefined): Version {
  return ((expected ?? 0) + 1) as Version
}

/** @returns the record with another expiry and, if it is given, another last activity */
export function touched (record: StoredRecord, expiresAt: Date, lastActivity = record.lastActivity): StoredRecord {
  return { ...record, expiresAt, lastActivity }
}

export function listedAs (key: StoreKey, { payload: _, ...rest }: StoredRecord): ListedRecord {
  return { key, ...rest }
}
