/**
 * A session's file, kept open: opening and closing it costs more than all else that is done with it. All calls are
 * synchronous. Each moves some kilobytes of the page cache in a microsecond or two; a trip through the thread pool takes ten
 * times as long.
 */
import { closeSync, fdatasyncSync, fstatSync, ftruncateSync, readSync, renameSync, rmSync } from 'node:fs'
import { randomBytes, randomInt } from 'node:crypto'
import { basename, dirname, join } from 'node:path'
import { isRecord, type Version } from '../store.ts'
import { CREATE_NEW, flush, flushDirectory, type OpenedFile, openFile, writeAll } from './disk.ts'
import { bodyOf, capacityFor, type Content, decodeFile, encodeSlot, type Entry, fits, HEAD, READ_ATTEMPTS } from './format.ts'
import { LockableFile } from './lockable-file.ts'
import type { FileLocks } from './locks.ts'

/** By how much a version may be advanced where the next one in the row may have been given out. */
const LEAP = 2 ** 32

/** Every read and write is over before the next one begins, so all of them use the same memory. */
const scratch = Buffer.allocUnsafeSlow(64 * 1024)
const headsRead = scratch.subarray(0, 2 * HEAD)

function memoryOf (size: number): Buffer {
  return size <= scratch.length ? scratch : Buffer.allocUnsafeSlow(size)
}

export class SessionFile extends LockableFile {
  readonly isWritable: boolean
  /** Bytes of a slot. */
  #capacity = 0
  /** Undefined when the file is blank. */
  #content: Content | undefined
  /** The heads of both slots as they were when the content was read. */
  readonly #heads = Buffer.alloc(2 * HEAD)
  /**
   * Whether the content is that of the file as long as the heads are the same. Not where they have not been read: after the first
   * generation, a larger file or a tombstone was written; and not while a slot is damaged, or being written.
   */
  #headsTell = false
  #needsFlush = false
  /** Whether its name, too, has to be flushed. */
  #nameNeedsFlush = false
  /** The generation that this process has flushed to the disk last. */
  #flushedGeneration = 0
  /** When it was last seen to be the file at its path, by {@link performance.now}. */
  seenAt = performance.now()
  isRemoved = false
  /** Whether its damage has been reported. */
  isReported = false

  constructor (path: string, opened: OpenedFile, locks: FileLocks, isWritable: boolean) {
    super(path, opened, locks)
    this.isWritable = isWritable
  }

  /** What was found when it was last looked at; undefined when it is blank: never written, or wiped. */
  get content (): Content | undefined {
    return this.#content
  }

  /** The version for the next record: one that was never given out. */
  get nextVersion (): Version {
    const { entry, isUncertain = false } = this.#content ?? {}
    return ((entry?.version ?? 0) + 1 + (isUncertain ? randomInt(LEAP) : 0)) as Version
  }

