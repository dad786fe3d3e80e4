/** A text in as many cookies as it takes: `name`, `name.1`, `name.2`. The first one says how many there are. */

/** What browsers keep of one cookie, in bytes: name, value and attributes together (RFC 6265, section 6.1). */
export const MAX_COOKIE_BYTES = 4096
/**
 * The most cookies that a session may take. Node.js takes 16 KiB of request headers, all of them together: three cookies leave
 * a quarter of that for the others.
 */
export const MAX_COOKIES = 3

/** In front of the first piece: how many there are, and a dot. */
const COUNT = /^([1-9])\.(.*)$/s
const COUNT_LENGTH = 2

/** Gives the value of a cookie by its name. */
export type FindCookie = (name: string) => string | undefined

export function chunkName (name: string, index: number): string {
  return index === 0 ? name : `${name}.${index}`
}

/**
 * @param text of characters that a cookie can hold as they are
 * @param rooms how many characters fit into the value of each cookie
 * @returns the values of as few cookies as possible
 * @throws RangeError when the text is longer than {@link capacityOf} says
 */
export function split (text: string, rooms: readonly number[]): string[] {
  const chunks: string[] = []
  for (let at = -COUNT_LENGTH; at < text.length;) {
    const room = rooms[chunks.length]
    if (room === undefined) throw new RangeError('the text does not fit into the cookies')
    chunks.push(text.slice(Math.max(at, 0), at + room))
    at += room
  }
  const [first, ...rest] = chunks
  return [`${chunks.length}.${first}`, ...rest]
}

/** @returns how long a text may be to be split */
export function capacityOf (rooms: readonly number[]): number {
  return rooms.reduce((sum, room) => sum + room, -COUNT_LENGTH)
}

/** @returns the text that the cookies hold together, or `undefined` when there is none or a part of it is missing */
export function join (find: FindCookie, name: string): string | undefined {
  const [, count, first] = COUNT.exec(find(name) ?? '') ?? []
  if (count === undefined || Number(count) > MAX_COOKIES) return undefined
  const chunks = [first]
  while (chunks.length < Number(count)) chunks.push(find(chunkName(name, chunks.length)))
  return chunks.includes(undefined) ? undefined : chunks.join('')
}

/** @returns how many cookies there are under the names of chunks, up to the last one that there is, whatever they hold */
export function countChunks (find: FindCookie, name: string): number {
  let count = MAX_COOKIES
  while (count > 0 && find(chunkName(name, count - 1)) === undefined) count--
  return count
}
