export interface User {
  readonly id: string
  readonly name: string
  readonly email: string
  /** Printed on the sign-in page. A real shop would keep a slow hash of it instead: scrypt, or argon2. */
  readonly password: string
}

export const users: readonly User[] = [
  { id: 'ada', name: 'Ada', email: 'ada@example.com', password: 'difference engine' },
  { id: 'grace', name: 'Grace', email: 'grace@example.com', password: 'nanosecond' }
]

export function findUser (id: string): User | undefined {
  return users.find(user => user.id === id)
}
