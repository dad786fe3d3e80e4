/** Something that has to be looked at when its response has left. */
export interface Unfinished {
  /** Whether the response has left, or never will. */
  readonly isOver: boolean
  lookBack (): void
}

/** Milliseconds between two looks. */
const INTERVAL = 500

const all = new Set<Unfinished>()
let timer: NodeJS.Timeout | undefined

/**
 * Sees to it that something is looked at soon after its response has left, for requests that may end without coming by again:
 * on hijacked replies. A listener on each response would do the same and costs several times as much.
 */
export function watch (unfinished: Unfinished): void {
  all.add(unfinished)
  timer ??= setInterval(lookAtThoseThatAreOver, INTERVAL).unref()
}

export function unwatch (unfinished: Unfinished): void {
  all.delete(unfinished)
}

function lookAtThoseThatAreOver (): void {
  for (const unfinished of all) {
    if (!unfinished.isOver) continue
    all.delete(unfinished)
    unfinished.lookBack()
  }
  if (all.size > 0) return
  clearInterval(timer)
  timer = undefined
}
