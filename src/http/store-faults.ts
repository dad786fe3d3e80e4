/** Tells the application's log of a store that fails. The errors themselves are answers: whether they are logged is the application's. */
import { SessionStoreError } from '../errors.ts'
import type { Report } from '../report.ts'

/** How often an outage is told of, in milliseconds. */
const EVERY = 60_000

/** @returns a function for the errors that requests are answered with, which reports one of the store's once a minute */
export function storeFaults (report: Report): (answeredError: Error) => void {
  let reportedAt = -Infinity
  return error => {
    if (!(error instanceof SessionStoreError) || performance.now() - reportedAt < EVERY) return
    reportedAt = performance.now()
    report({
      code: 'AMBIENT_SESSION_STORE',
      message: `${error.message}, so that requests are answered with 503; this is said at most once a minute`,
      cause: error
    })
  }
}
