/** Whether the keys with the store's prefix are its own. */
import type { Link } from './link.ts'

/** How many keys of the server are looked at. */
const SAMPLE = 1_000
/** And the types of how many. */
const TYPES = 100

/** The types of the store's own keys, by what their names look like. */
const OWN: readonly (readonly [RegExp, string])[] = [
  [/^\{[0-9a-f]{2}\}:(?:session|lock):[0-9a-f]{64}$/, 'string'],
  [/^\{[0-9a-f]{2}\}:all$/, 'zset'],
  [/^user-sessions:/, 'zset']
]

/**
 * Looks at a sample of the server's keys. Their names are not reported: with some stores they are session ids.
 *
 * @returns 'taken' when a name of the store's is that of something else, 'shared' when there are other names as well
 */
export async function prefixUse (link: Link, prefix: string, deadline: number): Promise<'own' | 'shared' | 'taken'> {
  const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`
  const [, found] = await link.send('SCAN', ['0', 'MATCH', pattern, 'COUNT', String(SAMPLE)], prefix, deadline) as [unknown, (string | Buffer)[]]
  const names = found.map(String)
  const own = names.filter(name => typeOf(name.slice(prefix.length)) !== undefined)
  const isOfItsType = async (name: string): Promise<boolean> => {
    const type = String(await link.send('TYPE', [name], name, deadline))
    // It may have gone meanwhile.
    return type === 'none' || type === typeOf(name.slice(prefix.length))
  }
  if ((await Promise.all(own.slice(0, TYPES).map(isOfItsType))).includes(false)) return 'taken'
  return own.length < names.length ? 'shared' : 'own'
}

function typeOf (name: string): string | undefined {
  return OWN.find(([shape]) => shape.test(name))?.[1]
}
