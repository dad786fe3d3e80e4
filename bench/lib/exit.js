/** Nothing is left behind when the benchmark ends: by itself, by an error or by a signal. */

const jobs = []

/** @param {() => void} job done when this process ends; the last one given is done first */
export function onExit (job) {
  jobs.push(job)
}

process.once('exit', () => { for (const job of jobs.reverse()) job() })

for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
  process.once(signal, () => process.exit(128 + number))
}
