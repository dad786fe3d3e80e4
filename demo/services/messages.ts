/** One sentence for the visitor, said on the page after the redirect and then never again. */
import { session } from 'ambient-session'

export interface Message {
  readonly kind: 'success' | 'problem'
  readonly text: string
}

export function tell (text: string): void {
  session().flash('message', { kind: 'success', text } satisfies Message)
}

export function complain (text: string): void {
  session().flash('message', { kind: 'problem', text } satisfies Message)
}

/**
 * Leaves the message of this request to the next page.
 *
 * @returns whether there was one
 */
export function repeatMessage (): boolean {
  session().keep('message')
  return currentMessage() !== undefined
}

export function currentMessage (): Message | undefined {
  return session('message')
}
