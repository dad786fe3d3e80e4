import { opendirSync } from 'node:fs'

const SESSION_NAME = /^[0-9a-f]{64}$/

/**
 * Keeps a server busy while it sweeps.
 *
 * @param {() => Promise<number>} sweep
 * @param {() => Promise<import('./measure.js').Visit>} visit
 * @param {object} bounds
 * @param {string} bounds.directory
 * @param {number} bounds.expired sessions, all of them to be swept away
 * @param {number} bounds.living sessions in the same directory
 * @param {number} bounds.patience milliseconds after which the sweep is not watched any longer
 */
export async function watchSweep (sweep, visit, { directory, expired, living, patience }) {
  const state = { isOver: false, end: 0, error: undefined }
  const begin = performance.now()
  sweep().then(removed => {
    if (removed !== expired) state.error = new Error(`of ${expired} expired sessions ${removed} were removed`)
  }, error => { state.error = error }).then(() => {
    state.isOver = true
    state.end = performance.now()
  })
  const visits = []
  while (!state.isOver && performance.now() - begin < patience) {
    const result = await visit()
    // A visit in whose middle the sweep ended belongs to neither side, unless there is no other.
    if (!state.isOver || visits.length === 0) visits.push(result)
  }
  if (state.error !== undefined) throw state.error
  const end = state.isOver ? state.end : performance.now()
  const removed = state.isOver ? expired : expired + living - countSessions(directory)
  return { visits, removed, seconds: (end - begin) / 1000 }
}

function countSessions (directory) {
  const entries = opendirSync(directory, { bufferSize: 1024 })
  let count = 0
  for (let entry = entries.readSync(); entry !== null; entry = entries.readSync()) {
    if (SESSION_NAME.test(entry.name)) count++
  }
  entries.closeSync()
  return count
}
