import type { Dialect } from './schema.ts'

/** What a column holds. */
export type Value = string | number | null

/**
 * Text that holds a NUL, or the character that takes its place. PostgreSQL refuses NUL in text, and others cut the text off
 * there; so no database gets to see it. What sessions are made of has none, being JSON.
 */
const ESCAPES = /[\0\ue000]/g
const ESCAPED = /\ue000([01])/g

/** A statement with parameters by name, as in `where id = :id`, in the form of one dialect. */
export class Statement {
  readonly sql: string
  readonly #names: string[] = []

  constructor (text: string, dialect: Dialect) {
    this.sql = text.replace(/:(\w+)/g, (_, name: string) => {
      // PostgreSQL numbers parameters, so that one which stands in several places is sent once.
      const index = dialect === 'postgres' ? this.#names.indexOf(name) : -1
      const number = index === -1 ? this.#names.push(name) : index + 1
      return dialect === 'postgres' ? `$${number}` : '?'
    })
  }

  /** @returns the values in the order in which the database wants them */
  parameters (values: Readonly<Record<string, Value>>): Value[] {
    return this.#names.map(name => {
      const value = values[name] ?? null
      return typeof value === 'string' ? value.replace(ESCAPES, character => character === '\0' ? '\ue0000' : '\ue0001') : value
    })
  }
}

/** @returns a text that a statement's parameter has been, as it was */
export function unescaped (text: string): string {
  return text.replace(ESCAPED, (_, which) => which === '0' ? '\0' : '\ue000')
}
