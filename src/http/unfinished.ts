/** Something that has to be looked at when its response has left. */
export interface Unfinished {
  /** Whether the response has left, or never will. */
  readonly isOver: boolean
  /** Is not watched afterwards. */
  lookBack (): void
  /** The others in the list, which is kept in its members: a Set would allocate at every request. */
  previous: Unfinished | undefined
  next: Unfinished | undefined
}

/** Milliseconds between two looks. */
const INTERVAL = 500

let first: Unfinished | undefined
let timer: NodeJS.Timeout | undefined

/**
 * Sees to it that something is looked at soon after its response has left, for requests that may end without coming by again:
 * on hijacked replies. A listener on each response would do the same and costs several times as much.
 *
 * @param unfinished is not being watched already
 */
export function watch (unfinished: Unfinished): void {
  if (first !== undefined) first.previous = unfinished
  unfinished.next = first
  first = unfinished
  timer ??= setInterval(lookAtThoseThatAreOver, INTERVAL).unref()
}

/** @param unfinished is being watched */
export function unwatch (unfinished: Unfinished): void {
  const { previous, next } = unfinished
  if (previous === undefined) first = next
  else previous.next = next
  if (next !== undefined) next.previous = previous
  unfinished.previous = unfinished.next = undefined
}

function lookAtThoseThatAreOver (): void {
  const over: Unfinished[] = []
  for (let each = first; each !== undefined; each = each.next) if (each.isOver) over.push(each)
  for (const each of over) each.lookBack()
  if (first !== undefined) return
  clearInterval(timer)
  timer = undefined
}
