/** What goes wrong with Redis, told without what was to be stored: clients hang the whole command on their errors. */
import { SessionStoreError } from '../../errors.ts'

/** An error reply begins with a word in capitals that says of which kind it is. */
const REPLY = /^-?[A-Z]{2,}\b/
/** Servers quote the beginning of a command that they do not know. */
const QUOTED_COMMAND = /, with args beginning with:[^]*/

export function storeError (problem: string, error?: unknown): SessionStoreError {
  return new SessionStoreError(`sessions cannot be reached at the moment: ${problem}`, error === undefined ? undefined : { cause: withoutCommand(error) })
}

/** What became of a command that a client has given up or that the server has refused. */
export function failure (error: unknown): SessionStoreError {
  if (error instanceof SessionStoreError) return error
  const text = messageOf(error)
  return storeError(REPLY.test(text) ? `Redis refused the command (${text})` : `the connection to Redis has failed (${text})`, error)
}

/** A short text that says what is wrong, such as ECONNREFUSED. */
export function messageOf (error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as NodeJS.ErrnoException
  return (code ?? error.message).replace(QUOTED_COMMAND, '')
}

/** The error as it was, but for the command that clients hang on it, arguments and all. */
export function withoutCommand (error: unknown): Error {
  const { name, stack, message, code }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error))
  const bare = new Error(message.replace(QUOTED_COMMAND, ''))
  bare.name = name
  if (stack !== undefined) bare.stack = stack.replace(QUOTED_COMMAND, '')
  return code === undefined ? bare : Object.assign(bare, { code })
}
