/** The warning of changes to a session that nothing has stored. */
import type { SessionWarning } from '../report.ts'
import { quoted } from '../session/names.ts'
import type { StoreKey } from '../stores/store.ts'

/** Why the changes were not stored. */
export type UnsavedReason = 'failed' | 'left' | 'late' | 'uncommitted'

const TEXTS: Readonly<Record<UnsavedReason, readonly [what: string, advice: string]>> = {
  failed: ['a request\'s changes to its session are lost, because they could not be stored', 'The error of the request says why'],
  left: [
    'a request\'s changes to its session are lost: its client left before the answer, in which the driver \'cookie\' sends the session',
    'Other drivers store what such a request has changed'
  ],
  late: [
    'a session was changed after its request was committed, and the change was not saved',
    'Change it before the response is sent, or call `await req.session.save()` after the change'
  ],
  uncommitted: [
    'a session was changed and its request was never committed: the reply was hijacked or ended by reply.raw, or an onSend hook failed',
    'Call `await session().save()` before the reply is hijacked or ended, and again after later changes'
  ]
}

/** @param keys the names of what was changed, for people */
export function unsavedWarning (reason: UnsavedReason, key: StoreKey, keys: readonly string[]): SessionWarning {
  const [what, advice] = TEXTS[reason]
  return { code: 'AMBIENT_SESSION_UNSAVED', message: `${what}: ${quoted(keys)}. ${advice}`, key, keys }
}
