/** Sorts keys as far as one page of a list needs them. */
import type { StoreKey } from './store.ts'

/** Of a million keys, as many as a page or so. */
const PREFIX = 3

/** Gives keys in their order, and sorts no more of them than are asked for: a page needs few of what may be very many. */
export function * inOrder (keys: Iterable<StoreKey>, after: string): Generator<StoreKey> {
  const groups = new Map<string, StoreKey[]>()
  for (const key of keys) {
    if (key <= after) continue
    const prefix = key.slice(0, PREFIX)
    const group = groups.get(prefix)
    if (group === undefined) groups.set(prefix, [key])
    else group.push(key)
  }
  for (const [, group] of [...groups].sort(([a], [b]) => a < b ? -1 : 1)) yield * group.sort()
}
