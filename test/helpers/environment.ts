/**
 * Nothing of this process's environment: what a page shows is to see a plain Node.js, and no SESSION_* variables. It runs
 * what is built, which does not count as covered: the tests of src do.
 */
export const BARE_ENVIRONMENT = { PATH: process.env.PATH, _TAPJS_PROCESSINFO_COVERAGE_: '0' }

/** What a process of another working directory preloads to run TypeScript. */
export const TYPESCRIPT = import.meta.resolve('./typescript.js')
