/** The part of docs/performance.md that the benchmark writes, between two comments. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const BEGIN = '<!-- figures: written by npm run bench -- --write -->'
const END = '<!-- figures: end -->'
const page = join(import.meta.dirname, '../../docs/performance.md')

/** @param {string} figures take the place of what stands there */
export function writeFigures (figures) {
  const text = readFileSync(page, 'utf8')
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (from === -1 || to < from) throw new Error(`docs/performance.md needs the lines ${BEGIN} and ${END}`)
  writeFileSync(page, `${text.slice(0, from + BEGIN.length)}\n${figures}\n${text.slice(to)}`)
  console.error('Written: docs/performance.md')
}
