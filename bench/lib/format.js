/** How figures are written, in the terminal and on the page. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

export const formatRate = rate => whole.format(rate)
export const formatCount = count => whole.format(count)
export const formatRatio = ratio => ratio.toFixed(2)
export const formatMilliseconds = milliseconds => milliseconds.toFixed(2)
export const formatFine = milliseconds => milliseconds.toFixed(3)
export const formatMicroseconds = microseconds => microseconds.toFixed(1)
export const formatMegabytes = bytes => `${whole.format(bytes / 1e6)} MB`

/**
 * @param {readonly string[]} heads
 * @param {readonly (readonly string[])[]} rows the first column is text, the others are figures
 * @returns {string} a Markdown table
 */
export function tableOf (heads, rows) {
  const line = cells => `| ${cells.join(' | ')} |`
  const rule = heads.map((_, index) => index === 0 ? '---' : '---:')
  return [line(heads), line(rule), ...rows.map(line)].join('\n')
}
