import { median } from './statistics.js'

/** Above this share of a core the load may have been what was measured. */
export const SATURATED = 0.9

/**
 * What a workload's visits say about one stack: medians of all rounds. Ratios are taken within each round first.
 *
 * @param {import('../stacks.js').Stack} stack
 * @param {import('./measure.js').Visit[]} visits
 * @param {import('./measure.js').Visit[]} baseline the visits to bare Fastify in the same rounds
 */
export function summarize ({ name, label, role }, visits, baseline) {
  const ratios = figure => median(visits.map((visit, round) => figure(visit) / figure(baseline[round])))
  return {
    name,
    label,
    role,
    rate: median(visits.map(({ rate }) => rate)),
    ratio: ratios(({ rate }) => rate),
    p99: median(visits.map(({ p99 }) => p99)),
    cpu: median(visits.map(({ cpu }) => cpu)),
    cpuRatio: ratios(({ cpu }) => cpu),
    isLoadSaturated: visits.some(({ loadBusy }) => loadBusy > SATURATED),
    visits
  }
}
