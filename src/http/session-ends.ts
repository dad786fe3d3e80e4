/**
 * Who is to be told when which session ends. What ends in this process is told at once; for what other processes end, or what
 * expires, the store is asked again and again, by one timer for all.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { LeftSession } from '../session/commit.ts'
import type { SessionId, StoreKey } from '../session/id.ts'
import { type Found, isMoved, load } from '../session/load.ts'
import type { Session } from '../session/session.ts'
import type { SessionSettings } from '../session/settings.ts'

/** Sessions that are read at the same time. */
const AT_ONCE = 64

/** What is asked of a session that is watched. */
export type WatchedSession = Pick<Session, 'key' | 'isNew' | 'isEnded'>

interface Watch {
  readonly session: WatchedSession
  /** Milliseconds between two looks. */
  readonly every: number
  readonly onEnd: () => void
  key: StoreKey
  /** Whether the session has been stored. Before that there is nothing that could end. */
  hasBegun: boolean
  /** Whether the last look found that the session has another id. */
  wasMoved: boolean
  /** By the clock of `performance.now()`. */
  dueAt: number
}

export class SessionEnds {
  readonly #settings: SessionSettings | undefined
  readonly #watches = new Map<StoreKey, Set<Watch>>()
  /** The timer belongs to no request, although requests start it. */
  readonly #outsideRequests = AsyncLocalStorage.snapshot()
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #isLooking = false
  #isClosed = false
  /** Whether the store could not be read at the last look, and that was reported. */
  #isDown = false

  /** @param settings undefined where there is nothing to look at, because only the browser keeps the session */
  constructor (settings: SessionSettings | undefined) {
    this.#settings = settings
  }

  /**
   * @param every milliseconds between two looks
   * @param onEnd called once, when the session has ended, and not by the caller of this or of {@link leave}
   * @returns how to stop
   */
  watch (session: WatchedSession, every: number, onEnd: () => void): () => void {
    const watch: Watch = { session, every, onEnd, key: session.key, hasBegun: !session.isNew, wasMoved: false, dueAt: nextLook(every) }
    this.#add(watch)
    if (session.isEnded) this.#end(watch)
    // It may have ended between the beginning of its request and now.
    else void this.#outsideRequests(() => this.#look(watch.key))
    this.#arm(watch.dueAt)
    return () => { this.#remove(watch) }
  }

  /** To be called after what ends a session in this process or gives it a new id: calls back, or follows it to its new key. */
  leave (left: LeftSession | undefined): void {
    if (left === undefined) return
    for (const watch of this.#watching(left.key)) {
      if (left.to === undefined) this.#end(watch)
      else this.#move(watch, left.to)
    }
  }

  /**
   * Takes note of a session that somebody has looked for and found to be over, so that it need not be looked at again. One that
   * has another id is left to the looks, because it may be told here in a moment.
   *
   * @param found what the store has under the key
   */
  foundOver (key: StoreKey, found: Found): void {
    if (this.#settings === undefined || isMoved(found)) return
    for (const watch of this.#watching(key)) this.#end(watch)
  }

  close (): void {
    this.#isClosed = true
    this.#watches.clear()
    this.#disarm()
  }

  /** A copy: what ends or moves is taken out meanwhile. */
  #watching (key: StoreKey): Watch[] {
    return [...this.#watches.get(key) ?? []]
  }

  #add (watch: Watch): void {
    const others = this.#watches.get(watch.key)
    if (others === undefined) this.#watches.set(watch.key, new Set([watch]))
    else others.add(watch)
  }

  #remove (watch: Watch): boolean {
    const watches = this.#watches.get(watch.key)
    const isRemoved = watches?.delete(watch) === true
    if (watches?.size === 0) this.#watches.delete(watch.key)
    if (this.#watches.size === 0) this.#disarm()
    return isRemoved
  }

  #move (watch: Watch, to: StoreKey): void {
    this.#remove(watch)
    watch.key = to
    watch.wasMoved = false
    this.#add(watch)
    this.#arm(watch.dueAt)
  }

  #end (watch: Watch): void {
    process.nextTick(() => { if (this.#remove(watch)) watch.onEnd() })
  }

  #arm (at: number): void {
    if (this.#settings === undefined || this.#isClosed || this.#isLooking || at >= this.#timerAt || this.#watches.size === 0) return
    this.#disarm()
    this.#timerAt = at
    const wait = Math.max(0, at - performance.now())
    this.#outsideRequests(() => { this.#timer = setTimeout(() => { void this.#lookAtDue() }, wait).unref() })
  }

  #disarm (): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#timerAt = Infinity
  }

  async #lookAtDue (): Promise<void> {
    this.#disarm()
    this.#isLooking = true
    const keys = this.#takeDue()
    for (let start = 0; start < keys.length; start += AT_ONCE) {
      await Promise.all(keys.slice(start, start + AT_ONCE).map(key => this.#look(key)))
      // A store that answers synchronously must not hold up everything else.
      await nextTurn()
    }
    this.#isLooking = false
    let next = Infinity
    for (const watches of this.#watches.values()) for (const { dueAt } of watches) next = Math.min(next, dueAt)
    this.#arm(next)
  }

  #takeDue (): StoreKey[] {
    const now = performance.now()
    const keys: StoreKey[] = []
    for (const [key, watches] of this.#watches) {
      const due = [...watches].filter(({ dueAt }) => dueAt <= now)
      for (const watch of due) watch.dueAt = nextLook(watch.every)
      if (due.length > 0) keys.push(key)
    }
    return keys
  }

  async #look (key: StoreKey): Promise<void> {
    for (const watch of this.#watching(key)) if (!watch.hasBegun) this.#begin(watch)
    if (this.#settings === undefined || !this.#watching(key).some(({ hasBegun }) => hasBegun)) return
    const found = await this.#read(this.#settings, key)
    if (found === 'unknown') return
    const [isLiving, isMovedNow] = [isAlive(this.#settings, key, found), isMoved(found)]
    for (const watch of this.#watching(key).filter(({ hasBegun }) => hasBegun)) {
      // Where this process has regenerated it, leave() is called in a moment, and the session is followed to its new key.
      const isFirstSight = isMovedNow && !watch.wasMoved
      watch.wasMoved = isMovedNow
      if (!isLiving && !isFirstSight) this.#end(watch)
    }
  }

  #begin (watch: Watch): void {
    const { session } = watch
    if (session.isEnded) return this.#end(watch)
    if (session.isNew) return
    watch.hasBegun = true
    if (session.key !== watch.key) this.#move(watch, session.key)
  }

  /** @returns 'unknown' when the store could not be read: then nothing is known to have ended */
  async #read ({ store, report }: SessionSettings, key: StoreKey): Promise<Found | 'unknown'> {
    try {
      const found = await store.read(key)
      this.#isDown = false
      return found
    } catch (cause) {
      if (!this.#isDown && !this.#isClosed) {
        report({ code: 'AMBIENT_SESSION_STORE', message: 'the store could not be asked whether the sessions of onSessionEnd() have ended; it will be asked again', cause })
      }
      this.#isDown = true
      return 'unknown'
    }
  }
}

function isAlive (settings: SessionSettings, key: StoreKey, found: Found): boolean {
  // The id is not known here. load() only puts it into its answer, so any text will do.
  return load(settings, '' as SessionId, key, found, -Infinity).origin.kind === 'stored'
}

/** Those with the same interval are due at the same moments, so that the timer does not run for each of them. */
function nextLook (every: number): number {
  return (Math.floor(performance.now() / every) + 1) * every
}
