/** Reading a session's file without keeping it open: for sweeping, and for reading through the thread pool. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Slot } from './format.ts'
import { decodeFile } from './format.ts'

/** What is in a file; the slot is undefined when it is damaged. */
export interface Inspected {
  readonly slot: Slot | undefined
  /** When the file was last changed, in milliseconds since 1970. */
  readonly changedAt: number
}

/** Another process may be halfway through its second write while this one reads: then both slots look damaged. */
const READ_ATTEMPTS = 3

/** @returns undefined when there is no such file */
export function inspectFileSync (path: string): Inspected | undefined {
  let descriptor: number
  try {
    descriptor = openSync(path, 'r')
  } catch (error) {
    return absent(error)
  }
  try {
    const { size, ctimeMs } = fstatSync(descriptor)
    const content = Buffer.allocUnsafe(size)
    const length = readSync(descriptor, content, 0, size, 0)
    return { slot: decodeFile(content.subarray(0, length)), changedAt: ctimeMs }
  } finally {
    closeSync(descriptor)
  }
}

/** As {@link inspectFileSync}, through the thread pool. */
export async function inspectFile (path: string, attempt = 1): Promise<Inspected | undefined> {
  const file = await open(path, 'r').catch(absent)
  if (file === undefined) return undefined
  const found = await (async () => {
    try {
      const { ctimeMs } = await file.stat()
      return { slot: decodeFile(await file.readFile()), changedAt: ctimeMs }
    } finally {
      await file.close()
    }
  })()
  return found.slot === undefined && attempt < READ_ATTEMPTS ? await inspectFile(path, attempt + 1) : found
}

function absent (error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  return undefined
}
