/** The figures as a picture: one group of bars per workload, each bar a share of what bare Fastify answers. */
import { formatRatio } from './format.js'

const WIDTH = 760
const LABELS = 260
const BARS = 430
const TOP = 40
const HEADING = 30
const ROW = 20
const BAR = 13
/** The baseline of a text whose middle is to be the middle of a row. */
const TEXT = 10.5

const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .heading { font-weight: 600; font-size: 13px }
  .quiet { fill: #59636e }
  .own { fill: #0969da }
  .peer { fill: #afb8c1 }
  line { stroke: #59636e; stroke-dasharray: 3 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .own { fill: #4493f8 }
    .peer { fill: #656c76 }
    line { stroke: #9198a1 }
  }`

/**
 * @param {{ label: string, stacks: { label: string, role: string, ratio: number }[] }[]} workloads
 * @returns {string} an SVG, on a transparent ground and readable on a light one and on a dark one
 */
export function drawPicture (workloads) {
  const groups = workloads.map(({ label, stacks }) => ({ label, bars: stacks.filter(({ role }) => role !== 'baseline') }))
  const most = Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio)))
  const widthOf = ratio => Math.round(ratio / most * BARS)
  const parts = []
  let y = TOP
  for (const { label, bars } of groups) {
    parts.push(`<text class="heading" x="0" y="${y + HEADING - 9}">${escape(label)}</text>`)
    y += HEADING
    for (const bar of bars) {
      parts.push(...drawBar(bar, widthOf(bar.ratio), y))
      y += ROW
    }
  }
  const line = LABELS + widthOf(1)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y + 6}" width="${WIDTH}" role="img" aria-labelledby="title">
<title id="title">Requests per second, as a share of bare Fastify's</title>
<style>${STYLE}
</style>
<text class="quiet" x="${line}" y="14" text-anchor="end">requests/s; bare Fastify = 1</text>
<line x1="${line}" x2="${line}" y1="${TOP - 18}" y2="${y}"/>
${parts.join('\n')}
</svg>
`
}

function drawBar ({ label, role, ratio }, width, y) {
  return [
    `<text x="${LABELS - 8}" y="${y + TEXT}" text-anchor="end">${escape(label)}</text>`,
    `<rect class="${role}" x="${LABELS}" y="${y}" width="${width}" height="${BAR}" rx="2"/>`,
    `<text class="quiet" x="${LABELS + width + 6}" y="${y + TEXT}">${formatRatio(ratio)}</text>`
  ]
}

function escape (text) {
  return text.replace(/[&<>]/g, character => `&#${character.charCodeAt(0)};`)
}
