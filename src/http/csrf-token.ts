/** The CSRF token as it goes into pages. */
import { session } from '../context.ts'
import type { Session } from '../session/session.ts'
import { masked } from '../session/token.ts'

/**
 * The CSRF token of the current session for a page: in a `<meta>` element, or for a script that sends it in the header
 * `X-CSRF-TOKEN`. It is masked, so that it differs each time, and `hasToken()` accepts it as it does `session().token()`.
 * A visitor without a session gets one.
 *
 * @throws SessionContextError as {@link session} does
 */
export function csrfToken (): string {
  return maskedToken(session())
}

/** {@link csrfToken} of a session at hand. */
export function maskedToken (of: Session): string {
  return masked(of.token())
}

/**
 * A form's hidden field with the CSRF token: `<input type="hidden" name="_token" value="…">`.
 *
 * @param of the current session when it is left out
 * @returns HTML, for a template to put in as it is
 * @throws SessionContextError as {@link session} does
 */
export function csrfField (of: Session = session()): string {
  return `<input type="hidden" name="${escaped(of.tokenField)}" value="${maskedToken(of)}">`
}

function escaped (name: string): string {
  return name.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
