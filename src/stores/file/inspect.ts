/** Session files as they are looked at without being kept open: through the thread pool. */
import { open } from 'node:fs/promises'
import { codeOf, NotAFileError, READ } from './disk.ts'
import { type Content, decodeFile, READ_ATTEMPTS } from './format.ts'

/** What is in a file; the content is undefined when it is blank. */
export interface Inspected {
  readonly content: Content | undefined
  /** When the file was last changed, in milliseconds since 1970. */
  readonly changedAt: number
}

/**
 * @returns undefined when there is no such file
 * @throws NotAFileError when it is something else than a file; the file system's error when it cannot be read
 */
export async function inspectFile (path: string, attempt = 1): Promise<Inspected | undefined> {
  const file = await open(path, READ).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
  if (file === undefined) return undefined
  try {
    const status = await file.stat()
    if (!status.isFile()) throw new NotAFileError(path)
    const content = decodeFile(await file.readFile())
    return content?.entry === undefined && attempt < READ_ATTEMPTS ? await inspectFile(path, attempt + 1) : { content, changedAt: status.ctimeMs }
  } finally {
    await file.close()
  }
}
