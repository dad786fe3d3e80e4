/** The visitor's session as the store has it. Only the page that shows it needs this; an application never does. */
import { FileStore, isRecord, session, type StoredRecord } from 'ambient-session'
import { sessionFiles } from '../session-files.ts'

const store = new FileStore({ directory: sessionFiles, report: () => {} })

/** @returns the record as the last request left it, or nothing when this visitor has none */
export async function storedSession (): Promise<StoredRecord | undefined> {
  const found = await store.read(session().key)
  return isRecord(found) ? found : undefined
}