  /** Reads the file anew unless nothing in it has changed. */
  refresh (): void {
    if (this.#headsTell) {
      const length = readSync(this.descriptor, scratch, 0, 2 * HEAD, this.#capacity - HEAD)
      if (length === 2 * HEAD && headsRead.equals(this.#heads)) return
    }
    this.#load()
  }

  /** Writes an entry in the place of the older generation where it fits, and otherwise into a larger file. To be called under the lock. */
  write (entry: Entry, isDurable: boolean): void {
    const before = this.#content
    this.#headsTell = false
    if (before?.entry === undefined) return this.#begin(entry)
    const [body, capacity, { generation }] = [bodyOf(entry), this.#capacity, before]
    const index = before.index === 0 ? 1 : 0
    if (!fits(body, capacity)) return this.#replace(entry, before, isDurable)
    // What is overwritten now may be all that a loss of power would leave.
    if (isDurable && this.#flushedGeneration !== generation) fdatasyncSync(this.descriptor)
    const memory = memoryOf(capacity)
    encodeSlot(memory, capacity, index, generation + 1, entry, body)
    writeAll(this.descriptor, memory, capacity, index * capacity)
    memory.copy(this.#heads, index * HEAD, index === 0 ? capacity - HEAD : 0, index === 0 ? capacity : HEAD)
    this.#know(entry, generation + 1, index)
    this.#headsTell = isRecord(entry)
    if (!isDurable) this.#wipeEnded()
  }

  /** Resolves when what was done last is on the disk. To be called under the lock. */
  async flush (): Promise<void> {
    if (!this.#needsFlush) return
    if (!this.isRemoved) await flush(this.descriptor)
    if (this.#nameNeedsFlush) flushDirectory(dirname(this.path))
    this.#needsFlush = this.#nameNeedsFlush = false
    this.#flushedGeneration = this.#content?.generation ?? 0
    // Not before: until then the tombstone may have to be taken back.
    this.#wipeEnded()
  }

  /** Takes back what was written last, of which it is not certain that it is on the disk. To be called under the lock. */
  takeBack (): void {
    if (!this.#needsFlush || this.isRemoved || this.#content === undefined) return
    const { generation, index } = this.#content
    this.#needsFlush = this.#headsTell = false
    if (generation === 1) this.remove()
    else wipe(this.descriptor, index === 0 ? this.#capacity - HEAD : this.#capacity, HEAD)
  }

  /** Removes the file, and what is in it. To be called under the lock. */
  remove (): void {
    rmSync(this.path, { force: true })
    if (this.#content !== undefined) retire(this.descriptor, this.#capacity, this.#content.index)
    this.#content = undefined
    this.isRemoved = this.#needsFlush = this.#nameNeedsFlush = true
    this.#headsTell = false
  }

  /** Of a file in which nothing was ever written there is no use. */
  removeIfBlank (): void {
    try {
      if (this.#content === undefined && !this.isRemoved) this.remove()
    } catch {
      // It is no session, and is swept away.
    }
  }

  /** Nothing of what an ended session held stays on the disk. That needs no room, so it works on a full one. */
  #wipeEnded (): void {
    if (this.#content?.entry === undefined || isRecord(this.#content.entry)) return
    wipe(this.descriptor, (1 - this.#content.index) * this.#capacity, this.#capacity)
  }

  #know (entry: Entry, generation: number, index: 0 | 1): void {
    this.#content = { entry, generation, index, isUncertain: false, isDamaged: false }
    this.#needsFlush = true
    this.isReported = false
  }

  #load (): void {
    this.#headsTell = false
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
      const { size } = fstatSync(this.descriptor)
      const memory = memoryOf(size)
      const length = readSync(this.descriptor, memory, 0, size, 0)
      this.#content = decodeFile(memory.subarray(0, length))
      this.#capacity = Math.floor(length / 2)
      if (this.#content?.entry === undefined) continue
      memory.copy(this.#heads, 0, this.#capacity - HEAD, this.#capacity + HEAD)
      // As long as the other slot is being written, or is damaged, the file is looked at anew each time.
      this.#headsTell = !this.#content.isUncertain
      break
    }
  }

  /** Writes the first generation into a file in which there is none. */
  #begin (entry: Entry): void {
    const size = 2 * this.#capacity
    this.#capacity = writeFile(this.descriptor, 1, entry)
    if (size > 2 * this.#capacity) ftruncateSync(this.descriptor, 2 * this.#capacity)
    this.#know(entry, 1, 0)
    this.#nameNeedsFlush = true
  }

  /**
   * Puts a larger file in the place of this one. It is locked before it has its name, so that nothing is committed to it before
   * the old one is retired.
   */
  #replace (entry: Entry, { entry: before, generation, index }: Content, isDurable: boolean): void {
    const temporary = join(dirname(this.path), `.${basename(this.path)}.${randomBytes(8).toString('hex')}.tmp`)
    const opened = openFile(temporary, CREATE_NEW)
    const { descriptor } = opened
    let capacity: number
    try {
      capacity = writeFile(descriptor, generation + 1, entry, before)
      if (isDurable) fdatasyncSync(descriptor)
      if (this.locks.areNative) this.locks.tryLock(descriptor, temporary)
      renameSync(temporary, this.path)
    } catch (error) {
      closeSync(descriptor)
      rmSync(temporary, { force: true })
      throw error
    }
    retire(this.descriptor, this.#capacity, index)
    this.become(opened)
    this.#capacity = capacity
    this.#know(entry, generation + 1, 0)
    this.#nameNeedsFlush = true
  }
}

/** Fills a file with an entry and, in its second slot, the one before it. @returns the capacity of a slot */
function writeFile (descriptor: number, generation: number, entry: Entry, before?: Entry): number {
  const body = bodyOf(entry)
  const capacity = capacityFor(body)
  const memory = memoryOf(2 * capacity)
  encodeSlot(memory, capacity, 0, generation, entry, body)
  const second = memory.subarray(capacity, 2 * capacity)
  if (before === undefined) second.fill(0)
  else encodeSlot(second, capacity, 1, generation - 1, before, bodyOf(before))
  writeAll(descriptor, memory, 2 * capacity, 0)
  return capacity
}

/**
 * Wipes a file that others may have open: they find its heads changed, and look at the path again. The older slot goes first, or
 * what is in it would for a moment be the newest generation of the file.
 */
function retire (descriptor: number, capacity: number, newest: 0 | 1): void {
  for (const index of [1 - newest, newest]) wipe(descriptor, index * capacity, capacity)
}

/** Overwrites what does not count any more. Where that fails, others notice within a second that the file at the path is another one. */
function wipe (descriptor: number, position: number, length: number): void {
  try {
    writeAll(descriptor, memoryOf(length).fill(0, 0, length), length, position)
  } catch {
    // What was asked for has been done.
  }
}
