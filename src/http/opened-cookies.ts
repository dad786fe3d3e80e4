/**
 * What is in the sealed cookies that were opened or made last. A browser sends the same one with each request until something
 * changes, and opening one is a quarter of the work of a request that reads its session.
 */
import { LRUCache } from 'lru-cache'

/** Characters of cookies and of what is in them that are kept at the most: some thousands of sessions. */
const ROOM = 4 * 1024 * 1024

export class OpenedCookies {
  readonly #open: (sealed: Buffer) => string | undefined
  readonly #texts = new LRUCache<string, string>({ maxSize: ROOM, sizeCalculation: (text, sealed) => text.length + sealed.length })

  /** @param open gives what is in a cookie that is not known, if it is authentic: nothing else is kept */
  constructor (open: (sealed: Buffer) => string | undefined) {
    this.#open = open
  }

  textIn (sealed: Buffer): string | undefined {
    const name = nameOf(sealed)
    const known = this.#texts.get(name)
    if (known !== undefined) return known
    const text = this.#open(sealed)
    if (text !== undefined) this.#texts.set(name, text)
    return text
  }

  remember (sealed: Buffer, text: string): void {
    this.#texts.set(nameOf(sealed), text)
  }
}

/** A copy: a part of the request's header would keep the whole header in memory. */
function nameOf (sealed: Buffer): string {
  return sealed.toString('latin1')
}
