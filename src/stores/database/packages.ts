import { SessionConfigError } from '../../errors.ts'

/**
 * Loads a package that is only needed for some databases.
 *
 * @throws SessionConfigError that names it when it is not installed
 */
export async function load<T> (name: string, importIt: () => Promise<T>): Promise<T> {
  return await importIt().catch((cause: unknown) => {
    throw isMissing(cause, name)
      ? new SessionConfigError([`the package ${name} is not installed: npm i ${name}`], 'the database store', { cause })
      : cause
  })
}

/** Told from the message: it names the module, which may be one that the package itself misses, and keeps it under any loader. */
const MISSING = /^(?:Cannot find (?:package|module)|No such built-in module)/

export function isMissing (error: unknown, name: string): boolean {
  return error instanceof Error && MISSING.test(error.message) && error.message.includes(name)
}
