/** The load: autocannon, in this process. */
import autocannon from 'autocannon'

export const CONNECTIONS = 32
/** Milliseconds between two looks of autocannon at the clock. */
const SAMPLE = 10

/**
 * @param {object} work
 * @param {number[]} work.ports of the processes; connections are dealt out to them in turn
 * @param {string} work.path
 * @param {string[]} [work.cookies] dealt out, so that connections to the same process share no session
 * @param {boolean} work.sleeps whether the load lets go of its core while it has nothing to do
 * @param {number} work.seconds
 * @returns how many requests were answered, how many per second, and for what share of the time the load was busy
 * @throws Error when an answer is not a success
 */
export async function load ({ ports, path, cookies, sleeps, seconds }) {
  let connected = 0
  const run = autocannon({
    url: ports.map(port => `http://127.0.0.1:${port}${path}`),
    connections: CONNECTIONS,
    duration: seconds,
    sampleInt: SAMPLE,
    setupClient (client) {
      if (cookies !== undefined) client.setRequests(requestsOf(cookies, connected++, ports.length))
    }
  })
  const watch = sleeps ? watchSleep() : keepAwake(run)
  const { start, finish, errors, non2xx, '2xx': answers } = await run
  const idle = watch.stop()
  const elapsed = finish - start
  if (errors > 0 || non2xx > 0) throw new Error(`${path}: ${non2xx} answers were no successes, ${errors} connections failed`)
  return { answers, rate: answers / elapsed * 1000, busy: 1 - idle / elapsed }
}

/** A session is used by one connection to each process, at different moments. */
function requestsOf (cookies, connection, processes) {
  const groups = CONNECTIONS / processes
  const group = Math.floor(connection / processes)
  const own = cookies.filter((_, index) => index % groups === group)
  const first = Math.floor(own.length * (connection % processes) / processes)
  return [...own.slice(first), ...own.slice(0, first)].map(cookie => ({ headers: { cookie } }))
}

function watchSleep () {
  const before = performance.eventLoopUtilization()
  return { stop: () => performance.eventLoopUtilization(before).idle }
}

/**
 * Keeps the event loop turning, and counts the time in which there is nothing to do. Waking the load's core costs a server 3 to
 * 6 µs of CPU a request on a virtual machine (bare Fastify 23.6 instead of 20.1, with sessions in memory 34.9 instead of 28.9):
 * servers that keep the load busy would pay less of it than slower ones.
 */
function keepAwake (run) {
  let idle = 0
  let hasAnswers = false
  let before = performance.now()
  run.on('response', () => { hasAnswers = true })
  let next = setImmediate(function turn () {
    const now = performance.now()
    if (!hasAnswers) idle += now - before
    before = now
    hasAnswers = false
    next = setImmediate(turn)
  })
  return {
    stop () {
      clearImmediate(next)
      return idle
    }
  }
}
