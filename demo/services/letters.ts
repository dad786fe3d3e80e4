/** Letters to the shop. A real shop would send them on their way; this one keeps them in the session. */
import { createHash } from 'node:crypto'
import { session } from 'ambient-session'
import type { Upload } from './uploads.ts'

export interface Letter {
  readonly name: string
  readonly email: string
  readonly text: string
  readonly picture?: Upload | undefined
}

export interface SentLetter {
  readonly text: string
  readonly picture: string | null
  readonly sentAt: Date
}

/** Sends a letter, once: the same letter again is a second click on the button. */
export function sendLetter (letter: Letter): void {
  const digest = createHash('sha256').update(JSON.stringify(letter)).digest('base64url')
  if (session('lastLetter') === digest) return
  session().put('lastLetter', digest)
  session().push('letters', { text: letter.text, picture: letter.picture?.name ?? null, sentAt: new Date() })
}

/** @returns the newest first */
export function sentLetters (): SentLetter[] {
  return session('letters', []).toReversed()
}
