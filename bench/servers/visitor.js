/** Whose session it is, and how long it lasts: the same in every stack. */
export const NAME = 'Ada Lovelace'
/** Seconds. */
export const LIFETIME = 120 * 60
/** For stacks that sign or encrypt. It protects nothing. */
export const SECRET = 'a secret that is good enough for a benchmark'

/** @returns a new session's data: some 500 bytes as JSON, of the kinds that sessions usually hold */
export function newVisitor () {
  return {
    name: NAME,
    userId: '0192f3c4-7a51-7b0e-9d3c-5e8a4f1b2c6d',
    email: 'ada@example.com',
    roles: ['customer', 'reviewer'],
    signedInAt: 1764000000000,
    locale: 'en-GB',
    theme: 'dark',
    visits: 0,
    cart: [
      { sku: 'BK-0451', title: 'Notes on the Analytical Engine', quantity: 1, price: 1850 },
      { sku: 'PC-1842', title: 'Punched cards, box of one hundred', quantity: 3, price: 420 },
      { sku: 'TB-0007', title: 'Table of Bernoulli numbers', quantity: 2, price: 999 }
    ],
    lastSeen: ['/books/0451', '/cards/1842', '/tables/0007']
  }
}
