/**
 * Faults of a store as errors. Fastify sends an error's message to the client, so the message names no server. The log shows the
 * cause as well, which has the details but no value, no session id and no password.
 */
import { SessionStoreError } from '../errors.ts'

const MESSAGES = {
  unreachable: 'the session store could not be reached',
  late: 'the session store did not answer in time',
  failed: 'the session store has failed'
} as const

export type Fault = keyof typeof MESSAGES

/**
 * @param detail what is wrong, for the log
 * @param error the driver's own
 */
export function storeError (fault: Fault, detail: string, error?: unknown): SessionStoreError {
  const cause = new Error(detail, error === undefined ? undefined : { cause: bare(error) })
  return new SessionStoreError(MESSAGES[fault], { cause })
}

/** Servers quote the beginning of a command that they do not know, and values that they cannot take. */
const QUOTATIONS = [/, with args beginning with:[^]*/, /(?<=: )(['"])[^]*\1/]

/** @returns the error without the members that drivers add: the whole command, the statement, the row */
export function bare (error: unknown): Error {
  const { name, message, stack, code }: NodeJS.ErrnoException = error instanceof Error ? error : new Error(String(error))
  const text = withoutQuotations(message)
  const copy = new Error(text)
  copy.name = name
  if (stack !== undefined) copy.stack = stack.replace(message, () => text)
  return code === undefined ? copy : Object.assign(copy, { code })
}

/** @returns what is wrong in the driver's words; its code when it has none, as when Node.js has tried several addresses */
export function reasonOf (error: unknown): string {
  if (!(error instanceof Error)) return withoutQuotations(String(error))
  const { message, code } = error as NodeJS.ErrnoException
  return message === '' && typeof code === 'string' ? code : withoutQuotations(message)
}

/** @returns the error, whose messages and stacks and those of its causes do not contain the text any more: the id of a session in a path */
export function concealed (error: Error, text: string): Error {
  for (const each of withCauses(error)) {
    each.message = each.message.replaceAll(text, '…')
    if (each.stack !== undefined) each.stack = each.stack.replaceAll(text, '…')
  }
  return error
}

/** @returns an error and those that have caused it */
export function withCauses (error: unknown): Set<Error> {
  const errors = new Set<Error>()
  for (let each = error; each instanceof Error && !errors.has(each); each = each.cause) errors.add(each)
  return errors
}

function withoutQuotations (text: string): string {
  return QUOTATIONS.reduce((text, quotation) => text.replace(quotation, '…'), text)
}
