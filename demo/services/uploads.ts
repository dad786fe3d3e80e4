/** Files that come with a form. */
import type { MultipartFile } from '@fastify/multipart'

/** In bytes. */
export const LARGEST_FILE = 1024 * 1024

/** What the shop knows of a file. */
export interface Upload {
  readonly name: string
  /** As the browser says it: `image/png`. */
  readonly type: string
  /** In bytes; for a file that is too large, of what was read of it. */
  readonly size: number
  readonly isTooLarge: boolean
}

/** Reads a file to its end and puts what is known of it into the form. A real shop would keep the bytes, too. */
export async function receive (part: MultipartFile): Promise<void> {
  let size = 0
  for await (const chunk of part.file) size += (chunk as Buffer).length
  const upload: Upload = { name: part.filename, type: part.mimetype, size, isTooLarge: part.file.truncated }
  // A browser sends a field for files without a name when none was chosen.
  if (upload.name !== '') Object.assign(part, { value: upload })
}
