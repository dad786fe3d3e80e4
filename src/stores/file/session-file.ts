/**
 * Reading and writing one session's file. All calls are synchronous: each moves a few kilobytes of the page cache and
 * takes microseconds, where a trip through the thread pool takes ten times as long.
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs'
import type { Entry, Slot } from './format.ts'
import { capacityFor, decodeFile, encodeEntry, pad } from './format.ts'

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

/** @returns what the file holds, or `undefined` when there is none */
export function readSessionFile (path: string): Found | undefined {
  return withFile(path, 'r', file => {
    for (let attempt = 1; ; attempt++) {
      // Before the content, so that a change in between shows as a newer identity and not as a stale content.
      const identity = identityOf(fstatSync(file))
      const content = Buffer.allocUnsafe(identity.size)
      const length = readSync(file, content, 0, identity.size, 0)
      const slot = decodeFile(content.subarray(0, length))
      if (slot !== undefined || attempt === READ_ATTEMPTS) return { identity, slot }
    }
  })
}

/**
 * Writes the next generation of a session, into the slot that is not current where it fits, and otherwise into a new file
 * that takes the place of the old one. To be called by one writer at a time.
 *
 * @param current what {@link readSessionFile} found, or `undefined` to create the file
 * @param durable return only when the content would survive a loss of power (the directory's entry is the caller's part)
 */
export function writeSessionFile (path: string, entry: Entry, current: Slot | undefined, durable: boolean): Found {
  const generation = (current?.generation ?? 0) + 1
  const content = encodeEntry(entry, generation)
  if (current !== undefined && content.length <= current.capacity && entry.payload !== undefined) {
    const index = current.index === 0 ? 1 : 0
    const found = withFile(path, 'r+', file => {
      write(file, pad(content, current.capacity), index * current.capacity, durable)
      return { identity: identityOf(fstatSync(file)), slot: { entry, generation, index, capacity: current.capacity } as const }
    })
    if (found !== undefined) return found
  }
  return replaceFile(path, content, { entry, generation, index: 0, capacity: capacityFor(content) }, durable)
}

export function identityOf ({ ctimeMs, size, ino }: Identity): Identity {
  return { ctimeMs, size, ino }
}

/** A tombstone gets a new file, too: what the session held is not to be found on the disk any more. */
function replaceFile (path: string, content: Buffer, slot: Slot, durable: boolean): Found {
  const temporary = `${path}.tmp`
  const file = openSync(temporary, 'w', FILE_MODE)
  let identity: Identity
  try {
    write(file, pad(content, slot.capacity * 2), 0, durable)
    renameSync(temporary, path)
    identity = identityOf(fstatSync(file))
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    closeSync(file)
  }
  return { identity, slot }
}

function write (file: number, content: Buffer, position: number, durable: boolean): void {
  for (let written = 0; written < content.length;) {
    written += writeSync(file, content, written, content.length - written, position + written)
  }
  if (durable) fdatasyncSync(file)
}

function withFile<T> (path: string, flags: 'r' | 'r+', use: (file: number) => T): T | undefined {
  let file: number
  try {
    file = openSync(path, flags)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}
