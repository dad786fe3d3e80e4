/** Who the visitor is. */
import { session } from 'ambient-session'
import type { User } from '../data/users.ts'
import { findUser } from '../data/users.ts'

export function currentUser (): User | undefined {
  const { userId } = session()
  return userId === undefined ? undefined : findUser(userId)
}

/** For pages that only somebody who is signed in comes to. */
export function signedInUser (): User {
  const user = currentUser()
  if (user === undefined) throw new Error('nobody is signed in here')
  return user
}

/** @returns the user, or nothing when the name or the password is wrong */
export function signIn (id: string, password: string): User | undefined {
  const user = findUser(id)
  if (user === undefined || user.password !== password) return undefined
  // A new id and a new CSRF token: whoever knew the old ones knows nothing now (session fixation). The cart stays.
  session().regenerate()
  // From here on the session is among those of the user; see devices.ts.
  session().setUser(user.id)
  return user
}

export function signOut (): void {
  // The whole session ends, cart and all, and its id is dead even for requests that are still under way.
  session().invalidate()
}
