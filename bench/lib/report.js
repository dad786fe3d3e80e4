/** The figures as tables. */
import { formatMicroseconds, formatMilliseconds, formatRate, formatRatio, tableOf } from './format.js'
import { sentenceOf } from './machine.js'
import { SATURATED } from './results.js'

const HEADS = ['stack', 'requests/s', 'ratio to bare', 'p99, ms', 'CPU per request, µs', 'CPU ratio']
const SATURATION = `\\* The load used more than ${SATURATED * 100} % of its core, so this server could have answered more; its CPU time is right all the same.`

/** @param {{ label: string, stacks: ReturnType<import('./results.js').summarize>[] }} workload */
export function tableOfWorkload ({ stacks }) {
  return tableOf(HEADS, stacks.map(({ label, rate, ratio, p99, cpu, cpuRatio, isLoadSaturated }) => [
    label,
    formatRate(rate) + (isLoadSaturated ? ' \\*' : ''),
    formatRatio(ratio),
    formatMilliseconds(p99),
    formatMicroseconds(cpu),
    formatRatio(cpuRatio)
  ]))
}

/** @returns {string} what goes into docs/performance.md */
export function pageOf ({ machine, versions, services, settings, workloads }) {
  const isSaturated = workloads.some(({ stacks }) => stacks.some(({ isLoadSaturated }) => isLoadSaturated))
  return [
    sentenceOf(machine),
    `${settings.pinned ? 'Server and load on a core each' : 'Server and load were not pinned to cores'}; ` +
      `medians of ${settings.rounds} rounds of ${settings.seconds} s.`,
    `Versions: ${listOf(versions)}.`,
    ...Object.keys(services).length > 0 ? [`Servers of sessions: ${listOf(services)}.`] : [],
    '',
    '![Requests per second of each stack, as a share of what bare Fastify answers](performance.svg)',
    ...workloads.flatMap(workload => ['', `### ${capitalized(workload.label)}`, '', tableOfWorkload(workload)]),
    ...isSaturated ? ['', SATURATION] : []
  ].join('\n')
}

function listOf (versions) {
  return Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')
}

function capitalized (text) {
  return text[0].toUpperCase() + text.slice(1)
}
