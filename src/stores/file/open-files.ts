/**
 * Reading and writing session files, which stay open: opening and closing one costs more than everything else that is done
 * with it. All calls but the flush are synchronous: each moves a few kilobytes of the page cache and takes microseconds,
 * where a trip through the thread pool takes ten times as long.
 */
import { closeSync, fdatasync, fdatasyncSync, fstatSync, fsyncSync, openSync, readFileSync, readSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { SessionStoreError } from '../../errors.ts'
import type { KeptRecord } from '../kept-record.ts'
import type { Postponer } from '../postponing.ts'
import type { StoreKey } from '../store.ts'
import type { Entry } from './format.ts'
import { decodeFile, STAMP_LENGTH, WORD } from './format.ts'
import { SessionFile } from './session-file.ts'
import { seemsToFit, slotWriterFor, timesOf } from './slot-writer.ts'

const FILE_MODE = 0o600
/** What a file is overwritten with that is to be removed: not the line feeds that a slot has in which nothing was written yet. */
const WIPED = ' '
/** Descriptors kept open: a part of those that the process may have, and no more than are worth it. */
const MOST_OPEN = 1024
const SHARE = 1 / 4
const FEWEST_OPEN = 8
/** Where nobody says how many there may be. */
const FEW_OPEN = 128
/** Another process may be halfway through its second write while this one reads: then both slots look damaged. */
const READ_ATTEMPTS = 3

/** Every read and write is over before the next one begins, so all of them can use the same memory. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)
const scratchWords = new Int32Array(scratch.buffer, 0, scratch.length / WORD)

export class OpenFiles {
  readonly #isDurable: boolean
  readonly #isTheirTurn: () => boolean
  readonly #most = mostOpen()
  /** In the order in which they were opened. */
  readonly #open = new Map<StoreKey, SessionFile>()
  /** What has been written and not yet reached the disk, with its generation. */
  readonly #unflushed = new Map<SessionFile, number>()
  #unflushedDirectory: string | undefined
  readonly #postponed: SessionFile[] = []
  /** Whether the last attempt to write went well. If not, the next one is made while there is somebody who can be told. */
  #canWrite = true

  /**
   * @param isDurable whether what is written has to survive a loss of power, once it has been flushed
   * @param isTheirTurn whether nobody else can have written since those who put off writing have committed
   */
  constructor (isDurable: boolean, isTheirTurn: () => boolean) {
    this.#isDurable = isDurable
    this.#isTheirTurn = isTheirTurn
  }

  /**
   * @param place the file of the key, perhaps, from before
   * @returns the file of a key as far as it is known
   */
  get (key: StoreKey, place?: object): SessionFile | undefined {
    const isIt = place instanceof SessionFile && place.descriptor !== undefined && place.key === key
    return isIt ? place : this.#open.get(key)
  }

  /**
   * @param known what is known of a file at this path
   * @returns the file at a path, or `undefined` when there is none; damaged only if it stays so
   * @throws the file system's error when it cannot be read
   */
  find (key: StoreKey, path: string, known: SessionFile | undefined, attempt = 1): SessionFile | undefined {
    if (known !== undefined) this.close(known)
    const descriptor = this.#tryOpen(path)
    if (descriptor === undefined) return undefined
    const { ino, size } = fstatSync(descriptor)
    const file = known?.ino === ino && known.size === size ? known : new SessionFile(key, path, ino, size)
    this.#keep(file, descriptor)
    this.#readAll(file)
    if (file.entry !== undefined || attempt === READ_ATTEMPTS) return file
    this.close(file)
    return this.find(key, path, known, attempt + 1)
  }

  /**
   * Looks whether a file is still what is known of it, and reads it where it is not.
   *
   * @returns false when it is damaged, or is not the file at its path any more
   */
  refresh (file: SessionFile): boolean {
    if (file.entry === undefined || file.descriptor === undefined) return false
    file.isUsed = true
    const isThere = readSync(file.descriptor, scratch, 0, STAMP_LENGTH, file.nextAt) === STAMP_LENGTH
    if (isThere && file.isStillNext(scratchWords)) return true
    this.#readAll(file)
    return file.entry !== undefined
  }

  /**
   * Writes the next generation of a session, into the slot that is not current where it fits, and otherwise into a new file
   * that takes the place of the old one. To be called by one writer at a time.
   *
   * @param file what is at the path now, or `undefined` to make it
   * @param postponer who can wait for it to be written; files are made at once all the same, because the disk may be full
   */
  write (key: StoreKey, path: string, entry: Entry, file: SessionFile | undefined, postponer?: Postponer): SessionFile {
    // A tombstone replaces a record, and fits wherever that did.
    if (file?.entry === undefined) return this.#make(key, path, entry as KeptRecord, 1, file)
    const descriptor = this.#descriptorOf(file)
    file.noteNext(entry)
    if (postponer === undefined || !this.#canWrite || !seemsToFit(entry, file.capacity)) return this.#overwrite(file, descriptor)
    file.postponer = postponer
    this.#postponed.push(file)
    return file
  }

  /** Writes what has been put off. */
  writePostponed (): void {
    if (this.#postponed.length === 0) return
    const isTheirTurn = this.#isTheirTurn()
    for (let file = this.#postponed.pop(); file !== undefined; file = this.#postponed.pop()) this.writeOut(file, isTheirTurn)
  }

  /** Writes what has been put off of one file. It is closed when it could not be written. */
  writeOut (file: SessionFile, isTheirTurn?: boolean): void {
    const { postponer } = file
    if (postponer === undefined) return
    file.postponer = undefined
    try {
      if (!(isTheirTurn ?? this.#isTheirTurn())) throw new SessionStoreError('the lock was lost before the session was written: the process hung')
      this.#overwrite(file, this.#descriptorOf(file))
    } catch (cause) {
      this.close(file)
      postponer.noteLoss(cause)
    }
  }

  /** Removes a file, and what is in it: another process may have it open. */
  remove (file: SessionFile): void {
    try {
      wipe(this.#descriptorOf(file), file.size)
    } catch (error) {
      // What is in the file now has to be looked at.
      this.close(file)
      throw error
    }
    rmSync(file.path, { force: true })
    this.close(file)
    this.#unflushedDirectory = this.#isDurable ? dirname(file.path) : undefined
  }

  close (file: SessionFile): void {
    this.writeOut(file)
    if (file.descriptor === undefined) return
    this.#open.delete(file.key)
    this.#unflushed.delete(file)
    closeSync(file.descriptor)
    file.descriptor = undefined
  }

  closeAll (): void {
    for (const file of this.#open.values()) if (!file.isPinned) this.close(file)
  }

  /** Resolves when all that has been written is on the disk. */
  async flush (): Promise<void> {
    const files = [...this.#unflushed]
    this.#unflushed.clear()
    const directory = this.#unflushedDirectory
    this.#unflushedDirectory = undefined
    try {
      const results = await Promise.allSettled(files.map(async ([file, generation]) => {
        await flushDescriptor(file.descriptor as number)
        file.flushed = generation
      }))
      // Not before all of them are done with their descriptors.
      for (const result of results) if (result.status === 'rejected') throw result.reason
      if (directory !== undefined) flushDirectory(directory)
    } finally {
      for (const [file] of files) file.isPinned = false
    }
  }

  #noteUnflushed (file: SessionFile, generation: number, directory?: string): void {
    if (!this.#isDurable) return
    file.isPinned = true
    this.#unflushed.set(file, generation)
    this.#unflushedDirectory = directory ?? this.#unflushedDirectory
  }

  /** Writes what is current. */
  #overwrite (file: SessionFile, descriptor: number): SessionFile {
    const { capacity, generation, index, times } = file
    const entry = file.entry as Entry
    const writer = slotWriterFor(capacity)
    if (!writer.fill(capacity, entry, generation, times)) return this.#make(file.key, file.path, entry as KeptRecord, generation, file)
    if (this.#isDurable && file.flushed !== generation - 1) fdatasyncSync(descriptor)
    this.#canWrite = false
    writeAll(descriptor, writer.slot, index * capacity)
    this.#canWrite = true
    file.noteStamp(index, writer.words)
    // What an ended session held is not to be found on the disk any more. That needs no room, so it works on a full one.
    if (entry.payload === undefined) {
      const other = index === 0 ? 1 : 0
      const wiped = bufferFor(capacity).fill(WIPED)
      writeAll(descriptor, wiped, other * capacity)
      file.noteStamp(other, wordsOf(wiped))
    }
    this.#noteUnflushed(file, generation)
    return file
  }

  /** Makes a file, or puts a new one in the place of an old one that is too small or damaged. */
  #make (key: StoreKey, path: string, entry: KeptRecord, generation: number, old: SessionFile | undefined): SessionFile {
    const times = timesOf(entry)
    const capacity = slotWriterFor(0).capacityFor(entry, times)
    const target = old === undefined ? path : `${path}.tmp`
    const descriptor = this.#openFile(target, old === undefined ? 'wx+' : 'w+')
    try {
      const writer = slotWriterFor(2 * capacity)
      writer.fill(2 * capacity, entry, generation, times)
      writeAll(descriptor, writer.slot, 0)
      const file = new SessionFile(key, path, fstatSync(descriptor).ino, 2 * capacity)
      file.noteStamps(writer.words, capacity / WORD)
      file.noteFirst(entry, generation, times)
      if (old !== undefined) this.#replace(old, target, descriptor)
      this.#keep(file, descriptor)
      this.#noteUnflushed(file, generation, dirname(path))
      return file
    } catch (error) {
      closeSync(descriptor)
      rmSync(target, { force: true })
      throw error
    }
  }

  /** Until the old file is wiped, other processes may still read it; nothing counts as written before. */
  #replace (old: SessionFile, temporary: string, descriptor: number): void {
    if (this.#isDurable) fdatasyncSync(descriptor)
    const oldDescriptor = this.#descriptorOf(old)
    renameSync(temporary, old.path)
    if (this.#isDurable) flushDirectory(dirname(old.path))
    wipe(oldDescriptor, old.size)
    this.close(old)
  }

  #readAll (file: SessionFile): void {
    const buffer = bufferFor(file.size)
    const length = readSync(file.descriptor as number, buffer, 0, file.size, 0)
    const isWhole = length === file.size && file.hasStamps
    if (isWhole) file.noteStamps(wordsOf(buffer), file.capacity / WORD)
    file.noteRead(isWhole ? decodeFile(buffer) : undefined)
  }

  #descriptorOf (file: SessionFile): number {
    if (file.descriptor === undefined) this.#keep(file, this.#openFile(file.path, 'r+'))
    file.isUsed = true
    return file.descriptor as unknown as number
  }

  #keep (file: SessionFile, descriptor: number): void {
    if (this.#open.size >= this.#most) this.#closeOne()
    file.descriptor = descriptor
    this.#open.set(file.key, file)
  }

  /** Closes the first one that has not been used since this was last done, or the first one of all. */
  #closeOne (): void {
    const files = [...this.#open.values()].filter(({ isPinned }) => !isPinned)
    const victim = files.find(({ isUsed }) => !isUsed) ?? files[0]
    for (const file of files) file.isUsed = false
    if (victim !== undefined) this.close(victim)
  }

  #tryOpen (path: string): number | undefined {
    try {
      return this.#openFile(path, 'r+')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  #openFile (path: string, flags: string): number {
    try {
      return openSync(path, flags, FILE_MODE)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
      // What is kept open for speed is the first thing to give up when descriptors run out.
      this.closeAll()
      return openSync(path, flags, FILE_MODE)
    }
  }
}

/** Whether a file is the one at its path. */
export function isAtItsPath ({ path, ino }: SessionFile): boolean {
  return statSync(path, { throwIfNoEntry: false })?.ino === ino
}

function flushDescriptor (descriptor: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fdatasync(descriptor, error => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}

export function flushDirectory (directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function wipe (descriptor: number, size: number): void {
  writeAll(descriptor, bufferFor(size).fill(WIPED), 0)
}

function writeAll (descriptor: number, content: Buffer, position: number): void {
  for (let written = 0; written < content.length;) {
    written += writeSync(descriptor, content, written, content.length - written, position + written)
  }
}

/** Most files of an application have the same size, and making a view costs as much as filling it. */
let view = scratch

function bufferFor (size: number): Buffer {
  if (size > scratch.length) return Buffer.allocUnsafeSlow(size)
  if (size !== view.length) view = scratch.subarray(0, size)
  return view
}

/** @param buffer from {@link bufferFor} */
function wordsOf (buffer: Buffer): Int32Array {
  return buffer.length <= scratch.length ? scratchWords : new Int32Array(buffer.buffer, 0, buffer.length / WORD)
}

function mostOpen (): number {
  try {
    const limit = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    const share = limit === 'unlimited' ? MOST_OPEN : Math.floor(Number(limit) * SHARE)
    return Math.max(FEWEST_OPEN, Math.min(MOST_OPEN, share))
  } catch {
    return FEW_OPEN
  }
}
