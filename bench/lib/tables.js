/** How figures are written: as Markdown, the median of all rounds with the lowest and the highest. */

/** @param {readonly number[]} values one a round */
export function describe (values, digits) {
  const format = value => value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  return `${format(median)} (${format(sorted[0])}–${format(sorted.at(-1))})`
}

/** Round by round, so that what changed in the machine between rounds does not matter. */
export function ratios (values, others) {
  return values.map((value, round) => value / others[round])
}

/** The first column is text, the others are figures. */
export function tableOf (heads, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  return [line(heads), line(heads.map((_, index) => index === 0 ? '---' : '---:')), ...rows.map(line)].join('\n')
}
