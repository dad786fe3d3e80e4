/** What the shop keeps in its sessions. Declared once, and `session('cart')` is typed everywhere. */
import type { SentLetter } from './services/letters.ts'
import type { Message } from './services/messages.ts'
import type { Order } from './services/orders.ts'

declare module 'ambient-session' {
  interface SessionData {
    /** How many of each product, by the product's id. */
    cart: Record<string, number>
    orders: Order[]
    letters: SentLetter[]
    /** The digest of the letter sent last. */
    lastLetter: string
    /** Flashed: said on the next page, once. */
    message: Message
    /** Flashed: what was wrong with the form just sent, by the field's name. */
    errors: Record<string, string[]>
  }
}
