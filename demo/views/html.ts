/** Markup that is safe to send: everything in it has been escaped by ghtml's `html`, save what was Html already (`!${…}`). */
import { html } from 'ghtml'

export { html }

export type Html = string
