/** Who the visitor is. */
import { session } from 'ambient-session'
import { findUser, type User } from '../data/users.ts'

/** In minutes. */
const THIRTY_DAYS = 30 * 24 * 60

export function currentUser (): User | undefined {
  const { userId } = session()
  return userId === undefined ? undefined : findUser(userId)
}

/** For pages behind `requireUser`. */
export function signedInUser (): User {
  const user = currentUser()
  if (user === undefined) throw new Error('no user is signed in here')
  return user
}

/**
 * @param isRemembered whether the visitor stays signed in for thirty days, and when the browser is closed
 * @returns the user, or nothing when the name or the password is wrong
 */
export function signIn (id: string, password: string, isRemembered: boolean): User | undefined {
  const user = findUser(id)
  if (user === undefined || user.password !== password) return undefined
  // A new id and a new CSRF token: the old ones are worth nothing from here on (session fixation). The cart stays.
  session().regenerate()
  // From here on the session is among those of the user; see devices.ts.
  session().setUser(user.id)
  session().setLifetime(isRemembered ? THIRTY_DAYS : null, { persistent: isRemembered })
  return user
}

export function signOut (): void {
  // The whole session ends, cart and all, and its id is dead even for requests that are still under way.
  session().invalidate()
}
