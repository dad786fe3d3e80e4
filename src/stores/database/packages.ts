import { refused } from './faults.ts'

/**
 * Catches the failed import of an optional package. It has to follow the `import()` directly: bundlers then know that the
 * package may be missing.
 *
 * @returns throws a SessionConfigError that names the package when it is not installed, else the error as it is
 */
export function orNotInstalled (name: string): (cause: unknown) => never {
  return cause => {
    throw isMissing(cause, name)
      ? refused([`the package ${name} is not installed: npm i ${name}`], { cause })
      : cause
  }
}

/** The message names the missing module under every loader; it may be one that the package itself imports. */
const MISSING = /^(?:Cannot find (?:package|module)|No such built-in module)/

export function isMissing (error: unknown, name: string): boolean {
  return error instanceof Error && MISSING.test(error.message) && error.message.includes(name)
}
