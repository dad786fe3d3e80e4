/** A browser has a few of one name. Whoever sends thousands wants the server to decode and verify them. */
const MOST_SEEN = 32

/**
 * Finds the cookies of one name in a Cookie header (RFC 6265, section 5.4). A browser sends several of one name when its path
 * or domain was changed; packages that parse the whole header keep only the first of them.
 *
 * @returns their values in the order of the header, percent-encoding undone, without those that are not well encoded; of many the first 32 are looked at
 */
export function findCookies (header: string, name: string): string[] {
  const values: string[] = []
  let seen = 0
  for (let at = header.indexOf(name); at !== -1 && seen < MOST_SEEN; at = header.indexOf(name, at + 1)) {
    const equals = at + name.length
    if (header[equals] !== '=' || !beginsPair(header, at)) continue
    seen++
    const semicolon = header.indexOf(';', equals)
    const value = decoded(header.slice(equals + 1, semicolon === -1 ? undefined : semicolon).trim())
    if (value !== undefined) values.push(value)
  }
  return values
}

/** Never looks at the character before the first one: V8 takes ten times as long to see that there is none. */
function beginsPair (header: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && header[before] === ' ') before--
  return before < 0 || header[before] === ';'
}

function decoded (value: string): string | undefined {
  if (!value.includes('%')) return value
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}
