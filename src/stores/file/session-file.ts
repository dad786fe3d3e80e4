/**
 * Reading and writing one session's file. All calls are synchronous: each moves a few kilobytes of the page cache and
 * takes microseconds, where a trip through the thread pool takes ten times as long.
 */
import { closeSync, fdatasyncSync, fstatSync, readSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import type { Descriptors } from './descriptors.ts'
import type { Content, Entry, Slot } from './format.ts'
import { capacityFor, decodeFile, encodeEntry } from './format.ts'

/** What identifies a file's content as long as enough time lies between two changes. */
export interface Identity {
  readonly ctimeMs: number
  readonly size: number
  readonly ino: number
}

/** A file as it was found. `slot` is undefined when the file is damaged. */
export interface Found {
  readonly identity: Identity
  readonly slot: Slot | undefined
}

const FILE_MODE = 0o600
/** Another process may be halfway through its second write while this one reads: then both slots look damaged. */
const READ_ATTEMPTS = 3

/** @returns what identifies the file's present content, or `undefined` when there is no file */
export function identifySessionFile (path: string): Identity | undefined {
  return statSync(path, { throwIfNoEntry: false })
}

/**
 * @param identity of the file, taken before this: a change in between shows as a newer identity and not as a stale content
 * @returns what the file holds, or `undefined` when it has gone meanwhile
 */
export function readSessionFile (path: string, identity: Identity, descriptors: Descriptors): Found | undefined {
  let current: Identity | undefined = identity
  try {
    for (let attempt = 1; current !== undefined; attempt++) {
      const content = Buffer.allocUnsafe(current.size)
      const length = readSync(descriptors.get(path, current.ino), content, 0, current.size, 0)
      const slot = decodeFile(content.subarray(0, length))
      if (slot !== undefined || attempt === READ_ATTEMPTS) return { identity: pick(current), slot }
      // It may have become another file, and a larger one, since it was identified.
      current = identifySessionFile(path)
    }
    return undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/**
 * Writes the next generation of a session, into the slot that is not current where it fits, and otherwise into a new file
 * that takes the place of the old one. To be called by one writer at a time.
 *
 * @param current what is in the file now, or `undefined` to make one
 * @param durable return only when the content would survive a loss of power (the directory's entry is the caller's part)
 */
export function writeSessionFile (path: string, entry: Entry, current: Found | undefined, descriptors: Descriptors, durable: boolean): Found {
  const slot = current?.slot
  const generation = (slot?.generation ?? 0) + 1
  const content = encodeEntry(entry, generation)
  if (current === undefined || slot === undefined || content.length > slot.capacity) {
    return replaceFile(path, entry, generation, content, descriptors, durable)
  }
  const { capacity } = slot
  const index = slot.index === 0 ? 1 : 0
  const file = descriptors.get(path, current.identity.ino)
  write(file, content.fill(capacity), index * capacity, durable)
  // What an ended session held is not to be found on the disk any more. That needs no room, so it works on a full one.
  if (entry.payload === undefined) write(file, Buffer.alloc(capacity, '\n'), slot.index * capacity, durable)
  return { identity: pick(fstatSync(file)), slot: { entry, generation, index, capacity } }
}

export function isSame (one: Identity, other: Identity): boolean {
  return one.ctimeMs === other.ctimeMs && one.size === other.size && one.ino === other.ino
}

function replaceFile (path: string, entry: Entry, generation: number, content: Content, descriptors: Descriptors, durable: boolean): Found {
  const temporary = `${path}.tmp`
  const capacity = capacityFor(content)
  const file = descriptors.make(temporary, FILE_MODE)
  try {
    write(file, content.fill(capacity * 2), 0, durable)
    renameSync(temporary, path)
    const identity = pick(fstatSync(file))
    descriptors.set(path, file, identity.ino)
    return { identity, slot: { entry, generation, index: 0, capacity } }
  } catch (error) {
    closeSync(file)
    rmSync(temporary, { force: true })
    throw error
  }
}

function write (file: number, content: Buffer, position: number, durable: boolean): void {
  for (let written = 0; written < content.length;) {
    written += writeSync(file, content, written, content.length - written, position + written)
  }
  if (durable) fdatasyncSync(file)
}

function pick ({ ctimeMs, size, ino }: Identity): Identity {
  return { ctimeMs, size, ino }
}
