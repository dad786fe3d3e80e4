/** `import 'ambient-session/global'` makes {@link session} a global of the process, typed. */
import { session } from './context.ts'
import type { SessionHelper } from './context.ts'

declare global {
  // Only var declares a property of globalThis.
  var session: SessionHelper
}

globalThis.session = session
