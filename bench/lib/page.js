/** The parts of docs/performance.md that are written by the benchmark, each between two comments. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const docs = join(import.meta.dirname, '../../docs')

const page = join(docs, 'performance.md')

/**
 * @param {string} name of the part
 * @param {string} text that takes the place of what stands there
 */
export function writePart (name, text) {
  const [begin, end] = [`<!-- ${name}: written by the benchmark -->`, `<!-- ${name}: end -->`]
  const content = readFileSync(page, 'utf8')
  const [from, to] = [content.indexOf(begin), content.indexOf(end)]
  if (from === -1 || to < from) throw new Error(`docs/performance.md has no place for ${name}`)
  writeFileSync(page, `${content.slice(0, from + begin.length)}\n${text}\n${content.slice(to)}`)
}
