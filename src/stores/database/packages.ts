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

/** The message names the missing module first under every loader. It may be one that the package itself imports, from a path with its name. */
const MISSING = /^(?:Cannot find (?:package|module)|No such built-in module:) '?([^\s']+)/

export function isMissing (error: unknown, name: string): boolean {
  return error instanceof Error && MISSING.exec(error.message)?.[1] === name
}
