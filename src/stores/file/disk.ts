/** The calls to the file system that need care: what is opened is a regular file, and what is written is written whole. */
import { closeSync, constants, fdatasync, fstatSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL } = constants
/** A symbolic link in the place of a file is not followed, and a FIFO does not block the event loop. Windows has neither: undefined adds no bit. */
const CAREFUL = constants.O_NOFOLLOW | constants.O_NONBLOCK

const FILE_MODE = 0o600
export const DIRECTORY_MODE = 0o700
export const READ = O_RDONLY | CAREFUL
export const WRITE = O_RDWR | CAREFUL
export const CREATE = WRITE | O_CREAT
/** Fails where there is anything at the path already. */
export const CREATE_NEW = CREATE | O_EXCL

/** Thrown where something else than a regular file has the name of one. */
export class NotAFileError extends Error {
  readonly code = 'ENOTREG'

  constructor (path: string) {
    super(`ENOTREG: not a regular file, '${path}'`)
  }
}

export interface OpenedFile {
  readonly descriptor: number
  readonly ino: number
  readonly dev: number
}

/** @throws NotAFileError when it is something else than a regular file; the file system's error when it cannot be opened */
export function openFile (path: string, flags: number): OpenedFile {
  const descriptor = openSync(path, flags, FILE_MODE)
  try {
    const status = fstatSync(descriptor)
    if (!status.isFile()) throw new NotAFileError(path)
    return { descriptor, ino: status.ino, dev: status.dev }
  } catch (error) {
    closeSync(descriptor)
    throw error
  }
}

export function writeAll (descriptor: number, content: Buffer, length: number, position: number): void {
  for (let written = 0; written < length;) {
    written += writeSync(descriptor, content, written, length - written, position + written)
  }
}

/** Resolves when what was written to the file is on the disk. */
export async function flush (descriptor: number): Promise<void> {
  await promisify(fdatasync)(descriptor)
}

/** Makes the names in a directory last. */
export function flushDirectory (directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** What opening or locking a file says that may only be read. */
export const READ_ONLY_CODES: ReadonlyArray<string | undefined> = ['EACCES', 'EPERM', 'EROFS']

export function codeOf (error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code
}
