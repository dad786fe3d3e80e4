/** A state's text, made from the text before it where little has changed: searching costs a fraction of encoding. */
import type { Tree } from './paths.ts'

/**
 * What JSON makes of a member is searched for in the text. It is there, because the text is what JSON has made of the whole;
 * and where it is there only once, it is that member and nothing that looks like it somewhere else.
 *
 * @param text of a state that JSON alone can say
 * @param before the data that it says
 * @param after the same data but for the members under these keys, which JSON alone can say as well
 * @returns the text that says it; undefined where the whole has to be encoded
 */
export function splice (text: string, before: Tree, after: Tree, keys: Iterable<string>): string | undefined {
  let spliced = text
  for (const key of keys) {
    if (!isSimple(before[key]) || !isSimple(after[key])) return undefined
    // Without the quotation mark in front: there are so many of those that searching for one takes several times as long.
    const name = JSON.stringify(key).slice(1)
    const old = `${name}:${JSON.stringify(before[key])}`
    const at = spliced.indexOf(old)
    const end = at + old.length
    if (at === -1 || spliced.includes(old, at + 1) || spliced[at - 1] !== '"' || !endsMember(spliced[end])) return undefined
    // Joined, and not added up, so that it is one piece: what is added up holds on to all that it was made of.
    spliced = [spliced.slice(0, at + name.length + 1), JSON.stringify(after[key]), spliced.slice(end)].join('')
  }
  return spliced
}

/** Somebody may have written the text by hand: `1.0`, of which `1` is a part only. */
function endsMember (next: string | undefined): boolean {
  return next === ',' || next === '}'
}

function isSimple (value: unknown): boolean {
  return value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean'
}
