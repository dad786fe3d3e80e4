/** What `npm run bench:many` found, for docs/performance.md. */
import { formatCount, formatFine, formatMegabytes, formatMicroseconds, formatMilliseconds, formatRate, formatRatio, tableOf } from './format.js'
import { sentenceOf } from './machine.js'

export function pageOfMany ({ machine, settings, reading, sweeping, writing }) {
  const sessions = formatCount(settings.sessions)
  const few = formatCount(settings.few)
  return [
    sentenceOf(machine),
    '',
    `### Reading one among ${sessions} sessions`,
    '',
    tableOf(
      ['sessions that are read in turn', `requests/s among ${few}`, `requests/s among ${sessions}`, 'ratio', 'CPU among few, µs', 'CPU among many, µs', 'CPU ratio'],
      reading.map(({ read: [ofFew, ofMany], few, many, ratio, cpuRatio }) => [
        ofFew === ofMany ? formatCount(ofMany) : `${formatCount(ofMany)} (of the few: ${formatCount(ofFew)})`,
        formatRate(few.rate), formatRate(many.rate), formatRatio(ratio),
        formatMicroseconds(few.cpu), formatMicroseconds(many.cpu), formatRatio(cpuRatio)
      ])
    ),
    '',
    `### Sweeping ${sessions} expired sessions away`,
    '',
    tableOf(['reading', 'requests/s', 'p99, ms', 'longest, ms'], [
      ['without a sweep', formatRate(sweeping.without.rate), formatMilliseconds(sweeping.without.p99), formatMilliseconds(sweeping.without.max)],
      ['during the sweep', formatRate(sweeping.during.rate), formatMilliseconds(sweeping.during.p99), formatMilliseconds(sweeping.during.max)]
    ]),
    '',
    `Under this load ${formatCount(sweeping.removed)} of them were removed in ${sweeping.seconds.toFixed(1)} s, ` +
      `${formatRate(sweeping.removed / sweeping.seconds)} per second. ` +
      `The server's peak memory (RSS) was ${formatMegabytes(sweeping.memoryBefore)} before it and ${formatMegabytes(sweeping.memoryAfter)} at its end.`,
    '',
    '### How long a call of the store keeps the event loop',
    '',
    tableOf(['under', 'calls', 'median, ms', 'p99, ms', 'longest, ms'], [
      [`${formatRate(writing.rate)} writes per second`, formatCount(writing.calls.count), formatFine(writing.calls.p50), formatFine(writing.calls.p99), formatFine(writing.calls.max)]
    ])
  ].join('\n')
}
