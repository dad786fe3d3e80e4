/** A state's text, made from the text before it where little has changed: searching costs a fraction of encoding. */
import type { Tree } from './paths.ts'

/** Where in a text the value of a member of the data stands. */
export class Spot {
  readonly key: string
  readonly from: number
  readonly to: number

  constructor (key: string, from: number, to: number) {
    this.key = key
    this.from = from
    this.to = to
  }
}

/** Knows what was there before. */
export interface Before {
  /** @returns what was under a top-level key */
  before (key: string): unknown
}

export interface Spliced {
  readonly text: string
  /** Where the last of the members stands in it: the one that changes now is mostly the one that changes next. */
  readonly spot: Spot | undefined
}

/**
 * What JSON makes of a member is searched for in the text. It is there, because the text is what JSON has made of the whole;
 * and where it is there only once, it is that member and nothing that looks like it somewhere else.
 *
 * @param text of a state that JSON alone can say
 * @param data what it says is under each of the keys
 * @param after the same data but for the members under these keys, which JSON alone can say as well
 * @param known where one of the members stands, which need not be searched for then
 * @returns the text that says it; undefined where the whole has to be encoded
 */
export function splice (text: string, data: Before, after: Tree, keys: readonly string[], known?: Spot): Spliced | undefined {
  let spliced = text
  let spot: Spot | undefined
  for (const key of keys) {
    const replaced = data.before(key)
    if (!isSimple(replaced) || !isSimple(after[key])) return undefined
    // What is known counts for the text before anything is replaced.
    const old = spot === undefined && known?.key === key ? known : find(spliced, key, replaced)
    if (old === undefined) return undefined
    const value = JSON.stringify(after[key])
    // Joined, and not added up, so that it is one piece: what is added up holds on to all that it was made of.
    spliced = [spliced.slice(0, old.from), value, spliced.slice(old.to)].join('')
    spot = new Spot(key, old.from, old.from + value.length)
  }
  return { text: spliced, spot }
}

function find (text: string, key: string, value: unknown): Spot | undefined {
  // Without the quotation mark in front: there are so many of those that searching for one takes several times as long.
  const name = `${JSON.stringify(key).slice(1)}:`
  const member = name + JSON.stringify(value)
  const at = text.indexOf(member)
  const end = at + member.length
  if (at === -1 || text.includes(member, at + 1) || text[at - 1] !== '"' || !endsMember(text[end])) return undefined
  return new Spot(key, at + name.length, end)
}

/** Somebody may have written the text by hand: `1.0`, of which `1` is a part only. */
function endsMember (next: string | undefined): boolean {
  return next === ',' || next === '}'
}

function isSimple (value: unknown): boolean {
  return value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean'
}
