import { SessionConfigError } from '../../errors.ts'

/**
 * Loads a package that is only needed for some databases.
 *
 * @throws SessionConfigError that names it when it is not installed
 */
export async function load<T> (name: string, importIt: () => Promise<T>): Promise<T> {
  return await importIt().catch((cause: unknown) => {
    throw isMissing(cause)
      ? new SessionConfigError([`the package ${name} is not installed: npm i ${name}`], 'the database store', { cause })
      : cause
  })
}

export function isMissing (error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND' || code === 'ERR_UNKNOWN_BUILTIN_MODULE'
}
