/** `ambient-session table`: the SQL of a migration. */
import { dialects, migration } from '../stores/database/schema.ts'
import type { Dialect } from '../stores/database/schema.ts'

/**
 * @returns the statements that make the table of the database store
 * @throws Error when there is no such dialect, or the table's name is none
 */
export function tableSql (dialect: string | undefined, table: string): string {
  if (!isDialect(dialect)) throw new Error(`table needs --dialect with one of: ${dialects.join(', ')}`)
  return migration(dialect, table).map(statement => `${statement};\n`).join('\n')
}

function isDialect (text: string | undefined): text is Dialect {
  return dialects.some(dialect => dialect === text)
}
