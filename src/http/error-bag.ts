/** The errors of a form, as a page shows them. */
import { isObject } from '../session/plain.ts'
import { messagesOf } from './form-errors.ts'

interface ErrorMethods {
  /** Whether the field has an error; without a name, whether there is any. */
  readonly has: (field?: string) => boolean
  /** The first message of a field, or of all; an empty text when there is none. */
  readonly first: (field?: string) => string
  /** The messages of a field; an empty list when there are none. */
  readonly get: (field: string) => readonly string[]
  /** All messages, field by field. */
  readonly all: () => readonly string[]
  /** The errors of a bag: of one of several forms on a page. */
  readonly bag: (name: string) => ErrorBag
}

/** The messages of a form by field, and what is asked of them. Fields with the name of a method are read with `get()`. */
export type ErrorBag = ErrorMethods & Readonly<Record<string, readonly string[]>>

type Messages = Readonly<Record<string, readonly string[]>>

/** @param read gives what was flashed; it is asked at the first use only, since that uses the session */
export function errorBag (read: () => unknown): ErrorBag {
  let known: Messages | undefined
  const messages = (): Messages => {
    known ??= messagesIn(read())
    return known
  }
  const get = (field: string): readonly string[] => messages()[field] ?? []
  const all = (): readonly string[] => Object.values(messages()).flat()
  const methods: ErrorMethods = {
    has: field => (field === undefined ? all() : get(field)).length > 0,
    first: field => (field === undefined ? all() : get(field))[0] ?? '',
    get,
    all,
    bag: name => errorBag(() => {
      const flashed = read()
      return isObject(flashed) && Object.hasOwn(flashed, name) ? flashed[name] : undefined
    })
  }
  return new Proxy(Object.create(null) as ErrorBag, {
    get: (_target, name) => Object.hasOwn(methods, name) ? methods[name as keyof ErrorMethods] : messages()[name as string],
    has: (_target, name) => Object.hasOwn(methods, name) || name in messages(),
    ownKeys: () => Object.keys(messages()),
    getOwnPropertyDescriptor: (_target, name) => {
      const value = messages()[name as string]
      return value === undefined ? undefined : { value, enumerable: true, configurable: true }
    },
    set: () => false
  })
}

function messagesIn (flashed: unknown): Messages {
  const byField = Object.create(null) as Record<string, readonly string[]>
  for (const [field, value] of isObject(flashed) ? Object.entries(flashed) : []) {
    const messages = messagesOf(value)
    if (messages !== undefined) byField[field] = messages
  }
  return byField
}
