/**
 * Who holds a lock: a process, said so that others on the same machine can find out whether it still runs. A process that
 * is only stopped still runs, and keeps its locks; one that was killed has lost them the moment it died.
 */
import { closeSync, fstatSync, linkSync, openSync, readFileSync, readlinkSync, rmSync, statSync, utimes, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { randomText } from '../../session/random.ts'

/** What an owner's file says. */
interface Claim {
  readonly pid: number
  /** When the process started, in ticks since the machine did (proc(5)): a process of the same number later is another one. */
  readonly startedAt: string | undefined
  /** Where process numbers mean what they mean here: one boot of one machine, and one container of it. */
  readonly place: string
}

/** Milliseconds between two signs of life. */
const BEAT = 1_000
/** Milliseconds without a sign of life after which an owner counts as dead of whom nothing else can be found out. */
export const STALE = 10_000
const OWNER_NAME = /^\.owner-\d+-[\w-]{12}$/

const here: Claim = { pid: process.pid, startedAt: startOf(process.pid), place: placeOfProcess() }

/**
 * A file that says who this is. Taking a lock is linking it to the lock's name, so a lock says from the first moment who
 * holds it.
 */
export class Owner {
  readonly #file: string
  #ino: number | undefined
  /** Open files by their inodes: as long as one is open, no other file is given its inode. */
  readonly #open = new Map<number, number>()
  readonly #held = new Set<string>()
  /** Locks that were not there to be let go, with the inode they had: a directory that was moved away may come back. */
  readonly #lost = new Map<string, number>()
  #beat: NodeJS.Timeout | undefined

  constructor (directory: string) {
    this.#file = join(directory, `.owner-${process.pid}-${randomText(9)}`)
  }

  /** @returns whether there was nothing at the path yet, or only what this owner had lost */
  linkTo (path: string): boolean {
    const isNew = this.#ino === undefined
    this.#ino ??= this.#write()
    try {
      linkSync(this.#file, path)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EEXIST') return this.#removeLost(path) && this.linkTo(path)
      if (code !== 'ENOENT' || isNew) throw error
      // Somebody has emptied the directory.
      this.#ino = undefined
      return this.linkTo(path)
    }
    this.#held.add(path)
    this.#beat ??= setInterval(() => { this.#signOfLife() }, BEAT).unref()
    return true
  }

  /** Whether what is at the path is linked to this owner. */
  isAt (path: string): boolean {
    return this.#ino !== undefined && inodeAt(path) === this.#ino
  }

  /** Undoes {@link linkTo}. What somebody else has put there meanwhile stays. */
  unlinkFrom (path: string): void {
    this.#held.delete(path)
    if (this.#ino !== undefined) this.#lost.set(path, this.#ino)
    this.#tryToRemoveLost(path)
    this.#rest()
  }

  close (): void {
    this.#lost.clear()
    this.#ino = undefined
    this.#rest()
    try {
      rmSync(this.#file, { force: true })
    } catch {
      // A sweep removes what a process leaves that has ended.
    }
  }

  #write (): number {
    // One that could not be written before is open still.
    this.#closeAllButThoseThatCount()
    const descriptor = openSync(this.#file, 'w', 0o600)
    const { ino } = fstatSync(descriptor)
    this.#open.set(ino, descriptor)
    writeFileSync(descriptor, JSON.stringify(here))
    return ino
  }

  #removeLost (path: string): boolean {
    if (!this.#lost.has(path) || inodeAt(path) !== this.#lost.get(path)) return false
    rmSync(path, { force: true })
    return this.#lost.delete(path)
  }

  #tryToRemoveLost (path: string): void {
    try {
      this.#removeLost(path)
    } catch {
      // Where the directory cannot be used at the moment, it is tried again.
    }
  }

  #rest (): void {
    this.#closeAllButThoseThatCount()
    if (this.#held.size > 0 || this.#lost.size > 0) return
    clearInterval(this.#beat)
    this.#beat = undefined
  }

  #closeAllButThoseThatCount (): void {
    const counting = new Set([this.#ino, ...this.#lost.values()])
    for (const [ino, descriptor] of this.#open) {
      if (counting.has(ino)) continue
      this.#open.delete(ino)
      closeSync(descriptor)
    }
  }

  #signOfLife (): void {
    for (const path of this.#lost.keys()) this.#tryToRemoveLost(path)
    const now = new Date()
    // Without it there is nothing to say; whoever holds a lock looks whether it is still there before it is used.
    if (this.#held.size > 0) utimes(this.#file, now, now, () => {})
    this.#rest()
  }
}

function inodeAt (path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.ino
}

/** Another owner's file as it was found, and since when it has been the same. */
interface Sighting {
  readonly ino: number
  readonly mtimeMs: number
  readonly since: number
}

/** Watches who holds a lock, to find out whether the holder has died. */
export class Watch {
  readonly #path: string
  #sighting: Sighting | undefined

  constructor (path: string) {
    this.#path = path
  }

  /** @returns the inode of the holder's file when the holder is dead for certain, or has given no sign of life for too long */
  deadHolder (): number | undefined {
    const status = statSync(this.#path, { throwIfNoEntry: false })
    if (status === undefined) return undefined
    const { ino, mtimeMs } = status
    if (this.#sighting?.ino !== ino || this.#sighting.mtimeMs !== mtimeMs) this.#sighting = { ino, mtimeMs, since: performance.now() }
    const verdict = verdictOn(readClaim(this.#path))
    const isDead = verdict === 'unknown' ? performance.now() - this.#sighting.since > STALE : verdict === 'dead'
    return isDead ? ino : undefined
  }
}

export function isOwnerFile (name: string): boolean {
  return OWNER_NAME.test(name)
}

/** Whether a file was left behind by an owner that has died. Of others' it cannot be told, and they are few. */
export function isOfDeadOwner (path: string): boolean {
  return verdictOn(readClaim(path)) === 'dead'
}

/** Whether an owner lives. Of one in another container, on another machine or in a worker thread it cannot be told from here. */
function verdictOn (claim: Claim | undefined): 'alive' | 'dead' | 'unknown' {
  if (claim?.startedAt === undefined || claim.place !== here.place) return 'unknown'
  try {
    process.kill(claim.pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH' ? 'dead' : 'alive'
  }
  const startedAt = startOf(claim.pid)
  return startedAt === claim.startedAt || startedAt === undefined ? 'alive' : 'dead'
}

function readClaim (path: string): Claim | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Claim
  } catch {
    return undefined
  }
}

/** @returns when a process started; `'ended'` for one that has ended and is only waited for; undefined where it cannot be found out */
function startOf (pid: number): string | undefined {
  // A worker thread can end while its process goes on, so of its locks nobody can tell from the process.
  if (pid === process.pid && !isMainThread) return undefined
  try {
    // Behind the name of the program, which may contain anything: state, then eighteen others, then the start (proc(5)).
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\) /s, '').split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? 'ended' : fields[19]
  } catch {
    return undefined
  }
}

function placeOfProcess (): string {
  try {
    return `${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return hostname()
  }
}
